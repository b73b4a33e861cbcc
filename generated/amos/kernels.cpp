// Generated from specs/amos.yaml by thetac 0.1.0; do not edit.
//
// Amos on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 13;  // of a row
    static constexpr int CONDITIONS = 3;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // v
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // b
        thetac::access_of<Number, thetac::THETAC_DTYPE_4>(),  // ema
    };

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number*) {
        Mask mask = 0;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = mask >> 0 & 1;
        static constexpr bool choice_of_clip_value_is_none_zero_clip_value_positive = mask >> 1 & 1;
        static constexpr bool choice_of_momentum_is_none_zero_momentum_positive = mask >> 2 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2;
        static constexpr Mask loaded =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2
            | Mask(1) << 3
            | Mask(choice_of_momentum_is_none_zero_momentum_positive) << 4;
        static constexpr Mask stored =
            Mask(1) << 0
            | Mask(1) << 2
            | Mask(1) << 3
            | Mask(choice_of_momentum_is_none_zero_momentum_positive) << 4;

        static void update(Number* const* streams, int64 count, const Number* row) {
            const Number minus_clip_value_or_default = row[0];
            const Number clip_value_or_default = row[1];
            const Number beta = row[2];
            const Number one_minus_beta = row[3];
            const Number one_minus_beta_pow_step = row[4];
            const Number epsilon = row[5];
            const Number c_coef_times_sqrt_lr = row[6];
            const Number lr_squared = row[7];
            const Number d_coef_times_sqrt_init_lr = row[8];
            const Number extra_l2 = row[9];
            const Number init_lr = row[10];
            const Number momentum_or_default = row[11];
            const Number one_minus_momentum_or_default = row[12];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict v_ptr = streams[2];
            Number* __restrict b_ptr = streams[3];
            Number* __restrict ema_ptr = streams[4];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number v = v_ptr[i];
                Number b = b_ptr[i];
                Number ema = choice_of_momentum_is_none_zero_momentum_positive ? ema_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                Number clipped = grad;
                if constexpr (choice_of_clip_value_is_none_zero_clip_value_positive) {
                    // clipped = clamp(grad, -clip_value_or_default, clip_value_or_default)
                    clipped = ops::clamp(grad, minus_clip_value_or_default, clip_value_or_default);
                }
                Number g2 = clipped * clipped;
                // v = v * beta + g2 * (1 - beta)
                v = v * beta + g2 * one_minus_beta;
                // rcpl_v_hat = (1 - beta ** step) / maximum(v, epsilon)
                Number rcpl_v_hat = one_minus_beta_pow_step / ops::maximum(v, epsilon);
                // decay_factor_c = 1 / sqrt(1 + c_coef * sqrt(lr) * b)
                Number decay_factor_c = Number(1.0) / ops::square_root(Number(1.0) + c_coef_times_sqrt_lr * b);
                // gamma = decay_factor_c * lr ** 2 * rcpl_v_hat * g2
                Number gamma = decay_factor_c * lr_squared * rcpl_v_hat * g2;
                // decay_factor_d = 1 / (1 + d_coef * sqrt(init_lr) * b)
                Number decay_factor_d = Number(1.0) / (Number(1.0) + d_coef_times_sqrt_init_lr * b);
                // change = decay_factor_d * ((-0.5 * gamma - extra_l2) * param - init_lr * sqrt(rcpl_v_hat) * clipped)
                Number change = decay_factor_d * ((Number(-0.5) * gamma - extra_l2) * param - init_lr *
                    ops::square_root(rcpl_v_hat) * clipped);
                // b = b + gamma * (1 + b)
                b = b + gamma * (Number(1.0) + b);
                if constexpr (choice_of_momentum_is_none_zero_momentum_positive) {
                    // ema = momentum_or_default * ema + (1 - momentum_or_default) * change
                    ema = momentum_or_default * ema + one_minus_momentum_or_default * change;
                    change = ema;
                }
                param = param + change;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                v_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(v);
                b_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(b);
                if constexpr (choice_of_momentum_is_none_zero_momentum_positive)
                    ema_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_4>(ema);
            }
        }
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Step<Rule>(*launch).run(); }
