// Generated from specs/laprop.yaml by thetac 0.1.0; do not edit.
//
// LaProp on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 11;  // of a row
    static constexpr int CONDITIONS = 6;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // exp_avg
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // exp_avg_sq
        thetac::access_of<Number, thetac::THETAC_DTYPE_4>(),  // exp_mean_avg_beta2
        thetac::access_of<Number, thetac::THETAC_DTYPE_5>(),  // max_exp_avg_sq
    };

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number* row) {
        Mask mask = 0;
        mask |= Mask(row[2] != 0) << 3;
        mask |= Mask(row[3] != 0) << 4;
        mask |= Mask(row[9] != 0) << 5;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = mask >> 0 & 1;
        static constexpr bool centered = mask >> 1 & 1;
        static constexpr bool amsgrad = mask >> 2 & 1;
        static constexpr bool step_above_ten = mask >> 3 & 1;
        static constexpr bool not_centered_or_step_above_ten = mask >> 4 & 1;
        static constexpr bool weight_decay_nonzero_and_lr_nonzero = mask >> 5 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2
            | Mask(centered) << 3
            | Mask(amsgrad) << 4
            | Mask(1) << 5;
        static constexpr Mask loaded =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2
            | Mask(1) << 3
            | Mask(centered) << 4
            | Mask(amsgrad) << 5;
        static constexpr Mask stored =
            Mask(1) << 0
            | Mask(1) << 2
            | Mask(1) << 3
            | Mask(centered) << 4
            | Mask(amsgrad) << 5;

        static void update(Number* const* streams, int64 count, const Number* row) {
            const Number beta2 = row[0];
            const Number one_minus_beta2 = row[1];
            const Number exp_avg_lr_2 = row[4];
            const Number eps = row[5];
            const Number beta1 = row[6];
            const Number one_minus_beta1_times_lr = row[7];
            const Number one_over_bias_correction1 = row[8];
            const Number weight_decay = row[10];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict exp_avg_ptr = streams[2];
            Number* __restrict exp_avg_sq_ptr = streams[3];
            Number* __restrict exp_mean_avg_beta2_ptr = streams[4];
            Number* __restrict max_exp_avg_sq_ptr = streams[5];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number exp_avg = exp_avg_ptr[i];
                Number exp_avg_sq = exp_avg_sq_ptr[i];
                Number exp_mean_avg_beta2 = centered ? exp_mean_avg_beta2_ptr[i] : Number(0);
                Number max_exp_avg_sq = amsgrad ? max_exp_avg_sq_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                // exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
                exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * grad * grad;
                Number second = exp_avg_sq;
                if constexpr (centered) {
                    // exp_mean_avg_beta2 = beta2 * exp_mean_avg_beta2 + (1 - beta2) * grad
                    exp_mean_avg_beta2 = beta2 * exp_mean_avg_beta2 + one_minus_beta2 * grad;
                    if constexpr (step_above_ten) {
                        second = exp_avg_sq - exp_mean_avg_beta2 * exp_mean_avg_beta2;
                    }
                }
                if constexpr (amsgrad) {
                    if constexpr (not_centered_or_step_above_ten) {
                        // max_exp_avg_sq = maximum(max_exp_avg_sq, second)
                        max_exp_avg_sq = ops::maximum(max_exp_avg_sq, second);
                        second = max_exp_avg_sq;
                    }
                }
                // denom = sqrt(second / exp_avg_lr_2) + eps
                Number denom = ops::square_root(second / exp_avg_lr_2) + eps;
                // the mean of the steps: exp_avg = beta1 * exp_avg + (1 - beta1) * lr * (grad / denom)
                exp_avg = beta1 * exp_avg + one_minus_beta1_times_lr * (grad / denom);
                // param = param - 1 / bias_correction1 * exp_avg
                param = param - one_over_bias_correction1 * exp_avg;
                if constexpr (weight_decay_nonzero_and_lr_nonzero) {
                    param = param - weight_decay * param;
                }

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                exp_avg_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(exp_avg);
                exp_avg_sq_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(exp_avg_sq);
                if constexpr (centered)
                    exp_mean_avg_beta2_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_4>(exp_mean_avg_beta2);
                if constexpr (amsgrad)
                    max_exp_avg_sq_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_5>(max_exp_avg_sq);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
