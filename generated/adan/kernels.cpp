// Generated from specs/adan.yaml by thetac 0.1.0; do not edit.
//
// Adan on a CPU: one step of some elements.
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
    static constexpr int CONDITIONS = 4;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // exp_avg
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // exp_avg_diff
        thetac::access_of<Number, thetac::THETAC_DTYPE_4>(),  // exp_avg_sq
        thetac::access_of<Number, thetac::THETAC_DTYPE_5>(),  // pre_grad
    };

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number* row) {
        Mask mask = 0;
        mask |= Mask(row[1] != 0) << 3;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = mask >> 0 & 1;
        static constexpr bool weight_decay_nonzero = mask >> 1 & 1;
        static constexpr bool no_prox = mask >> 2 & 1;
        static constexpr bool first_pre_grad = mask >> 3 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(weight_decay_nonzero) << 2
            | Mask(1) << 3;
        static constexpr Mask loaded =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2
            | Mask(1) << 3
            | Mask(1) << 4
            | Mask(1) << 5;
        static constexpr Mask stored =
            Mask(1) << 0
            | Mask(1) << 2
            | Mask(1) << 3
            | Mask(1) << 4
            | Mask(1) << 5;

        static void update(Number* const* streams, int64 count, const Number* row) {
            const Number one_minus_lr_times_weight_decay = row[0];
            const Number beta1 = row[2];
            const Number one_minus_beta1 = row[3];
            const Number beta2 = row[4];
            const Number one_minus_beta2 = row[5];
            const Number beta3 = row[6];
            const Number one_minus_beta3 = row[7];
            const Number sqrt_one_minus_beta3_pow_step = row[8];
            const Number eps = row[9];
            const Number lr_over_one_minus_beta1_pow_step = row[10];
            const Number exp_avg_diff_factor = row[11];
            const Number one_plus_lr_times_weight_decay = row[12];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict exp_avg_ptr = streams[2];
            Number* __restrict exp_avg_diff_ptr = streams[3];
            Number* __restrict exp_avg_sq_ptr = streams[4];
            Number* __restrict pre_grad_ptr = streams[5];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number exp_avg = exp_avg_ptr[i];
                Number exp_avg_diff = exp_avg_diff_ptr[i];
                Number exp_avg_sq = exp_avg_sq_ptr[i];
                Number pre_grad = pre_grad_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                if constexpr (weight_decay_nonzero) {
                    if constexpr (no_prox) {
                        // weight decay: param = param * (1 - lr * weight_decay)
                        param = param * one_minus_lr_times_weight_decay;
                    }
                }
                // first value
                if constexpr (first_pre_grad) {
                    // first value
                    pre_grad = grad;
                }
                Number change = grad - pre_grad;
                // exp_avg = beta1 * exp_avg + (1 - beta1) * grad
                exp_avg = beta1 * exp_avg + one_minus_beta1 * grad;
                // exp_avg_diff = beta2 * exp_avg_diff + (1 - beta2) * change
                exp_avg_diff = beta2 * exp_avg_diff + one_minus_beta2 * change;
                // the gradient at the look-ahead point
                Number ahead = grad + beta2 * change;
                // exp_avg_sq = beta3 * exp_avg_sq + (1 - beta3) * ahead * ahead
                exp_avg_sq = beta3 * exp_avg_sq + one_minus_beta3 * ahead * ahead;
                // denom = sqrt(exp_avg_sq) / sqrt(1 - beta3 ** step) + eps
                Number denom = ops::square_root(exp_avg_sq) / sqrt_one_minus_beta3_pow_step + eps;
                // param = param - lr / (1 - beta1 ** step) * exp_avg / denom
                param = param - lr_over_one_minus_beta1_pow_step * exp_avg / denom;
                // param = param - lr * beta2 / (1 - beta2 ** step) * exp_avg_diff / denom
                param = param - exp_avg_diff_factor * exp_avg_diff / denom;
                if constexpr (weight_decay_nonzero && !no_prox) {
                    // proximal decay: param = param / (1 + lr * weight_decay)
                    param = param / one_plus_lr_times_weight_decay;
                }
                pre_grad = grad;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                exp_avg_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(exp_avg);
                exp_avg_diff_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(exp_avg_diff);
                exp_avg_sq_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_4>(exp_avg_sq);
                pre_grad_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_5>(pre_grad);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
