// Generated from specs/adabelief.yaml by thetac 0.1.0; do not edit.
//
// AdaBelief on a CPU: one step of some elements.
// Compiled for all combinations of conditions that differ. docs/cpp.md describes how it is called.
// The dtypes of the streams are given on the compiler's command line.

#include "kernel.h"

namespace {

using thetac::canonicalize_nan;
using thetac::int64;
using thetac::Mask;
namespace ops = thetac::ops;

struct Rule {
    using Number = thetac::Arithmetic<thetac::THETAC_DTYPE_0>::Number;

    static constexpr int STREAMS = 5;
    static constexpr int ENTRIES = 13;  // of a row
    static constexpr int CONDITIONS = 9;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // exp_avg
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // exp_avg_var
        thetac::access_of<Number, thetac::THETAC_DTYPE_4>(),  // max_exp_avg_var
    };

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number* row) {
        Mask mask = 0;
        mask |= Mask(row[0] != 0) << 7;
        mask |= Mask(row[9] != 0) << 8;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = mask >> 0 & 1;
        static constexpr bool weight_decay_nonzero = mask >> 1 & 1;
        static constexpr bool weight_decouple = mask >> 2 & 1;
        static constexpr bool fixed_decay = mask >> 3 & 1;
        static constexpr bool amsgrad = mask >> 4 & 1;
        static constexpr bool rectify = mask >> 5 & 1;
        static constexpr bool degenerated_to_sgd = mask >> 6 & 1;
        static constexpr bool lr_nonzero = mask >> 7 & 1;
        static constexpr bool rho_at_least_five = mask >> 8 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(weight_decay_nonzero) << 2
            | Mask(weight_decay_nonzero && weight_decouple) << 3
            | Mask(1) << 4
            | Mask(1) << 5
            | Mask(rectify && !rho_at_least_five) << 6
            | Mask(fixed_decay && weight_decay_nonzero && weight_decouple) << 7
            | Mask(rectify) << 8;
        static constexpr Mask loaded =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2
            | Mask(1) << 3
            | Mask(amsgrad) << 4;
        static constexpr Mask stored =
            Mask(1) << 0
            | Mask(1) << 2
            | Mask(1) << 3
            | Mask(amsgrad) << 4;

        static void update(Number* const* streams, int64 count, const Number* row) {
            const Number one_minus_weight_decay = row[1];
            const Number one_minus_lr_times_weight_decay = row[2];
            const Number weight_decay = row[3];
            const Number beta1 = row[4];
            const Number one_minus_beta1 = row[5];
            const Number beta2 = row[6];
            const Number one_minus_beta2 = row[7];
            const Number eps = row[8];
            const Number lr_times_rect_over_bias_correction1 = row[10];
            const Number lr_over_bias_correction1 = row[11];
            const Number sqrt_bias_correction2 = row[12];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict exp_avg_ptr = streams[2];
            Number* __restrict exp_avg_var_ptr = streams[3];
            Number* __restrict max_exp_avg_var_ptr = streams[4];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number exp_avg = exp_avg_ptr[i];
                Number exp_avg_var = exp_avg_var_ptr[i];
                Number max_exp_avg_var = amsgrad ? max_exp_avg_var_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                if constexpr (weight_decay_nonzero) {
                    if constexpr (weight_decouple && fixed_decay) {
                        if constexpr (lr_nonzero) {
                            // weight decay: param = param * (1 - weight_decay)
                            param = param * one_minus_weight_decay;
                        }
                    } else if constexpr (weight_decouple) {
                        // weight decay: param = param * (1 - lr * weight_decay)
                        param = param * one_minus_lr_times_weight_decay;
                    } else {
                        // weight decay
                        grad = grad + weight_decay * param;
                    }
                }
                // exp_avg = beta1 * exp_avg + (1 - beta1) * grad
                exp_avg = beta1 * exp_avg + one_minus_beta1 * grad;
                // what the mean did not predict
                Number surprise = grad - exp_avg;
                // exp_avg_var = beta2 * exp_avg_var + (1 - beta2) * surprise * surprise
                exp_avg_var = beta2 * exp_avg_var + one_minus_beta2 * surprise * surprise;
                exp_avg_var = exp_avg_var + eps;
                Number variance = exp_avg_var;
                if constexpr (amsgrad) {
                    // max_exp_avg_var = maximum(max_exp_avg_var, exp_avg_var)
                    max_exp_avg_var = ops::maximum(max_exp_avg_var, exp_avg_var);
                    variance = max_exp_avg_var;
                }
                if constexpr (rectify) {
                    if constexpr (rho_at_least_five) {
                        // param = param - lr * rect / bias_correction1 * exp_avg / (sqrt(exp_avg_var) + eps)
                        param = param - lr_times_rect_over_bias_correction1 * exp_avg / (ops::square_root(exp_avg_var) +
                            eps);
                    } else if constexpr (degenerated_to_sgd) {
                        // param = param - lr / bias_correction1 * exp_avg
                        param = param - lr_over_bias_correction1 * exp_avg;
                    }
                } else {
                    // param = param - lr / bias_correction1 * exp_avg / (sqrt(variance) / sqrt(bias_correction2) + eps)
                    param = param - lr_over_bias_correction1 * exp_avg / (ops::square_root(variance) /
                        sqrt_bias_correction2 + eps);
                }

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                exp_avg_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(exp_avg);
                exp_avg_var_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(exp_avg_var);
                if constexpr (amsgrad)
                    max_exp_avg_var_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_4>(max_exp_avg_var);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
