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

    static constexpr int STREAMS = 3;
    static constexpr int ENTRIES = 2;  // of a row
    static constexpr int CONDITIONS = 1;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // hessian
    };

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number*) {
        Mask mask = 0;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = mask >> 0 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0;
        static constexpr Mask loaded =
            Mask(1) << 1
            | Mask(1) << 2;
        static constexpr Mask stored =
            Mask(1) << 2;

        static void update(Number* const* streams, int64 count, const Number* row) {
            const Number beta2 = row[0];
            const Number one_minus_beta2 = row[1];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict hessian_ptr = streams[2];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number grad = grad_ptr[i];
                Number hessian = hessian_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                // hessian = beta2 * hessian + (1 - beta2) * grad
                hessian = beta2 * hessian + one_minus_beta2 * grad;

                hessian_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(hessian);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
