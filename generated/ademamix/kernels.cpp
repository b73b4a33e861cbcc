// Generated from specs/ademamix.yaml by thetac 0.1.0; do not edit.
//
// AdEMAMix on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 12;  // of a row
    static constexpr int CONDITIONS = 3;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // exp_avg_fast
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // exp_avg_slow
        thetac::access_of<Number, thetac::THETAC_DTYPE_4>(),  // exp_avg_sq
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
        static constexpr bool beta1_nonzero = mask >> 2 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2;
        static constexpr Mask loaded =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(beta1_nonzero) << 2
            | Mask(1) << 3
            | Mask(1) << 4;
        static constexpr Mask stored =
            Mask(1) << 0
            | Mask(beta1_nonzero) << 2
            | Mask(1) << 3
            | Mask(1) << 4;

        static void update(Number* const* streams, int64 count, const Number* row) {
            const Number one_minus_lr_times_weight_decay = row[0];
            const Number beta1 = row[1];
            const Number one_minus_beta1 = row[2];
            const Number slow_decay = row[3];
            const Number one_minus_slow_decay = row[4];
            const Number beta2 = row[5];
            const Number one_minus_beta2 = row[6];
            const Number sqrt_one_minus_beta2_pow_step = row[7];
            const Number eps = row[8];
            const Number one_minus_beta1_pow_step = row[9];
            const Number slow_weight = row[10];
            const Number lr = row[11];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict exp_avg_fast_ptr = streams[2];
            Number* __restrict exp_avg_slow_ptr = streams[3];
            Number* __restrict exp_avg_sq_ptr = streams[4];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number exp_avg_fast = beta1_nonzero ? exp_avg_fast_ptr[i] : Number(0);
                Number exp_avg_slow = exp_avg_slow_ptr[i];
                Number exp_avg_sq = exp_avg_sq_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                if constexpr (weight_decay_nonzero) {
                    // weight decay: param = param * (1 - lr * weight_decay)
                    param = param * one_minus_lr_times_weight_decay;
                }
                Number fast = grad;
                if constexpr (beta1_nonzero) {
                    // exp_avg_fast = beta1 * exp_avg_fast + (1 - beta1) * grad
                    exp_avg_fast = beta1 * exp_avg_fast + one_minus_beta1 * grad;
                    fast = exp_avg_fast;
                }
                // exp_avg_slow = slow_decay * exp_avg_slow + (1 - slow_decay) * grad
                exp_avg_slow = slow_decay * exp_avg_slow + one_minus_slow_decay * grad;
                // exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
                exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * grad * grad;
                // denom = sqrt(exp_avg_sq) / sqrt(1 - beta2 ** step) + eps
                Number denom = ops::square_root(exp_avg_sq) / sqrt_one_minus_beta2_pow_step + eps;
                // mix = fast / (1 - beta1 ** step) + slow_weight * exp_avg_slow
                Number mix = fast / one_minus_beta1_pow_step + slow_weight * exp_avg_slow;
                param = param - lr * mix / denom;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                if constexpr (beta1_nonzero)
                    exp_avg_fast_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(exp_avg_fast);
                exp_avg_slow_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(exp_avg_slow);
                exp_avg_sq_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_4>(exp_avg_sq);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
