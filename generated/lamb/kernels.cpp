// Generated from specs/lamb.yaml by thetac 0.1.0; do not edit.
//
// LAMB on a CPU: one step of some elements.
// Compiled for the conditions of a group. docs/cpp.md describes how it is called.
// The dtypes of the streams, and what the group decides, are given on the compiler's command line.

#include "passes.h"

namespace {

using thetac::canonicalize_nan;
using thetac::int64;
using thetac::Mask;
namespace ops = thetac::ops;

struct Rule {
    using Number = thetac::Arithmetic<thetac::THETAC_DTYPE_0>::Number;

    static constexpr int STREAMS = 4;
    static constexpr int ENTRIES = 12;  // of a row
    static constexpr int CONDITIONS = 0;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // exp_avg
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // exp_avg_sq
    };

    // What is computed per parameter, row and column. Addresses are those of the streams, then those of small states.
    static constexpr int COLUMNS = 4;
    static constexpr int NUMBERS = 3;  // per parameter, in double
    static constexpr int VECTORS = 0;
    static constexpr int FURTHER = 2;  // pointers of a sweep, after those of the streams
    static constexpr bool HAS_AXES = false;
    static constexpr thetac::Extent vectors[] = {thetac::Extent::PARAMETER};
    static constexpr thetac::Fold folds_0[] = {
        {thetac::FoldOp::SQUARES, thetac::Extent::PARAMETER, 4, 0},  // sum_param_squared
        {thetac::FoldOp::SQUARES, thetac::Extent::PARAMETER, 5, 1},  // sum_direction_squared
    };
    static constexpr thetac::PassFacts facts[] = {
        {true, nullptr, 0, folds_0, 2},
        {true, nullptr, 0, nullptr, 0},
    };
    static constexpr bool has_program[] = {false, true};  // before the sweep

    // What a parameter group decides. There are too many combinations to compile them all.
    static constexpr bool holds[] = {THETAC_HOLDS};

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number*) {
        Mask mask = 0;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = holds[0];
        static constexpr bool weight_decay_nonzero = holds[1];
        static constexpr bool decoupled_decay = holds[2];
        static constexpr bool corrected_weight_decay = holds[3];
        static constexpr bool grad_averaging = holds[4];
        static constexpr bool bias_correction = holds[5];
        static constexpr bool always_adapt = holds[6];
        static constexpr bool trust_clip = holds[7];

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions = 0;
        static constexpr Mask loaded =
            Mask(always_adapt || weight_decay_nonzero) << 0
            | Mask(1) << 1
            | Mask(1) << 2
            | Mask(1) << 3;
        static constexpr Mask stored =
            Mask(1) << 2
            | Mask(1) << 3;
        static constexpr Mask read = 0;
        static constexpr Mask folded =
            Mask(always_adapt || weight_decay_nonzero) << 0
            | Mask(always_adapt || weight_decay_nonzero) << 1;
        static constexpr Mask loaded_1 =
            Mask(1) << 0
            | Mask(1) << 2
            | Mask(1) << 3;
        static constexpr Mask stored_1 =
            Mask(1) << 0;
        static constexpr Mask read_1 = 0;
        static constexpr Mask folded_1 = 0;

        static void before_1(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            Number& sum_param_squared = tensor.numbers[0];
            Number& sum_direction_squared = tensor.numbers[1];
            Number& new_trust_ratio = tensor.numbers[2];
            Number norm_param = 0;
            Number norm_direction = 0;
            Number trust_ratio = 0;
            if constexpr (weight_decay_nonzero || always_adapt) {
                // norm_param = sqrt(sum_param_squared)
                norm_param = ops::square_root(sum_param_squared);
                // norm_direction = sqrt(sum_direction_squared)
                norm_direction = ops::square_root(sum_direction_squared);
                // trust_ratio = where(norm_param > 0 and norm_direction > 0, norm_param / norm_direction, 1)
                trust_ratio = norm_param > Number(0.0) && norm_direction > Number(0.0) ? norm_param / norm_direction
                    : Number(1.0);
                if constexpr (trust_clip) {
                    // trust_ratio = minimum(trust_ratio, 1)
                    trust_ratio = ops::minimum(trust_ratio, Number(1.0));
                }
                new_trust_ratio = trust_ratio;
            }
        }

        static void update(Number* const* streams, int64 count, const Number* row, const double*) {
            const bool lr_nonzero = row[0] != 0;
            const Number param_factor = row[1];
            const Number one_minus_lr_times_weight_decay = row[2];
            const Number one_minus_beta1 = row[3];
            const Number beta1 = row[4];
            const Number beta2 = row[5];
            const Number one_minus_beta2 = row[6];
            const Number scale = row[7];
            const Number bias_correction1_times_eps = row[8];
            const Number eps = row[9];
            const Number weight_decay = row[10];
            const Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict exp_avg_ptr = streams[2];
            Number* __restrict exp_avg_sq_ptr = streams[3];
            Number* __restrict param_squared_ptr = streams[4];
            Number* __restrict direction_squared_ptr = streams[5];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = always_adapt || weight_decay_nonzero ? param_ptr[i] : Number(0);
                Number grad = grad_ptr[i];
                Number exp_avg = exp_avg_ptr[i];
                Number exp_avg_sq = exp_avg_sq_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                if constexpr (weight_decay_nonzero) {
                    if constexpr (decoupled_decay && corrected_weight_decay) {
                        if (lr_nonzero) {
                            // weight decay: param = param * (1 - lr ** 2 / where(max_lr_is_none, where(start_lr > 0,
                            //     start_lr, lr), max_lr) * weight_decay)
                            param = param * param_factor;
                        }
                    } else if constexpr (decoupled_decay) {
                        // weight decay: param = param * (1 - lr * weight_decay)
                        param = param * one_minus_lr_times_weight_decay;
                    }
                }
                if constexpr (grad_averaging) {
                    // exp_avg = lerp(exp_avg, grad, 1 - beta1)
                    exp_avg = ops::lerp(exp_avg, grad, one_minus_beta1);
                } else {
                    exp_avg = beta1 * exp_avg + grad;
                }
                // exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
                exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * grad * grad;
                Number denom = 0;
                Number direction = 0;
                if constexpr (bias_correction) {
                    // denom = sqrt(exp_avg_sq) * scale + bias_correction1 * eps
                    denom = ops::square_root(exp_avg_sq) * scale + bias_correction1_times_eps;
                    direction = exp_avg / denom;
                } else {
                    // direction = exp_avg / (sqrt(exp_avg_sq) + eps)
                    direction = exp_avg / (ops::square_root(exp_avg_sq) + eps);
                }
                if constexpr (weight_decay_nonzero && !decoupled_decay) {
                    direction = direction + weight_decay * param;
                }
                Number param_squared = 0;
                Number direction_squared = 0;
                if constexpr (weight_decay_nonzero || always_adapt) {
                    // param_squared = param * param
                    param_squared = param;
                    // direction_squared = direction * direction
                    direction_squared = direction;
                }

                exp_avg_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(exp_avg);
                exp_avg_sq_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(exp_avg_sq);
                if constexpr (always_adapt || weight_decay_nonzero)
                    param_squared_ptr[i] = param_squared;
                if constexpr (always_adapt || weight_decay_nonzero)
                    direction_squared_ptr[i] = direction_squared;
            }
        }

        static void update_1(Number* const* streams, int64 count, const Number* row, const double* numbers) {
            const bool lr_nonzero = row[0] != 0;
            const Number param_factor = row[1];
            const Number one_minus_lr_times_weight_decay = row[2];
            const Number scale = row[7];
            const Number bias_correction1_times_eps = row[8];
            const Number eps = row[9];
            const Number weight_decay = row[10];
            const Number lr = row[11];
            const Number new_trust_ratio = Number(numbers[2]);
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict exp_avg_ptr = streams[2];
            const Number* __restrict exp_avg_sq_ptr = streams[3];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number exp_avg = exp_avg_ptr[i];
                Number exp_avg_sq = exp_avg_sq_ptr[i];

                if constexpr (weight_decay_nonzero) {
                    if constexpr (decoupled_decay && corrected_weight_decay) {
                        if (lr_nonzero) {
                            // weight decay: param = param * (1 - lr ** 2 / where(max_lr_is_none, where(start_lr > 0,
                            //     start_lr, lr), max_lr) * weight_decay)
                            param = param * param_factor;
                        }
                    } else if constexpr (decoupled_decay) {
                        // weight decay: param = param * (1 - lr * weight_decay)
                        param = param * one_minus_lr_times_weight_decay;
                    }
                }
                Number denom = 0;
                Number direction = 0;
                if constexpr (bias_correction) {
                    // denom = sqrt(exp_avg_sq) * scale + bias_correction1 * eps
                    denom = ops::square_root(exp_avg_sq) * scale + bias_correction1_times_eps;
                    direction = exp_avg / denom;
                } else {
                    // direction = exp_avg / (sqrt(exp_avg_sq) + eps)
                    direction = exp_avg / (ops::square_root(exp_avg_sq) + eps);
                }
                if constexpr (weight_decay_nonzero && !decoupled_decay) {
                    direction = direction + weight_decay * param;
                }
                if constexpr (weight_decay_nonzero || always_adapt) {
                    direction = new_trust_ratio * direction;
                }
                param = param - lr * direction;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
            }
        }

        static constexpr thetac::PassCode<Number> passes[] = {
            {&update, loaded, stored, read, folded, nullptr},
            {&update_1, loaded_1, stored_1, read_1, folded_1, &before_1},
        };
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Passes<Rule>(*launch).run(); }

__INT64_TYPE__ thetac_prepare(const ThetacLaunch* launch) { return thetac::prepare<Rule>(*launch); }
