// Generated from specs/rprop.yaml by thetac 0.1.0; do not edit.
//
// Rprop on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 4;  // of a row
    static constexpr int CONDITIONS = 1;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // prev
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // step_size
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
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2
            | Mask(1) << 3;
        static constexpr Mask stored =
            Mask(1) << 0
            | Mask(1) << 2
            | Mask(1) << 3;

        static void update(Number* const* streams, int64 count, const Number* row) {
            const Number etaplus = row[0];
            const Number etaminus = row[1];
            const Number step_size_min = row[2];
            const Number step_size_max = row[3];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict prev_ptr = streams[2];
            Number* __restrict step_size_ptr = streams[3];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number prev = prev_ptr[i];
                Number step_size = step_size_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                // its sign is what counts
                Number agreement = grad * prev;
                // factor = where(agreement > 0, etaplus, where(agreement < 0, etaminus, 1))
                Number factor = agreement > Number(0.0) ? etaplus : (agreement < Number(0.0) ? etaminus : Number(1.0));
                // step_size = clamp(step_size * factor, step_size_min, step_size_max)
                step_size = ops::clamp(step_size * factor, step_size_min, step_size_max);
                // a changed sign takes no step: prev = where(agreement < 0, 0, grad)
                prev = agreement < Number(0.0) ? Number(0.0) : grad;
                // param = param - sign(prev) * step_size
                param = param - ops::sign(prev) * step_size;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                prev_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(prev);
                step_size_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(step_size);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
