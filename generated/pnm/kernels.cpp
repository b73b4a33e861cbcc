// Generated from specs/pnm.yaml by thetac 0.1.0; do not edit.
//
// PNM on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 8;  // of a row
    static constexpr int CONDITIONS = 4;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // pos_momentum
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // neg_momentum
    };

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number* row) {
        Mask mask = 0;
        mask |= Mask(row[2] != 0) << 3;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = mask >> 0 & 1;
        static constexpr bool weight_decay_nonzero = mask >> 1 & 1;
        static constexpr bool decoupled = mask >> 2 & 1;
        static constexpr bool step_mod_two_equal_to_one = mask >> 3 & 1;

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
            const Number beta1_squared = row[3];
            const Number one_minus_beta1_squared = row[4];
            const Number one_plus_beta2 = row[5];
            const Number beta2 = row[6];
            const Number lr_over_noise_norm = row[7];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict pos_momentum_ptr = streams[2];
            Number* __restrict neg_momentum_ptr = streams[3];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number pos_momentum = pos_momentum_ptr[i];
                Number neg_momentum = neg_momentum_ptr[i];

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
                Number direction = 0;
                if constexpr (step_mod_two_equal_to_one) {
                    // pos_momentum = beta1 ** 2 * pos_momentum + (1 - beta1 ** 2) * grad
                    pos_momentum = beta1_squared * pos_momentum + one_minus_beta1_squared * grad;
                    // direction = (1 + beta2) * pos_momentum - beta2 * neg_momentum
                    direction = one_plus_beta2 * pos_momentum - beta2 * neg_momentum;
                } else {
                    // neg_momentum = beta1 ** 2 * neg_momentum + (1 - beta1 ** 2) * grad
                    neg_momentum = beta1_squared * neg_momentum + one_minus_beta1_squared * grad;
                    // direction = (1 + beta2) * neg_momentum - beta2 * pos_momentum
                    direction = one_plus_beta2 * neg_momentum - beta2 * pos_momentum;
                }
                // param = param - lr / noise_norm * direction
                param = param - lr_over_noise_norm * direction;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                pos_momentum_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(pos_momentum);
                neg_momentum_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(neg_momentum);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
