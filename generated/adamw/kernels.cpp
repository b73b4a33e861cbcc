// Generated from specs/adamw.yaml by thetac 0.1.0; do not edit.
//
// AdamW on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 7;  // of a row
    static constexpr int CONDITIONS = 3;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // exp_avg
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // exp_avg_sq
        thetac::access_of<Number, thetac::THETAC_DTYPE_4>(),  // max_exp_avg_sq
    };

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number*) {
        Mask mask = 0;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = mask >> 0 & 1;
        static constexpr bool weight_decay_nonzero = mask >> 1 & 1;
        static constexpr bool amsgrad = mask >> 2 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2;
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
            const Number one_minus_lr_times_weight_decay = row[0];
            const Number one_minus_beta1 = row[1];
            const Number beta2 = row[2];
            const Number one_minus_beta2 = row[3];
            const Number one_minus_beta2_pow_step_pow_half = row[4];
            const Number eps = row[5];
            const Number lr_over_one_minus_beta1_pow_step = row[6];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict exp_avg_ptr = streams[2];
            Number* __restrict exp_avg_sq_ptr = streams[3];
            Number* __restrict max_exp_avg_sq_ptr = streams[4];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number exp_avg = exp_avg_ptr[i];
                Number exp_avg_sq = exp_avg_sq_ptr[i];
                Number max_exp_avg_sq = amsgrad ? max_exp_avg_sq_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                if constexpr (weight_decay_nonzero) {
                    // weight decay: param = param * (1 - lr * weight_decay)
                    param = param * one_minus_lr_times_weight_decay;
                }
                // first moment: exp_avg = lerp(exp_avg, grad, 1 - beta1)
                exp_avg = ops::lerp(exp_avg, grad, one_minus_beta1);
                // second moment: exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
                exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * grad * grad;
                Number second_moment = exp_avg_sq;
                if constexpr (amsgrad) {
                    // max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
                    max_exp_avg_sq = ops::maximum(max_exp_avg_sq, exp_avg_sq);
                    second_moment = max_exp_avg_sq;
                }
                // denom = sqrt(second_moment) / (1 - beta2 ** step) ** 0.5 + eps
                Number denom = ops::square_root(second_moment) / one_minus_beta2_pow_step_pow_half + eps;
                // param = param - lr / (1 - beta1 ** step) * exp_avg / denom
                param = param - lr_over_one_minus_beta1_pow_step * exp_avg / denom;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                exp_avg_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(exp_avg);
                exp_avg_sq_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(exp_avg_sq);
                if constexpr (amsgrad)
                    max_exp_avg_sq_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_4>(max_exp_avg_sq);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
