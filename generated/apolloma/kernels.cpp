// Generated from specs/apollo_ma.yaml by thetac 0.1.0; do not edit.
//
// ApolloMa on a CPU: one step of some elements.
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

    static constexpr int STREAMS = 5;
    static constexpr int ENTRIES = 8;  // of a row
    static constexpr int CONDITIONS = 0;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // exp_avg_grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // approx_hessian
        thetac::access_of<Number, thetac::THETAC_DTYPE_4>(),  // direction
    };

    // What is computed per parameter, row and column. Addresses are those of the streams, then those of small states.
    static constexpr int COLUMNS = 5;
    static constexpr int NUMBERS = 8;  // per parameter, in double
    static constexpr int VECTORS = 0;
    static constexpr int FURTHER = 2;  // pointers of a sweep, after those of the streams
    static constexpr bool HAS_AXES = false;
    static constexpr thetac::Extent vectors[] = {thetac::Extent::PARAMETER};
    static constexpr thetac::Fold folds_0[] = {
        {thetac::FoldOp::SUM, thetac::Extent::PARAMETER, 5, 0},  // sum_direction_squared_squared
        {thetac::FoldOp::MAX, thetac::Extent::PARAMETER, 6, 1},  // max_abs_delta_grad
    };
    static constexpr thetac::Fold folds_1[] = {
        {thetac::FoldOp::SUM, thetac::Extent::PARAMETER, 5, 2},  // delta_part
        {thetac::FoldOp::SUM, thetac::Extent::PARAMETER, 6, 3},  // delta_part_2
    };
    static constexpr thetac::Fold folds_2[] = {
        {thetac::FoldOp::SUM, thetac::Extent::PARAMETER, 5, 4},  // sum_denom
    };
    static constexpr thetac::PassFacts facts[] = {
        {true, nullptr, 0, folds_0, 2},
        {true, nullptr, 0, folds_1, 2},
        {true, nullptr, 0, folds_2, 1},
        {true, nullptr, 0, nullptr, 0},
    };
    static constexpr bool has_program[] = {false, true, true, true};  // before the sweep

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
        static constexpr bool weight_decay_type_is_L2 = holds[2];
        static constexpr bool rebound_is_constant = holds[3];
        static constexpr bool weight_decay_type_is_decoupled = holds[4];
        static constexpr bool weight_decay_type_is_stable = holds[5];
        static constexpr bool rebound_is_belief = holds[6];

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions = 0;
        static constexpr Mask loaded =
            Mask(rebound_is_belief && (rebound_is_constant && !weight_decay_type_is_decoupled && !weight_decay_type_is_stable || weight_decay_type_is_L2) && weight_decay_nonzero) << 0
            | Mask(rebound_is_belief) << 1
            | Mask(rebound_is_belief) << 2
            | Mask(1) << 4;
        static constexpr Mask stored = 0;
        static constexpr Mask read = 0;
        static constexpr Mask folded =
            Mask(1) << 0
            | Mask(rebound_is_belief) << 1;
        static constexpr Mask loaded_1 =
            Mask((rebound_is_constant && !weight_decay_type_is_decoupled && !weight_decay_type_is_stable || weight_decay_type_is_L2) && weight_decay_nonzero) << 0
            | Mask(1) << 1
            | Mask(1) << 2
            | Mask(1) << 3
            | Mask(1) << 4;
        static constexpr Mask stored_1 =
            Mask(1) << 2;
        static constexpr Mask read_1 = 0;
        static constexpr Mask folded_1 =
            Mask(1) << 0
            | Mask(1) << 1;
        static constexpr Mask loaded_2 =
            Mask(1) << 3
            | Mask(1) << 4;
        static constexpr Mask stored_2 =
            Mask(1) << 3;
        static constexpr Mask read_2 = 0;
        static constexpr Mask folded_2 =
            Mask(weight_decay_nonzero && weight_decay_type_is_stable) << 0;
        static constexpr Mask loaded_3 =
            Mask(1) << 0
            | Mask(1) << 2
            | Mask(1) << 3;
        static constexpr Mask stored_3 =
            Mask(1) << 0
            | Mask(1) << 4;
        static constexpr Mask read_3 = 0;
        static constexpr Mask folded_3 = 0;

        static void before_1(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            const Number eps = row[2];
            const Number eps_over_0_01 = row[3];
            Number& sum_direction_squared_squared = tensor.numbers[0];
            Number& new_last_denom = tensor.numbers[5];
            // fourth_norm = sqrt(sqrt(sum_direction_squared_squared))
            Number fourth_norm = ops::square_root(ops::square_root(sum_direction_squared_squared));
            Number last_denom = 0;
            if constexpr (rebound_is_belief) {
                last_denom = fourth_norm + eps;
            } else {
                // last_denom = fourth_norm + eps / 0.01
                last_denom = fourth_norm + eps_over_0_01;
            }
            new_last_denom = last_denom;
        }

        static void before_2(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            const Number minus_alpha = row[4];
            Number& delta_part = tensor.numbers[2];
            Number& delta_part_2 = tensor.numbers[3];
            Number& delta = tensor.numbers[6];
            // delta = -alpha * delta_part - delta_part_2
            delta = minus_alpha * delta_part - delta_part_2;
        }

        static void before_3(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            const Number weight_decay = row[0];
            const Number param_size = row[6];
            Number& sum_denom = tensor.numbers[4];
            Number& weight_decay_over_mean_denom = tensor.numbers[7];
            Number mean_denom = 0;
            if constexpr (weight_decay_nonzero && weight_decay_type_is_stable) {
                mean_denom = sum_denom / param_size;
                weight_decay_over_mean_denom = weight_decay / mean_denom;
            }
        }

        static void update(Number* const* streams, int64 count, const Number* row, const double*) {
            const Number weight_decay = row[0];
            const Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            const Number* __restrict exp_avg_grad_ptr = streams[2];
            const Number* __restrict direction_ptr = streams[4];
            Number* __restrict direction_squared_squared_ptr = streams[5];
            Number* __restrict abs_delta_grad_ptr = streams[6];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = rebound_is_belief && (rebound_is_constant && !weight_decay_type_is_decoupled &&
                    !weight_decay_type_is_stable || weight_decay_type_is_L2) && weight_decay_nonzero ? param_ptr[i] :
                    Number(0);
                Number grad = rebound_is_belief ? grad_ptr[i] : Number(0);
                Number exp_avg_grad = rebound_is_belief ? exp_avg_grad_ptr[i] : Number(0);
                Number direction = direction_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                if constexpr (weight_decay_nonzero) {
                    if constexpr (weight_decay_type_is_L2 || rebound_is_constant && !weight_decay_type_is_decoupled &&
                        !weight_decay_type_is_stable) {
                        // weight decay
                        grad = grad + weight_decay * param;
                    }
                }
                Number delta_grad = grad - exp_avg_grad;
                Number direction_squared_squared = direction * direction * (direction * direction);
                Number abs_delta_grad = 0;
                if constexpr (rebound_is_belief) {
                    // abs_delta_grad = abs(delta_grad)
                    abs_delta_grad = ops::absolute(delta_grad);
                }

                direction_squared_squared_ptr[i] = direction_squared_squared;
                if constexpr (rebound_is_belief)
                    abs_delta_grad_ptr[i] = abs_delta_grad;
            }
        }

        static void update_1(Number* const* streams, int64 count, const Number* row, const double* numbers) {
            const Number weight_decay = row[0];
            const Number alpha = row[1];
            const Number new_last_denom = Number(numbers[5]);
            const Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict exp_avg_grad_ptr = streams[2];
            const Number* __restrict approx_hessian_ptr = streams[3];
            const Number* __restrict direction_ptr = streams[4];
            Number* __restrict delta_part_part_ptr = streams[5];
            Number* __restrict approx_hessian_times_unit_squared_ptr = streams[6];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = (rebound_is_constant && !weight_decay_type_is_decoupled && !weight_decay_type_is_stable
                    || weight_decay_type_is_L2) && weight_decay_nonzero ? param_ptr[i] : Number(0);
                Number grad = grad_ptr[i];
                Number exp_avg_grad = exp_avg_grad_ptr[i];
                Number approx_hessian = approx_hessian_ptr[i];
                Number direction = direction_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                if constexpr (weight_decay_nonzero) {
                    if constexpr (weight_decay_type_is_L2 || rebound_is_constant && !weight_decay_type_is_decoupled &&
                        !weight_decay_type_is_stable) {
                        // weight decay
                        grad = grad + weight_decay * param;
                    }
                }
                Number delta_grad = grad - exp_avg_grad;
                exp_avg_grad = exp_avg_grad + alpha * delta_grad;
                Number unit = direction / new_last_denom;
                Number unit_squared = unit * unit;
                Number delta_part_part = delta_grad / new_last_denom * unit;
                Number approx_hessian_times_unit_squared = approx_hessian * unit_squared;

                exp_avg_grad_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(exp_avg_grad);
                delta_part_part_ptr[i] = delta_part_part;
                approx_hessian_times_unit_squared_ptr[i] = approx_hessian_times_unit_squared;
            }
        }

        static void update_2(Number* const* streams, int64 count, const Number* row, const double* numbers) {
            const Number eps_over_alpha = row[5];
            const Number new_last_denom = Number(numbers[5]);
            const Number delta = Number(numbers[6]);
            const Number max_abs_delta_grad = Number(numbers[1]);
            Number* __restrict approx_hessian_ptr = streams[3];
            const Number* __restrict direction_ptr = streams[4];
            Number* __restrict new_denom_ptr = streams[5];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number approx_hessian = approx_hessian_ptr[i];
                Number direction = direction_ptr[i];

                Number unit = direction / new_last_denom;
                Number unit_squared = unit * unit;
                approx_hessian = approx_hessian + delta * unit_squared;
                Number denom = 0;
                if constexpr (rebound_is_belief) {
                    // denom = maximum(abs(approx_hessian), max_abs_delta_grad) + eps / alpha
                    denom = ops::maximum(ops::absolute(approx_hessian), max_abs_delta_grad) + eps_over_alpha;
                } else {
                    // denom = maximum(abs(approx_hessian), 0.01)
                    denom = ops::maximum(ops::absolute(approx_hessian), Number(0.01));
                }
                Number new_denom = 0;
                if constexpr (weight_decay_nonzero && weight_decay_type_is_stable) {
                    new_denom = denom;
                }

                approx_hessian_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(approx_hessian);
                if constexpr (weight_decay_nonzero && weight_decay_type_is_stable)
                    new_denom_ptr[i] = new_denom;
            }
        }

        static void update_3(Number* const* streams, int64 count, const Number* row, const double* numbers) {
            const Number weight_decay = row[0];
            const Number eps_over_alpha = row[5];
            const Number rate = row[7];
            const Number max_abs_delta_grad = Number(numbers[1]);
            const Number weight_decay_over_mean_denom = Number(numbers[7]);
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict exp_avg_grad_ptr = streams[2];
            const Number* __restrict approx_hessian_ptr = streams[3];
            Number* __restrict direction_ptr = streams[4];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number exp_avg_grad = exp_avg_grad_ptr[i];
                Number approx_hessian = approx_hessian_ptr[i];
                Number direction = 0;

                Number denom = 0;
                if constexpr (rebound_is_belief) {
                    // denom = maximum(abs(approx_hessian), max_abs_delta_grad) + eps / alpha
                    denom = ops::maximum(ops::absolute(approx_hessian), max_abs_delta_grad) + eps_over_alpha;
                } else {
                    // denom = maximum(abs(approx_hessian), 0.01)
                    denom = ops::maximum(ops::absolute(approx_hessian), Number(0.01));
                }
                direction = exp_avg_grad / denom;
                if constexpr (weight_decay_nonzero && weight_decay_type_is_stable) {
                    direction = direction + weight_decay_over_mean_denom * param;
                } else if constexpr (weight_decay_nonzero && (weight_decay_type_is_decoupled || !weight_decay_type_is_L2
                    && rebound_is_belief)) {
                    direction = direction + weight_decay * param;
                }
                param = param - rate * direction;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                direction_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_4>(direction);
            }
        }

        static constexpr thetac::PassCode<Number> passes[] = {
            {&update, loaded, stored, read, folded, nullptr},
            {&update_1, loaded_1, stored_1, read_1, folded_1, &before_1},
            {&update_2, loaded_2, stored_2, read_2, folded_2, &before_2},
            {&update_3, loaded_3, stored_3, read_3, folded_3, &before_3},
        };
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Passes<Rule>(*launch).run(); }

__INT64_TYPE__ thetac_prepare(const ThetacLaunch* launch) { return thetac::prepare<Rule>(*launch); }
