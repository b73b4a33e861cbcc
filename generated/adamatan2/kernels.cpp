// Generated from specs/adam_atan2.yaml by thetac 0.1.0; do not edit.
//
// AdamAtan2 on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 7;  // of a row
    static constexpr int CONDITIONS = 4;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // exp_avg
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // exp_avg_sq
        thetac::access_of<Number, thetac::THETAC_DTYPE_4>(),  // param_init
    };

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number*) {
        Mask mask = 0;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = mask >> 0 & 1;
        static constexpr bool regen_reg_rate_positive = mask >> 1 & 1;
        static constexpr bool weight_decay_positive = mask >> 2 & 1;
        static constexpr bool cautious_wd = mask >> 3 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2
            | Mask(weight_decay_positive) << 3;
        static constexpr Mask loaded =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2
            | Mask(1) << 3
            | Mask(regen_reg_rate_positive) << 4;
        static constexpr Mask stored =
            Mask(1) << 0
            | Mask(1) << 2
            | Mask(1) << 3;

        static void update(Number* const* streams, int64 count, const Number* row) {
            const Number rate_times_regen_reg_rate = row[0];
            const Number one_minus_beta1 = row[1];
            const Number one_minus_beta2 = row[2];
            const Number exp_avg_sq_factor = row[3];
            const Number one_over_one_minus_beta1_pow_step = row[4];
            const Number one_minus_rate_times_weight_decay = row[5];
            const Number lr_times_a = row[6];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict exp_avg_ptr = streams[2];
            Number* __restrict exp_avg_sq_ptr = streams[3];
            const Number* __restrict param_init_ptr = streams[4];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number exp_avg = exp_avg_ptr[i];
                Number exp_avg_sq = exp_avg_sq_ptr[i];
                Number param_init = regen_reg_rate_positive ? param_init_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                if constexpr (regen_reg_rate_positive) {
                    // param = lerp(param, param_init, rate * regen_reg_rate)
                    param = ops::lerp(param, param_init, rate_times_regen_reg_rate);
                }
                // exp_avg = lerp(exp_avg, grad, 1 - beta1)
                exp_avg = ops::lerp(exp_avg, grad, one_minus_beta1);
                // exp_avg_sq = lerp(exp_avg_sq, grad * grad, 1 - beta2)
                exp_avg_sq = ops::lerp(exp_avg_sq, grad * grad, one_minus_beta2);
                // denom = sqrt(exp_avg_sq * (b * b / (1 - beta2 ** step)))
                Number denom = ops::square_root(exp_avg_sq * exp_avg_sq_factor);
                // direction = atan2(exp_avg * (1 / (1 - beta1 ** step)), denom)
                Number direction = ops::atan2(exp_avg * one_over_one_minus_beta1_pow_step, denom);
                if constexpr (weight_decay_positive && !cautious_wd) {
                    // param = param * (1 - rate * weight_decay)
                    param = param * one_minus_rate_times_weight_decay;
                }
                if constexpr (weight_decay_positive && cautious_wd) {
                    // param = where(direction * param > 0, param * (1 - rate * weight_decay), param)
                    param = direction * param > Number(0.0) ? param * one_minus_rate_times_weight_decay : param;
                }
                // param = param - lr * a * direction
                param = param - lr_times_a * direction;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                exp_avg_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(exp_avg);
                exp_avg_sq_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(exp_avg_sq);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
