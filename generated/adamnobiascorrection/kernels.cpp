// Generated from specs/textbook/adam_no_bias_correction.yaml by thetac 0.1.0; do not edit.
//
// AdamNoBiasCorrection on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 6;  // of a row
    static constexpr int CONDITIONS = 1;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // m
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // v
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
            const Number beta1 = row[0];
            const Number one_minus_beta1 = row[1];
            const Number beta2 = row[2];
            const Number one_minus_beta2 = row[3];
            const Number lr = row[4];
            const Number eps = row[5];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict m_ptr = streams[2];
            Number* __restrict v_ptr = streams[3];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number m = m_ptr[i];
                Number v = v_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                // m = beta1 * m + (1 - beta1) * grad
                m = beta1 * m + one_minus_beta1 * grad;
                // v = beta2 * v + (1 - beta2) * (grad * grad)
                v = beta2 * v + one_minus_beta2 * (grad * grad);
                // param = param - lr * m / (sqrt(v) + eps)
                param = param - lr * m / (ops::square_root(v) + eps);

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                m_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(m);
                v_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(v);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
