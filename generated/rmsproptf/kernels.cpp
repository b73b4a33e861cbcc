// Generated from specs/rmsprop_tf.yaml by thetac 0.1.0; do not edit.
//
// RMSpropTF on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 9;  // of a row
    static constexpr int CONDITIONS = 8;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // square_avg
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // momentum_buffer
        thetac::access_of<Number, thetac::THETAC_DTYPE_4>(),  // grad_avg
    };

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number* row) {
        Mask mask = 0;
        mask |= Mask(row[0] != 0) << 7;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = mask >> 0 & 1;
        static constexpr bool weight_decay_nonzero = mask >> 1 & 1;
        static constexpr bool decoupled_decay = mask >> 2 & 1;
        static constexpr bool corrected_weight_decay = mask >> 3 & 1;
        static constexpr bool centered = mask >> 4 & 1;
        static constexpr bool momentum_positive = mask >> 5 & 1;
        static constexpr bool lr_in_momentum = mask >> 6 & 1;
        static constexpr bool lr_nonzero = mask >> 7 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(weight_decay_nonzero) << 2
            | Mask(decoupled_decay && weight_decay_nonzero) << 3
            | Mask(1) << 4
            | Mask(1) << 5
            | Mask(momentum_positive) << 6
            | Mask(corrected_weight_decay && decoupled_decay && weight_decay_nonzero) << 7;
        static constexpr Mask loaded =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2
            | Mask(momentum_positive) << 3
            | Mask(centered) << 4;
        static constexpr Mask stored =
            Mask(1) << 0
            | Mask(1) << 2
            | Mask(momentum_positive) << 3
            | Mask(centered) << 4;

        static void update(Number* const* streams, int64 count, const Number* row) {
            const Number param_factor = row[1];
            const Number one_minus_lr_times_weight_decay = row[2];
            const Number weight_decay = row[3];
            const Number alpha = row[4];
            const Number one_minus_alpha = row[5];
            const Number eps = row[6];
            const Number momentum = row[7];
            const Number lr = row[8];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict square_avg_ptr = streams[2];
            Number* __restrict momentum_buffer_ptr = streams[3];
            Number* __restrict grad_avg_ptr = streams[4];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number square_avg = square_avg_ptr[i];
                Number momentum_buffer = momentum_positive ? momentum_buffer_ptr[i] : Number(0);
                Number grad_avg = centered ? grad_avg_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                if constexpr (weight_decay_nonzero) {
                    if constexpr (decoupled_decay && corrected_weight_decay) {
                        if constexpr (lr_nonzero) {
                            // weight decay: param = param * (1 - lr ** 2 / where(max_lr_is_none, where(start_lr > 0,
                            //     start_lr, lr), max_lr) * weight_decay)
                            param = param * param_factor;
                        }
                    } else if constexpr (decoupled_decay) {
                        // weight decay: param = param * (1 - lr * weight_decay)
                        param = param * one_minus_lr_times_weight_decay;
                    } else {
                        // weight decay
                        grad = grad + weight_decay * param;
                    }
                }
                // square_avg = alpha * square_avg + (1 - alpha) * grad * grad
                square_avg = alpha * square_avg + one_minus_alpha * grad * grad;
                Number variance = square_avg;
                if constexpr (centered) {
                    // grad_avg = alpha * grad_avg + (1 - alpha) * grad
                    grad_avg = alpha * grad_avg + one_minus_alpha * grad;
                    variance = square_avg - grad_avg * grad_avg;
                }
                // avg = sqrt(variance + eps)
                Number avg = ops::square_root(variance + eps);
                if constexpr (momentum_positive) {
                    if constexpr (lr_in_momentum) {
                        momentum_buffer = momentum * momentum_buffer + lr * grad / avg;
                        param = param - momentum_buffer;
                    } else {
                        momentum_buffer = momentum * momentum_buffer + grad / avg;
                        param = param - lr * momentum_buffer;
                    }
                } else {
                    param = param - lr * grad / avg;
                }

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                square_avg_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(square_avg);
                if constexpr (momentum_positive)
                    momentum_buffer_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(momentum_buffer);
                if constexpr (centered)
                    grad_avg_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_4>(grad_avg);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
