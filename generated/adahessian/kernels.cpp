// Generated from specs/adahessian.yaml by thetac 0.1.0; do not edit.
//
// AdaHessian on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 7;  // of a row
    static constexpr int CONDITIONS = 2;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // exp_avg
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // exp_hessian_diag_sq
    };

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number*) {
        Mask mask = 0;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = mask >> 0 & 1;
        static constexpr bool hessian_power_not_one = mask >> 1 & 1;

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
            const Number beta1 = row[0];
            const Number one_minus_beta1 = row[1];
            const Number hessian_power = row[2];
            const Number rate = row[3];
            const Number correction = row[4];
            const Number eps = row[5];
            const Number lr_times_weight_decay = row[6];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict exp_avg_ptr = streams[2];
            const Number* __restrict exp_hessian_diag_sq_ptr = streams[3];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number exp_avg = exp_avg_ptr[i];
                Number exp_hessian_diag_sq = exp_hessian_diag_sq_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                // exp_avg = beta1 * exp_avg + (1 - beta1) * grad
                exp_avg = beta1 * exp_avg + one_minus_beta1 * grad;
                // curvature = sqrt(exp_hessian_diag_sq)
                Number curvature = ops::square_root(exp_hessian_diag_sq);
                // a power takes much more than all the rest
                if constexpr (hessian_power_not_one) {
                    // curvature = curvature ** hessian_power
                    curvature = ops::power(curvature, hessian_power);
                }
                // param = param - (rate * exp_avg / (curvature / correction + eps) + lr * weight_decay * param)
                param = param - (rate * exp_avg / (curvature / correction + eps) + lr_times_weight_decay * param);

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                exp_avg_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(exp_avg);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
