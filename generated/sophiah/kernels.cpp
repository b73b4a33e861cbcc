// Generated from specs/sophia_h.yaml by thetac 0.1.0; do not edit.
//
// SophiaH on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 5;  // of a row
    static constexpr int CONDITIONS = 2;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // exp_avg
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // hessian
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

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1;
        static constexpr Mask loaded =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2
            | Mask(1) << 3;
        static constexpr Mask stored =
            Mask(1) << 0
            | Mask(1) << 2;

        static void update(Number* const* streams, int64 count, const Number* row) {
            const Number one_minus_lr_times_weight_decay = row[0];
            const Number beta1 = row[1];
            const Number one_minus_beta1 = row[2];
            const Number gamma = row[3];
            const Number lr_over_one_minus_beta1_pow_step = row[4];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict exp_avg_ptr = streams[2];
            const Number* __restrict hessian_ptr = streams[3];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number exp_avg = exp_avg_ptr[i];
                Number hessian = hessian_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                if constexpr (weight_decay_nonzero) {
                    // weight decay: param = param * (1 - lr * weight_decay)
                    param = param * one_minus_lr_times_weight_decay;
                }
                // exp_avg = beta1 * exp_avg + (1 - beta1) * grad
                exp_avg = beta1 * exp_avg + one_minus_beta1 * grad;
                // ratio = minimum(abs(exp_avg) / (gamma * maximum(hessian, 0) + 1e-12), 1)
                Number ratio = ops::minimum(ops::absolute(exp_avg) / (gamma * ops::maximum(hessian, Number(0.0)) +
                    Number(1e-12)), Number(1.0));
                // param = param - lr / (1 - beta1 ** step) * sign(exp_avg) * ratio
                param = param - lr_over_one_minus_beta1_pow_step * ops::sign(exp_avg) * ratio;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                exp_avg_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(exp_avg);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
