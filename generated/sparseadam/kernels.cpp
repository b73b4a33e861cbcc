// Generated from specs/sparse_adam.yaml by thetac 0.1.0; do not edit.
//
// SparseAdam on a CPU: one step of some elements.
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
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // exp_avg
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // exp_avg_sq
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
            const Number one_minus_beta1 = row[0];
            const Number one_minus_beta2 = row[1];
            const Number minus_step_size = row[2];
            const Number eps = row[3];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict exp_avg_ptr = streams[2];
            Number* __restrict exp_avg_sq_ptr = streams[3];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number exp_avg = exp_avg_ptr[i];
                Number exp_avg_sq = exp_avg_sq_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                // exp_avg = exp_avg + (grad - exp_avg) * (1 - beta1)
                exp_avg = exp_avg + (grad - exp_avg) * one_minus_beta1;
                // exp_avg_sq = exp_avg_sq + (grad * grad - exp_avg_sq) * (1 - beta2)
                exp_avg_sq = exp_avg_sq + (grad * grad - exp_avg_sq) * one_minus_beta2;
                // change = -step_size * (exp_avg / (sqrt(exp_avg_sq) + eps))
                Number change = minus_step_size * (exp_avg / (ops::square_root(exp_avg_sq) + eps));
                param = param + change;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                exp_avg_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(exp_avg);
                exp_avg_sq_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(exp_avg_sq);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
