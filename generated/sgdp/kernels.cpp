// Generated from specs/sgdp.yaml by thetac 0.1.0; do not edit.
//
// SGDP on a CPU: one step of some elements.
// Compiled for all combinations of conditions that differ. docs/cpp.md describes how it is called.
// The dtypes of the streams are given on the compiler's command line.

#include "passes.h"

namespace {

using thetac::canonicalize_nan;
using thetac::int64;
using thetac::Mask;
namespace ops = thetac::ops;

struct Rule {
    using Number = thetac::Arithmetic<thetac::THETAC_DTYPE_0>::Number;

    static constexpr int STREAMS = 3;
    static constexpr int ENTRIES = 10;  // of a row
    static constexpr int CONDITIONS = 4;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // momentum_buffer
    };

    // What is computed per parameter, row and column. Addresses are those of the streams, then those of small states.
    static constexpr int COLUMNS = 3;
    static constexpr int NUMBERS = 8;  // per parameter, in double
    static constexpr int VECTORS = 3;
    static constexpr int FURTHER = 3;  // pointers of a sweep, after those of the streams
    static constexpr bool HAS_AXES = true;
    static constexpr thetac::Extent vectors[] = {thetac::Extent::ROW, thetac::Extent::ROW, thetac::Extent::ROW};
    static constexpr thetac::Fold folds_0[] = {
        {thetac::FoldOp::SUM, thetac::Extent::PARAMETER, 3, 0},  // sum_grad_times_param
        {thetac::FoldOp::SQUARES, thetac::Extent::PARAMETER, 4, 1},  // sum_grad_squared
        {thetac::FoldOp::SQUARES, thetac::Extent::PARAMETER, 0, 2},  // sum_param_squared
        {thetac::FoldOp::SUM, thetac::Extent::ROW, 3, 0},  // row_sum_grad_times_param
        {thetac::FoldOp::SQUARES, thetac::Extent::ROW, 4, 1},  // row_sum_grad_squared
        {thetac::FoldOp::SQUARES, thetac::Extent::ROW, 0, 2},  // row_sum_param_squared
    };
    static constexpr int vectors_1[] = {1};  // row_norm_param_plus_eps
    static constexpr thetac::Fold folds_1[] = {
        {thetac::FoldOp::SUM, thetac::Extent::PARAMETER, 4, 3},  // sum_unit_times_perturb
        {thetac::FoldOp::SUM, thetac::Extent::ROW, 5, 0},  // row_sum_row_unit_times_perturb
    };
    static constexpr int vectors_2[] = {1, 0};  // row_norm_param_plus_eps, row_sum_row_unit_times_perturb
    static constexpr thetac::PassFacts facts[] = {
        {true, nullptr, 0, folds_0, 6},
        {true, vectors_1, 1, folds_1, 2},
        {true, vectors_2, 2, nullptr, 0},
    };
    static constexpr bool has_program[] = {false, true, false};  // before the sweep

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number*) {
        Mask mask = 0;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = mask >> 0 & 1;
        static constexpr bool nesterov = mask >> 1 & 1;
        static constexpr bool param_rank_above_one = mask >> 2 & 1;
        static constexpr bool weight_decay_positive = mask >> 3 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2
            | Mask(1) << 3;
        static constexpr Mask loaded =
            Mask(param_rank_above_one) << 0
            | Mask(param_rank_above_one) << 1;
        static constexpr Mask stored = 0;
        static constexpr Mask read = 0;
        static constexpr Mask folded =
            Mask(param_rank_above_one) << 0
            | Mask(param_rank_above_one) << 1
            | Mask(param_rank_above_one) << 2
            | Mask(param_rank_above_one) << 3
            | Mask(param_rank_above_one) << 4
            | Mask(param_rank_above_one) << 5;
        static constexpr Mask loaded_1 =
            Mask(param_rank_above_one) << 0
            | Mask(param_rank_above_one) << 1
            | Mask(param_rank_above_one) << 2;
        static constexpr Mask stored_1 = 0;
        static constexpr Mask read_1 =
            Mask(param_rank_above_one) << 0;
        static constexpr Mask folded_1 =
            Mask(param_rank_above_one) << 0
            | Mask(param_rank_above_one) << 1;
        static constexpr Mask loaded_2 =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2;
        static constexpr Mask stored_2 =
            Mask(1) << 0
            | Mask(1) << 2;
        static constexpr Mask read_2 =
            Mask(param_rank_above_one) << 0
            | Mask(param_rank_above_one) << 1;
        static constexpr Mask folded_2 = 0;

        static void before_1(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            const Number eps = row[2];
            const Number delta_over_sqrt_param_size = row[3];
            const Number wd_ratio = row[4];
            const Number delta_over_sqrt_param_matrix_columns = row[5];
            const Number lr_times_weight_decay = row[6];
            const Number one_minus_momentum = row[7];
            Number& sum_grad_times_param = tensor.numbers[0];
            Number& sum_grad_squared = tensor.numbers[1];
            Number& sum_param_squared = tensor.numbers[2];
            Number& norm_param_plus_eps = tensor.numbers[4];
            Number& is_flat = tensor.numbers[5];
            Number& is_row_flat = tensor.numbers[6];
            Number& param_part = tensor.numbers[7];
            Number* const row_sum_grad_times_param = tensor.vector(0);
            Number* const row_sum_grad_squared = tensor.vector(1);
            Number* const row_sum_param_squared = tensor.vector(2);
            Number* const row_norm_grad = tensor.vector(1);
            Number* const row_norm_param = tensor.vector(2);
            Number* const row_cosine = tensor.vector(0);
            Number* const row_norm_param_plus_eps = tensor.vector(1);
            Number norm_grad = 0;
            Number norm_param = 0;
            Number cosine = 0;
            Number ratio = 0;
            Number max_row_cosine = 0;
            if constexpr (param_rank_above_one) {
                // norm_grad = sqrt(sum_grad_squared)
                norm_grad = ops::square_root(sum_grad_squared);
                // norm_param = sqrt(sum_param_squared)
                norm_param = ops::square_root(sum_param_squared);
                // cosine = abs(sum_grad_times_param) / (maximum(norm_grad, eps) * maximum(norm_param, eps))
                cosine = ops::absolute(sum_grad_times_param) / (ops::maximum(norm_grad, eps) *
                    ops::maximum(norm_param, eps));
                norm_param_plus_eps = norm_param + eps;
                // is_flat = cosine < delta / sqrt(param_size)
                is_flat = cosine < delta_over_sqrt_param_size;
                // ratio = where(is_flat, wd_ratio, 1)
                ratio = is_flat ? wd_ratio : Number(1.0);
                // row_norm_grad = sqrt(row_sum_grad_squared)
                tensor.for_rows([&](int64 matrix, int64 i) { row_norm_grad[i] =
                    ops::square_root(row_sum_grad_squared[i]); });
                // row_norm_param = sqrt(row_sum_param_squared)
                tensor.for_rows([&](int64 matrix, int64 i) { row_norm_param[i] =
                    ops::square_root(row_sum_param_squared[i]); });
                // row_cosine = abs(row_sum_grad_times_param) / (maximum(row_norm_grad, eps) *
                //     maximum(row_norm_param, eps))
                tensor.for_rows([&](int64 matrix, int64 i) { row_cosine[i] =
                    ops::absolute(row_sum_grad_times_param[i]) / (ops::maximum(row_norm_grad[i], eps) *
                    ops::maximum(row_norm_param[i], eps)); });
                // row_norm_param_plus_eps = row_norm_param + eps
                tensor.for_rows([&](int64 matrix, int64 i) { row_norm_param_plus_eps[i] = row_norm_param[i] + eps;
                    });
                // max_row_cosine = max(row_cosine)
                max_row_cosine = tensor.fold_all<thetac::Max>(thetac::Extent::ROW, row_cosine);
                // is_row_flat = max_row_cosine < delta / sqrt(param_matrix_columns)
                is_row_flat = max_row_cosine < delta_over_sqrt_param_matrix_columns;
                // ratio = where(is_row_flat, wd_ratio, ratio)
                ratio = is_row_flat ? wd_ratio : ratio;
                if constexpr (weight_decay_positive) {
                    // param_part = 1 - lr * weight_decay * ratio / (1 - momentum)
                    param_part = Number(1.0) - lr_times_weight_decay * ratio / one_minus_momentum;
                }
            }
        }

        static void update(Number* const* streams, int64 count, const Number*, const double*) {
            const Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict grad_times_param_ptr = streams[3];
            Number* __restrict grad_squared_ptr = streams[4];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_rank_above_one ? param_ptr[i] : Number(0);
                Number grad = param_rank_above_one ? grad_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                Number grad_times_param = 0;
                Number grad_squared = 0;
                if constexpr (param_rank_above_one) {
                    grad_times_param = grad * param;
                    // grad_squared = grad * grad
                    grad_squared = grad;
                }

                if constexpr (param_rank_above_one)
                    grad_times_param_ptr[i] = grad_times_param;
                if constexpr (param_rank_above_one)
                    grad_squared_ptr[i] = grad_squared;
            }
        }

        static void update_1(Number* const* streams, int64 count, const Number* row, const double* numbers) {
            const Number momentum = row[0];
            const Number one_minus_dampening = row[1];
            const Number norm_param_plus_eps = Number(numbers[4]);
            const Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            const Number* __restrict momentum_buffer_ptr = streams[2];
            const Number* __restrict row_norm_param_plus_eps_ptr = streams[3];
            Number* __restrict unit_times_perturb_ptr = streams[4];
            Number* __restrict row_unit_times_perturb_ptr = streams[5];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_rank_above_one ? param_ptr[i] : Number(0);
                Number grad = param_rank_above_one ? grad_ptr[i] : Number(0);
                Number momentum_buffer = param_rank_above_one ? momentum_buffer_ptr[i] : Number(0);
                const Number row_norm_param_plus_eps = param_rank_above_one ? row_norm_param_plus_eps_ptr[i] :
                    Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                // momentum_buffer = momentum * momentum_buffer + (1 - dampening) * grad
                momentum_buffer = momentum * momentum_buffer + one_minus_dampening * grad;
                Number perturb = momentum_buffer;
                if constexpr (nesterov) {
                    perturb = grad + momentum * momentum_buffer;
                }
                Number unit = 0;
                Number unit_times_perturb = 0;
                Number row_unit = 0;
                Number row_unit_times_perturb = 0;
                if constexpr (param_rank_above_one) {
                    unit = param / norm_param_plus_eps;
                    unit_times_perturb = unit * perturb;
                    row_unit = param / row_norm_param_plus_eps;
                    row_unit_times_perturb = row_unit * perturb;
                }

                if constexpr (param_rank_above_one)
                    unit_times_perturb_ptr[i] = unit_times_perturb;
                if constexpr (param_rank_above_one)
                    row_unit_times_perturb_ptr[i] = row_unit_times_perturb;
            }
        }

        static void update_2(Number* const* streams, int64 count, const Number* row, const double* numbers) {
            const Number momentum = row[0];
            const Number one_minus_dampening = row[1];
            const Number param_factor = row[8];
            const Number lr = row[9];
            const Number norm_param_plus_eps = Number(numbers[4]);
            const Number sum_unit_times_perturb = Number(numbers[3]);
            const bool is_flat = numbers[5] != 0;
            const bool is_row_flat = numbers[6] != 0;
            const Number param_part = Number(numbers[7]);
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict momentum_buffer_ptr = streams[2];
            const Number* __restrict row_norm_param_plus_eps_ptr = streams[3];
            const Number* __restrict row_sum_row_unit_times_perturb_ptr = streams[4];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number momentum_buffer = momentum_buffer_ptr[i];
                const Number row_norm_param_plus_eps = param_rank_above_one ? row_norm_param_plus_eps_ptr[i] :
                    Number(0);
                const Number row_sum_row_unit_times_perturb = param_rank_above_one ?
                    row_sum_row_unit_times_perturb_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                // momentum_buffer = momentum * momentum_buffer + (1 - dampening) * grad
                momentum_buffer = momentum * momentum_buffer + one_minus_dampening * grad;
                Number perturb = momentum_buffer;
                if constexpr (nesterov) {
                    perturb = grad + momentum * momentum_buffer;
                }
                Number unit = 0;
                Number tangent = 0;
                Number projected = 0;
                Number row_unit = 0;
                Number row_tangent = 0;
                if constexpr (param_rank_above_one) {
                    unit = param / norm_param_plus_eps;
                    tangent = perturb - unit * sum_unit_times_perturb;
                    // projected = where(is_flat, tangent, perturb)
                    projected = is_flat ? tangent : perturb;
                    row_unit = param / row_norm_param_plus_eps;
                    row_tangent = perturb - row_unit * row_sum_row_unit_times_perturb;
                    // projected = where(is_row_flat, row_tangent, projected)
                    projected = is_row_flat ? row_tangent : projected;
                    perturb = projected;
                    if constexpr (!nesterov) {
                        momentum_buffer = projected;
                    }
                    if constexpr (weight_decay_positive) {
                        param = param * param_part;
                    }
                } else if constexpr (weight_decay_positive) {
                    // param = param * (1 - lr * weight_decay / (1 - momentum))
                    param = param * param_factor;
                }
                param = param - lr * perturb;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                momentum_buffer_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(momentum_buffer);
            }
        }

        static constexpr thetac::PassCode<Number> passes[] = {
            {&update, loaded, stored, read, folded, nullptr},
            {&update_1, loaded_1, stored_1, read_1, folded_1, &before_1},
            {&update_2, loaded_2, stored_2, read_2, folded_2, nullptr},
        };
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Passes<Rule>(*launch).run(); }

__INT64_TYPE__ thetac_prepare(const ThetacLaunch* launch) { return thetac::prepare<Rule>(*launch); }
