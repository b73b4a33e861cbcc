// Generated from specs/adadelta.yaml by thetac 0.1.0; do not edit.
//
// Adadelta on a CPU: one step of some elements.
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
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // square_avg
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // acc_delta
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
            | Mask(1) << 2
            | Mask(1) << 3;

        static void update(Number* const* streams, int64 count, const Number* row) {
            const Number weight_decay = row[0];
            const Number rho = row[1];
            const Number one_minus_rho = row[2];
            const Number eps = row[3];
            const Number lr = row[4];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict square_avg_ptr = streams[2];
            Number* __restrict acc_delta_ptr = streams[3];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number square_avg = square_avg_ptr[i];
                Number acc_delta = acc_delta_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                if constexpr (weight_decay_nonzero) {
                    // weight decay
                    grad = grad + weight_decay * param;
                }
                // mean squared gradient: square_avg = rho * square_avg + (1 - rho) * grad * grad
                square_avg = rho * square_avg + one_minus_rho * grad * grad;
                // delta = sqrt(acc_delta + eps) / sqrt(square_avg + eps) * grad
                Number delta = ops::square_root(acc_delta + eps) / ops::square_root(square_avg + eps) * grad;
                // mean squared update: acc_delta = rho * acc_delta + (1 - rho) * delta * delta
                acc_delta = rho * acc_delta + one_minus_rho * delta * delta;
                param = param - lr * delta;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                square_avg_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(square_avg);
                acc_delta_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(acc_delta);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
