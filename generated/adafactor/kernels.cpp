// Generated from specs/adafactor.yaml by thetac 0.1.0; do not edit.
//
// Adafactor on a CPU: one step of some elements.
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
    static constexpr int CONDITIONS = 3;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // variance
    };

    // What is computed per parameter, row and column. Addresses are those of the streams, then those of small states.
    static constexpr int COLUMNS = 5;
    static constexpr int NUMBERS = 4;  // per parameter, in double
    static constexpr int VECTORS = 5;
    static constexpr int FURTHER = 4;  // pointers of a sweep, after those of the streams
    static constexpr bool HAS_AXES = true;
    static constexpr thetac::Extent vectors[] = {thetac::Extent::ROW, thetac::Extent::COLUMN, thetac::Extent::ROW, thetac::Extent::COLUMN, thetac::Extent::MATRIX};
    static constexpr thetac::Fold folds_0[] = {
        {thetac::FoldOp::SQUARES, thetac::Extent::PARAMETER, 0, 0},  // sum_param_squared
        {thetac::FoldOp::SQUARES, thetac::Extent::ROW, 3, 0},  // row_sum_grad_squared
        {thetac::FoldOp::SQUARES, thetac::Extent::COLUMN, 3, 1},  // column_sum_grad_squared
    };
    static constexpr int vectors_1[] = {0, 1, 4};  // estimate_part, new_col_var, estimate_part_2
    static constexpr thetac::Fold folds_1[] = {
        {thetac::FoldOp::SQUARES, thetac::Extent::PARAMETER, 6, 1},  // sum_change_squared
    };
    static constexpr int vectors_2[] = {0, 1, 4};  // estimate_part, new_col_var, estimate_part_2
    static constexpr thetac::PassFacts facts[] = {
        {true, nullptr, 0, folds_0, 3},
        {true, vectors_1, 3, folds_1, 1},
        {true, vectors_2, 3, nullptr, 0},
    };
    static constexpr bool has_program[] = {false, true, true};  // before the sweep

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number*) {
        Mask mask = 0;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = mask >> 0 & 1;
        static constexpr bool weight_decay_nonzero = mask >> 1 & 1;
        static constexpr bool param_rank_above_one = mask >> 2 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2;
        static constexpr Mask loaded =
            Mask(1) << 0
            | Mask(param_rank_above_one) << 1;
        static constexpr Mask stored = 0;
        static constexpr Mask read = 0;
        static constexpr Mask folded =
            Mask(1) << 0
            | Mask(param_rank_above_one) << 1
            | Mask(param_rank_above_one) << 2;
        static constexpr Mask loaded_1 =
            Mask(1) << 1
            | Mask(!param_rank_above_one) << 2;
        static constexpr Mask stored_1 = 0;
        static constexpr Mask read_1 =
            Mask(param_rank_above_one) << 0
            | Mask(param_rank_above_one) << 1
            | Mask(param_rank_above_one) << 2;
        static constexpr Mask folded_1 =
            Mask(1) << 0;
        static constexpr Mask loaded_2 =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(!param_rank_above_one) << 2;
        static constexpr Mask stored_2 =
            Mask(1) << 0
            | Mask(!param_rank_above_one) << 2;
        static constexpr Mask read_2 =
            Mask(param_rank_above_one) << 0
            | Mask(param_rank_above_one) << 1
            | Mask(param_rank_above_one) << 2;
        static constexpr Mask folded_2 = 0;

        static void before_1(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            const Number param_size_pow_half = row[0];
            const Number eps2 = row[1];
            const Number rho = row[2];
            const Number param_columns = row[4];
            const Number weight = row[5];
            const Number param_rows = row[6];
            const Number eps1_or_default = row[7];
            Number& sum_param_squared = tensor.numbers[0];
            Number& alpha = tensor.numbers[2];
            Number* const row_sum_grad_squared = tensor.vector(0);
            Number* const column_sum_grad_squared = tensor.vector(1);
            Number* const row_var = tensor.vector(2);
            Number* const col_var = tensor.vector(3);
            Number* const row_norm_grad = tensor.vector(0);
            Number* const column_norm_grad = tensor.vector(1);
            Number* const new_row_var = tensor.vector(0);
            Number* const column_sum_row_var = tensor.vector(4);
            Number* const column_mean_row_var = tensor.vector(4);
            Number* const estimate_part = tensor.vector(0);
            Number* const new_col_var = tensor.vector(1);
            Number* const estimate_part_2 = tensor.vector(4);
            if constexpr (param_rank_above_one)
                tensor.load<thetac::THETAC_DTYPE_3>(3, thetac::Extent::ROW, row_var);
            if constexpr (param_rank_above_one)
                tensor.load<thetac::THETAC_DTYPE_4>(4, thetac::Extent::COLUMN, col_var);
            // norm_param = sqrt(sum_param_squared)
            Number norm_param = ops::square_root(sum_param_squared);
            // scale = norm_param / param_size ** 0.5
            Number scale = norm_param / param_size_pow_half;
            // alpha = where(scale > eps2, scale, eps2) * rho
            alpha = (scale > eps2 ? scale : eps2) * rho;
            if constexpr (param_rank_above_one) {
                // row_norm_grad = sqrt(row_sum_grad_squared)
                tensor.for_rows([&](int64 matrix, int64 i) { row_norm_grad[i] =
                    ops::square_root(row_sum_grad_squared[i]); });
                // row_var = lerp(row_var, row_norm_grad * row_norm_grad / param_columns, weight)
                tensor.for_rows([&](int64 matrix, int64 i) { row_var[i] = ops::lerp(row_var[i], row_norm_grad[i] *
                    row_norm_grad[i] / param_columns, weight); });
                // column_norm_grad = sqrt(column_sum_grad_squared)
                tensor.for_columns([&](int64 matrix, int64 i) { column_norm_grad[i] =
                    ops::square_root(column_sum_grad_squared[i]); });
                // col_var = lerp(col_var, column_norm_grad * column_norm_grad / param_rows, weight)
                tensor.for_columns([&](int64 matrix, int64 i) { col_var[i] = ops::lerp(col_var[i],
                    column_norm_grad[i] * column_norm_grad[i] / param_rows, weight); });
                // new_row_var = row_var
                tensor.for_rows([&](int64 matrix, int64 i) { new_row_var[i] = row_var[i]; });
                // column_sum_row_var = sum(new_row_var, axis=-2)
                tensor.fold_matrices<thetac::Sum>(thetac::Extent::ROW, new_row_var, column_sum_row_var);
                // column_mean_row_var = column_sum_row_var / param_rows
                tensor.for_matrices([&](int64 matrix, int64 i) { column_mean_row_var[matrix] =
                    column_sum_row_var[matrix] / param_rows; });
                // estimate_part = row_var
                tensor.for_rows([&](int64 matrix, int64 i) { estimate_part[i] = row_var[i]; });
                // new_col_var = col_var
                tensor.for_columns([&](int64 matrix, int64 i) { new_col_var[i] = col_var[i]; });
                // estimate_part_2 = maximum(column_mean_row_var, eps1_or_default)
                tensor.for_matrices([&](int64 matrix, int64 i) { estimate_part_2[matrix] =
                    ops::maximum(column_mean_row_var[matrix], eps1_or_default); });
            }
            if constexpr (param_rank_above_one)
                tensor.store<thetac::THETAC_DTYPE_3>(3, thetac::Extent::ROW, row_var);
            if constexpr (param_rank_above_one)
                tensor.store<thetac::THETAC_DTYPE_4>(4, thetac::Extent::COLUMN, col_var);
        }

        static void before_2(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            const Number param_size_pow_half_times_d = row[9];
            Number& sum_change_squared = tensor.numbers[1];
            Number& alpha = tensor.numbers[2];
            Number& alpha_over_denom = tensor.numbers[3];
            // norm_change = sqrt(sum_change_squared)
            Number norm_change = ops::square_root(sum_change_squared);
            // ratio = norm_change / (param_size ** 0.5 * d)
            Number ratio = norm_change / param_size_pow_half_times_d;
            // denom = where(ratio > 1, ratio, 1)
            Number denom = ratio > Number(1.0) ? ratio : Number(1.0);
            alpha_over_denom = alpha / denom;
        }

        static void update(Number* const* streams, int64 count, const Number*, const double*) {
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict grad_squared_ptr = streams[3];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number grad = param_rank_above_one ? grad_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                Number grad_squared = 0;
                if constexpr (param_rank_above_one) {
                    // grad_squared = grad * grad
                    grad_squared = grad;
                }

                if constexpr (param_rank_above_one)
                    grad_squared_ptr[i] = grad_squared;
            }
        }

        static void update_1(Number* const* streams, int64 count, const Number* row, const double*) {
            const Number weight = row[5];
            const Number eps1_or_default_squared = row[8];
            const Number* __restrict grad_ptr = streams[1];
            const Number* __restrict variance_ptr = streams[2];
            const Number* __restrict estimate_part_ptr = streams[3];
            const Number* __restrict new_col_var_ptr = streams[4];
            const Number* __restrict estimate_part_2_ptr = streams[5];
            Number* __restrict change_squared_ptr = streams[6];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number grad = grad_ptr[i];
                Number variance = !param_rank_above_one ? variance_ptr[i] : Number(0);
                const Number estimate_part = param_rank_above_one ? estimate_part_ptr[i] : Number(0);
                const Number new_col_var = param_rank_above_one ? new_col_var_ptr[i] : Number(0);
                const Number estimate_part_2 = param_rank_above_one ? estimate_part_2_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                Number estimate = 0;
                if constexpr (param_rank_above_one) {
                    estimate = estimate_part * new_col_var / estimate_part_2;
                } else {
                    // variance = lerp(variance, grad * grad, weight)
                    variance = ops::lerp(variance, grad * grad, weight);
                    estimate = variance;
                }
                // change = rsqrt(maximum(estimate, eps1_or_default * eps1_or_default)) * grad
                Number change = ops::rsqrt(ops::maximum(estimate, eps1_or_default_squared)) * grad;
                // change_squared = change * change
                Number change_squared = change;

                change_squared_ptr[i] = change_squared;
            }
        }

        static void update_2(Number* const* streams, int64 count, const Number* row, const double* numbers) {
            const Number one_minus_lr_times_weight_decay = row[3];
            const Number weight = row[5];
            const Number eps1_or_default_squared = row[8];
            const Number alpha_over_denom = Number(numbers[3]);
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict variance_ptr = streams[2];
            const Number* __restrict estimate_part_ptr = streams[3];
            const Number* __restrict new_col_var_ptr = streams[4];
            const Number* __restrict estimate_part_2_ptr = streams[5];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number variance = !param_rank_above_one ? variance_ptr[i] : Number(0);
                const Number estimate_part = param_rank_above_one ? estimate_part_ptr[i] : Number(0);
                const Number new_col_var = param_rank_above_one ? new_col_var_ptr[i] : Number(0);
                const Number estimate_part_2 = param_rank_above_one ? estimate_part_2_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                if constexpr (weight_decay_nonzero) {
                    // param = param * (1 - lr * weight_decay)
                    param = param * one_minus_lr_times_weight_decay;
                }
                Number estimate = 0;
                if constexpr (param_rank_above_one) {
                    estimate = estimate_part * new_col_var / estimate_part_2;
                } else {
                    // variance = lerp(variance, grad * grad, weight)
                    variance = ops::lerp(variance, grad * grad, weight);
                    estimate = variance;
                }
                // change = rsqrt(maximum(estimate, eps1_or_default * eps1_or_default)) * grad
                Number change = ops::rsqrt(ops::maximum(estimate, eps1_or_default_squared)) * grad;
                param = param - alpha_over_denom * change;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                if constexpr (!param_rank_above_one)
                    variance_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(variance);
            }
        }

        static constexpr thetac::PassCode<Number> passes[] = {
            {&update, loaded, stored, read, folded, nullptr},
            {&update_1, loaded_1, stored_1, read_1, folded_1, &before_1},
            {&update_2, loaded_2, stored_2, read_2, folded_2, &before_2},
        };
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Passes<Rule>(*launch).run(); }

__INT64_TYPE__ thetac_prepare(const ThetacLaunch* launch) { return thetac::prepare<Rule>(*launch); }
