// Generated from specs/radam.yaml by thetac 0.1.0; do not edit.
//
// RAdam on a CPU: one step of some elements.
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

    static constexpr int STREAMS = 4;
    static constexpr int ENTRIES = 11;  // of a row
    static constexpr int CONDITIONS = 4;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // exp_avg
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // exp_avg_sq
    };

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number* row) {
        Mask mask = 0;
        mask |= Mask(row[7] != 0) << 3;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = mask >> 0 & 1;
        static constexpr bool weight_decay_nonzero = mask >> 1 & 1;
        static constexpr bool decoupled_weight_decay = mask >> 2 & 1;
        static constexpr bool rho_above_five = mask >> 3 & 1;

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
            | Mask(1) << 3;
        static constexpr Mask stored =
            Mask(1) << 0
            | Mask(1) << 2
            | Mask(1) << 3;

        static void update(Number* const* streams, int64 count, const Number* row) {
            const Number one_minus_lr_times_weight_decay = row[0];
            const Number weight_decay = row[1];
            const Number one_minus_beta1 = row[2];
            const Number beta2 = row[3];
            const Number one_minus_beta2 = row[4];
            const Number one_minus_beta1_pow_step = row[5];
            const Number lr = row[6];
            const Number bias_correction2_pow_half = row[8];
            const Number eps = row[9];
            const Number rect = row[10];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict exp_avg_ptr = streams[2];
            Number* __restrict exp_avg_sq_ptr = streams[3];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number exp_avg = exp_avg_ptr[i];
                Number exp_avg_sq = exp_avg_sq_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                if constexpr (weight_decay_nonzero) {
                    if constexpr (decoupled_weight_decay) {
                        // weight decay: param = param * (1 - lr * weight_decay)
                        param = param * one_minus_lr_times_weight_decay;
                    } else {
                        // weight decay
                        grad = grad + weight_decay * param;
                    }
                }
                // first moment: exp_avg = lerp(exp_avg, grad, 1 - beta1)
                exp_avg = ops::lerp(exp_avg, grad, one_minus_beta1);
                // second moment: exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
                exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * grad * grad;
                // change = exp_avg / (1 - beta1 ** step) * lr
                Number change = exp_avg / one_minus_beta1_pow_step * lr;
                if constexpr (rho_above_five) {
                    // change = change * (bias_correction2 ** 0.5 / (sqrt(exp_avg_sq) + eps)) * rect
                    change = change * (bias_correction2_pow_half / (ops::square_root(exp_avg_sq) + eps)) * rect;
                }
                param = param - change;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                exp_avg_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(exp_avg);
                exp_avg_sq_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(exp_avg_sq);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
