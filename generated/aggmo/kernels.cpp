// Generated from specs/aggmo.yaml by thetac 0.1.0; do not edit.
//
// AggMo on a CPU: one step of some elements.
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
    static constexpr int CONDITIONS = 2;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // velocity1
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // velocity2
        thetac::access_of<Number, thetac::THETAC_DTYPE_4>(),  // velocity3
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
            | Mask(1) << 3
            | Mask(1) << 4;
        static constexpr Mask stored =
            Mask(1) << 0
            | Mask(1) << 2
            | Mask(1) << 3
            | Mask(1) << 4;

        static void update(Number* const* streams, int64 count, const Number* row) {
            const Number weight_decay = row[0];
            const Number beta1 = row[1];
            const Number lr_over_three = row[2];
            const Number beta2 = row[3];
            const Number beta3 = row[4];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict velocity1_ptr = streams[2];
            Number* __restrict velocity2_ptr = streams[3];
            Number* __restrict velocity3_ptr = streams[4];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number velocity1 = velocity1_ptr[i];
                Number velocity2 = velocity2_ptr[i];
                Number velocity3 = velocity3_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                if constexpr (weight_decay_nonzero) {
                    // weight decay
                    grad = grad + weight_decay * param;
                }
                velocity1 = beta1 * velocity1 + grad;
                // param = param - lr / 3 * velocity1
                param = param - lr_over_three * velocity1;
                velocity2 = beta2 * velocity2 + grad;
                // param = param - lr / 3 * velocity2
                param = param - lr_over_three * velocity2;
                velocity3 = beta3 * velocity3 + grad;
                // param = param - lr / 3 * velocity3
                param = param - lr_over_three * velocity3;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                velocity1_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(velocity1);
                velocity2_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(velocity2);
                velocity3_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_4>(velocity3);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
