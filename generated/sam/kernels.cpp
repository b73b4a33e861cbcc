// Generated from specs/sam.yaml by thetac 0.1.0; do not edit.
//
// SAM on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 5;  // of a row
    static constexpr int CONDITIONS = 5;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // momentum_buffer
    };

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number* row) {
        Mask mask = 0;
        mask |= Mask(row[1] != 0) << 4;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = mask >> 0 & 1;
        static constexpr bool weight_decay_nonzero = mask >> 1 & 1;
        static constexpr bool momentum_nonzero = mask >> 2 & 1;
        static constexpr bool nesterov = mask >> 3 & 1;
        static constexpr bool first_momentum_buffer = mask >> 4 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2
            | Mask(momentum_nonzero) << 3
            | Mask(momentum_nonzero) << 4;
        static constexpr Mask loaded =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(momentum_nonzero) << 2;
        static constexpr Mask stored =
            Mask(1) << 0
            | Mask(momentum_nonzero) << 2;

        static void update(Number* const* streams, int64 count, const Number* row) {
            const Number weight_decay = row[0];
            const Number momentum = row[2];
            const Number one_minus_dampening = row[3];
            const Number lr = row[4];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict momentum_buffer_ptr = streams[2];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number momentum_buffer = momentum_nonzero ? momentum_buffer_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                if constexpr (weight_decay_nonzero) {
                    // weight decay
                    grad = grad + weight_decay * param;
                }
                Number direction = grad;
                if constexpr (momentum_nonzero) {
                    if constexpr (first_momentum_buffer) {
                        momentum_buffer = grad;
                    } else {
                        // momentum_buffer = momentum * momentum_buffer + (1 - dampening) * grad
                        momentum_buffer = momentum * momentum_buffer + one_minus_dampening * grad;
                    }
                    if constexpr (nesterov) {
                        direction = grad + momentum * momentum_buffer;
                    } else {
                        direction = momentum_buffer;
                    }
                }
                param = param - lr * direction;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                if constexpr (momentum_nonzero)
                    momentum_buffer_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(momentum_buffer);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
