// Generated from specs/adapnm.yaml by thetac 0.1.0; do not edit.
//
// AdaPNM on a CPU: one step of some elements.
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

    static constexpr int STREAMS = 6;
    static constexpr int ENTRIES = 13;  // of a row
    static constexpr int CONDITIONS = 5;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // exp_avg
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // exp_avg_sq
        thetac::access_of<Number, thetac::THETAC_DTYPE_4>(),  // neg_exp_avg
        thetac::access_of<Number, thetac::THETAC_DTYPE_5>(),  // max_exp_avg_sq
    };

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number* row) {
        Mask mask = 0;
        mask |= Mask(row[2] != 0) << 4;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = mask >> 0 & 1;
        static constexpr bool weight_decay_nonzero = mask >> 1 & 1;
        static constexpr bool decoupled = mask >> 2 & 1;
        static constexpr bool amsgrad = mask >> 3 & 1;
        static constexpr bool step_mod_two_equal_to_one = mask >> 4 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(weight_decay_nonzero) << 2
            | Mask(1) << 3
            | Mask(1) << 4;
        static constexpr Mask loaded =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2
            | Mask(1) << 3
            | Mask(1) << 4
            | Mask(amsgrad) << 5;
        static constexpr Mask stored =
            Mask(1) << 0
            | Mask(1) << 2
            | Mask(1) << 3
            | Mask(1) << 4
            | Mask(amsgrad) << 5;

        static void update(Number* const* streams, int64 count, const Number* row) {
            const Number one_minus_lr_times_weight_decay = row[0];
            const Number weight_decay = row[1];
            const Number beta1_squared = row[3];
            const Number one_minus_beta1_squared = row[4];
            const Number one_plus_beta3 = row[5];
            const Number beta3 = row[6];
            const Number beta2 = row[7];
            const Number one_minus_beta2 = row[8];
            const Number sqrt_one_minus_beta2_pow_step = row[9];
            const Number eps = row[10];
            const Number lr_over_one_minus_beta1_pow_step = row[11];
            const Number one_over_noise_norm = row[12];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict exp_avg_ptr = streams[2];
            Number* __restrict exp_avg_sq_ptr = streams[3];
            Number* __restrict neg_exp_avg_ptr = streams[4];
            Number* __restrict max_exp_avg_sq_ptr = streams[5];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number exp_avg = exp_avg_ptr[i];
                Number exp_avg_sq = exp_avg_sq_ptr[i];
                Number neg_exp_avg = neg_exp_avg_ptr[i];
                Number max_exp_avg_sq = amsgrad ? max_exp_avg_sq_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                if constexpr (weight_decay_nonzero) {
                    if constexpr (decoupled) {
                        // weight decay: param = param * (1 - lr * weight_decay)
                        param = param * one_minus_lr_times_weight_decay;
                    } else {
                        // weight decay
                        grad = grad + weight_decay * param;
                    }
                }
                Number momentum = 0;
                if constexpr (step_mod_two_equal_to_one) {
                    // exp_avg = beta1 ** 2 * exp_avg + (1 - beta1 ** 2) * grad
                    exp_avg = beta1_squared * exp_avg + one_minus_beta1_squared * grad;
                    // momentum = (1 + beta3) * exp_avg - beta3 * neg_exp_avg
                    momentum = one_plus_beta3 * exp_avg - beta3 * neg_exp_avg;
                } else {
                    // neg_exp_avg = beta1 ** 2 * neg_exp_avg + (1 - beta1 ** 2) * grad
                    neg_exp_avg = beta1_squared * neg_exp_avg + one_minus_beta1_squared * grad;
                    // momentum = (1 + beta3) * neg_exp_avg - beta3 * exp_avg
                    momentum = one_plus_beta3 * neg_exp_avg - beta3 * exp_avg;
                }
                // exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
                exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * grad * grad;
                Number second = exp_avg_sq;
                if constexpr (amsgrad) {
                    // max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
                    max_exp_avg_sq = ops::maximum(max_exp_avg_sq, exp_avg_sq);
                    second = max_exp_avg_sq;
                }
                // denom = sqrt(second) / sqrt(1 - beta2 ** step) + eps
                Number denom = ops::square_root(second) / sqrt_one_minus_beta2_pow_step + eps;
                // param = param - lr / (1 - beta1 ** step) * (1 / noise_norm * momentum) / denom
                param = param - lr_over_one_minus_beta1_pow_step * (one_over_noise_norm * momentum) / denom;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                exp_avg_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(exp_avg);
                exp_avg_sq_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(exp_avg_sq);
                neg_exp_avg_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_4>(neg_exp_avg);
                if constexpr (amsgrad)
                    max_exp_avg_sq_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_5>(max_exp_avg_sq);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
