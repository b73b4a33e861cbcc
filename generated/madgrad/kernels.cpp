// Generated from specs/madgrad.yaml by thetac 0.1.0; do not edit.
//
// MADGRAD on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 5;  // of a row
    static constexpr int CONDITIONS = 5;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // grad_sum_sq
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // s
        thetac::access_of<Number, thetac::THETAC_DTYPE_4>(),  // x0
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
        static constexpr bool decouple_decay = mask >> 2 & 1;
        static constexpr bool momentum_nonzero = mask >> 3 & 1;
        static constexpr bool eps_zero = mask >> 4 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2
            | Mask(1) << 3
            | Mask(1) << 4;
        static constexpr Mask loaded =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2
            | Mask(1) << 3
            | Mask(momentum_nonzero) << 4;
        static constexpr Mask stored =
            Mask(1) << 0
            | Mask(1) << 2
            | Mask(1) << 3;

        static void update(Number* const* streams, int64 count, const Number* row) {
            const Number weight_decay = row[0];
            const Number eps = row[1];
            const Number weight = row[2];
            const Number one_minus_momentum = row[3];
            const Number rate_times_weight_decay = row[4];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict grad_sum_sq_ptr = streams[2];
            Number* __restrict s_ptr = streams[3];
            const Number* __restrict x0_ptr = streams[4];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number grad_sum_sq = grad_sum_sq_ptr[i];
                Number s = s_ptr[i];
                Number x0 = momentum_nonzero ? x0_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                if constexpr (weight_decay_nonzero) {
                    if constexpr (!decouple_decay) {
                        // weight decay
                        grad = grad + weight_decay * param;
                    }
                }
                Number before = param;
                Number start = 0;
                Number last_root = 0;
                if constexpr (momentum_nonzero) {
                    start = x0;
                } else {
                    // last_root = cbrt(grad_sum_sq) + eps
                    last_root = ops::cbrt(grad_sum_sq) + eps;
                    if constexpr (eps_zero) {
                        // last_root = where(last_root == 0, inf, last_root)
                        last_root = last_root == Number(0.0) ? Number(__builtin_inf()) : last_root;
                    }
                    start = param + s / last_root;
                }
                grad_sum_sq = grad_sum_sq + weight * grad * grad;
                // root = cbrt(grad_sum_sq) + eps
                Number root = ops::cbrt(grad_sum_sq) + eps;
                if constexpr (eps_zero) {
                    // root = where(root == 0, inf, root)
                    root = root == Number(0.0) ? Number(__builtin_inf()) : root;
                }
                s = s + weight * grad;
                // dual averaging
                Number z = start - s / root;
                // param = lerp(param, z, 1 - momentum)
                param = ops::lerp(param, z, one_minus_momentum);
                if constexpr (decouple_decay && weight_decay_nonzero) {
                    // param = param - rate * weight_decay * before
                    param = param - rate_times_weight_decay * before;
                }

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                grad_sum_sq_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(grad_sum_sq);
                s_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(s);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
