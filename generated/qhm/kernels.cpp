// Generated from specs/qhm.yaml by thetac 0.1.0; do not edit.
//
// QHM on a CPU: one step of some elements.
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

    static constexpr int STREAMS = 3;
    static constexpr int ENTRIES = 6;  // of a row
    static constexpr int CONDITIONS = 3;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // momentum_buffer
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
        static constexpr bool weight_decay_type_is_direct = mask >> 2 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(weight_decay_nonzero) << 2;
        static constexpr Mask loaded =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2;
        static constexpr Mask stored =
            Mask(1) << 0
            | Mask(1) << 2;

        static void update(Number* const* streams, int64 count, const Number* row) {
            const Number one_minus_lr_times_weight_decay = row[0];
            const Number weight_decay = row[1];
            const Number momentum = row[2];
            const Number one_minus_momentum = row[3];
            const Number lr_times_nu = row[4];
            const Number lr_times_one_minus_nu = row[5];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict momentum_buffer_ptr = streams[2];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number momentum_buffer = momentum_buffer_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                if constexpr (weight_decay_nonzero) {
                    if constexpr (weight_decay_type_is_direct) {
                        // weight decay: param = param * (1 - lr * weight_decay)
                        param = param * one_minus_lr_times_weight_decay;
                    } else {
                        // weight decay
                        grad = grad + weight_decay * param;
                    }
                }
                // momentum_buffer = momentum * momentum_buffer + (1 - momentum) * grad
                momentum_buffer = momentum * momentum_buffer + one_minus_momentum * grad;
                // param = param - lr * nu * momentum_buffer
                param = param - lr_times_nu * momentum_buffer;
                // param = param - lr * (1 - nu) * grad
                param = param - lr_times_one_minus_nu * grad;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                momentum_buffer_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(momentum_buffer);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
