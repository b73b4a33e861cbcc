// Generated from specs/schedule_free_sgd.yaml by thetac 0.1.0; do not edit.
//
// ScheduleFreeSGD on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 1;  // of a row
    static constexpr int CONDITIONS = 0;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // z
    };

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number*) {
        Mask mask = 0;
        return mask;
    }

    template <Mask mask>
    struct Kernel {

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions = 0;
        static constexpr Mask loaded =
            Mask(1) << 0
            | Mask(1) << 2;
        static constexpr Mask stored =
            Mask(1) << 0;

        static void update(Number* const* streams, int64 count, const Number* row) {
            const Number one_minus_one_over_momentum = row[0];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict z_ptr = streams[2];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number z = z_ptr[i];

                // param = lerp(param, z, 1 - 1 / momentum)
                param = ops::lerp(param, z, one_minus_one_over_momentum);

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
