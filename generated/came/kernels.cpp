// Generated from specs/came.yaml by thetac 0.1.0; do not edit.
//
// CAME on a CPU: one step of some elements.
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

    static constexpr int STREAMS = 4;
    static constexpr int ENTRIES = 14;  // of a row
    static constexpr int CONDITIONS = 3;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // exp_avg
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // exp_avg_sq
    };

    // What is computed per parameter, row and column. Addresses are those of the streams, then those of small states.
    static constexpr int COLUMNS = 8;
    static constexpr int NUMBERS = 2;  // per parameter, in double
    static constexpr int VECTORS = 5;
    static constexpr int FURTHER = 3;  // pointers of a sweep, after those of the streams
    static constexpr bool HAS_AXES = true;
    static constexpr thetac::Extent vectors[] = {thetac::Extent::ROW, thetac::Extent::COLUMN, thetac::Extent::ROW, thetac::Extent::COLUMN, thetac::Extent::MATRIX};
    static constexpr thetac::Fold folds_0[] = {
        {thetac::FoldOp::SUM, thetac::Extent::ROW, 4, 0},  // row_sum_square
        {thetac::FoldOp::SUM, thetac::Extent::COLUMN, 4, 1},  // column_sum_square
    };
    static constexpr int vectors_1[] = {0, 1};  // scaled_part, rsqrt_exp_avg_sq_col
    static constexpr thetac::Fold folds_1[] = {
        {thetac::FoldOp::SQUARES, thetac::Extent::PARAMETER, 6, 0},  // sum_scaled_squared
    };
    static constexpr int vectors_2[] = {0, 1};  // scaled_part, rsqrt_exp_avg_sq_col
    static constexpr thetac::Fold folds_2[] = {
        {thetac::FoldOp::SUM, thetac::Extent::ROW, 6, 2},  // row_sum_instability
        {thetac::FoldOp::SUM, thetac::Extent::COLUMN, 6, 3},  // column_sum_instability
    };
    static constexpr int vectors_3[] = {2, 3};  // direction_part, rsqrt_exp_avg_res_col
    static constexpr thetac::PassFacts facts[] = {
        {true, nullptr, 0, folds_0, 2},
        {true, vectors_1, 2, folds_1, 1},
        {true, vectors_2, 2, folds_2, 2},
        {true, vectors_3, 2, nullptr, 0},
    };
    static constexpr bool has_program[] = {false, true, true, true};  // before the sweep

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
            Mask(param_rank_above_one) << 1;
        static constexpr Mask stored = 0;
        static constexpr Mask read = 0;
        static constexpr Mask folded =
            Mask(param_rank_above_one) << 0
            | Mask(param_rank_above_one) << 1;
        static constexpr Mask loaded_1 =
            Mask(1) << 1
            | Mask(!param_rank_above_one) << 3;
        static constexpr Mask stored_1 = 0;
        static constexpr Mask read_1 =
            Mask(param_rank_above_one) << 0
            | Mask(param_rank_above_one) << 1;
        static constexpr Mask folded_1 =
            Mask(1) << 0;
        static constexpr Mask loaded_2 =
            Mask(1) << 1
            | Mask(1) << 2
            | Mask(!param_rank_above_one) << 3;
        static constexpr Mask stored_2 =
            Mask(1) << 2
            | Mask(!param_rank_above_one) << 3;
        static constexpr Mask read_2 =
            Mask(param_rank_above_one) << 0
            | Mask(param_rank_above_one) << 1;
        static constexpr Mask folded_2 =
            Mask(param_rank_above_one) << 0
            | Mask(param_rank_above_one) << 1;
        static constexpr Mask loaded_3 =
            Mask(1) << 0
            | Mask(1) << 2;
        static constexpr Mask stored_3 =
            Mask(1) << 0;
        static constexpr Mask read_3 =
            Mask(param_rank_above_one) << 0
            | Mask(param_rank_above_one) << 1;
        static constexpr Mask folded_3 = 0;

        static void before_1(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            const Number param_columns = row[2];
            const Number beta2 = row[3];
            const Number one_minus_beta2 = row[4];
            const Number param_rows = row[5];
            Number* const row_sum_square = tensor.vector(0);
            Number* const column_sum_square = tensor.vector(1);
            Number* const exp_avg_sq_row = tensor.vector(2);
            Number* const exp_avg_sq_col = tensor.vector(3);
            Number* const row_mean_square = tensor.vector(0);
            Number* const column_mean_square = tensor.vector(1);
            Number* const new_exp_avg_sq_row = tensor.vector(0);
            Number* const column_sum_exp_avg_sq_row = tensor.vector(4);
            Number* const column_mean_exp_avg_sq_row = tensor.vector(4);
            Number* const scaled_part = tensor.vector(0);
            Number* const rsqrt_exp_avg_sq_col = tensor.vector(1);
            if constexpr (param_rank_above_one)
                tensor.load<thetac::THETAC_DTYPE_4>(4, thetac::Extent::ROW, exp_avg_sq_row);
            if constexpr (param_rank_above_one)
                tensor.load<thetac::THETAC_DTYPE_5>(5, thetac::Extent::COLUMN, exp_avg_sq_col);
            if constexpr (param_rank_above_one) {
                // row_mean_square = row_sum_square / param_columns
                tensor.for_rows([&](int64 matrix, int64 i) { row_mean_square[i] = row_sum_square[i] / param_columns;
                    });
                // exp_avg_sq_row = beta2 * exp_avg_sq_row + (1 - beta2) * row_mean_square
                tensor.for_rows([&](int64 matrix, int64 i) { exp_avg_sq_row[i] = beta2 * exp_avg_sq_row[i] +
                    one_minus_beta2 * row_mean_square[i]; });
                // column_mean_square = column_sum_square / param_rows
                tensor.for_columns([&](int64 matrix, int64 i) { column_mean_square[i] = column_sum_square[i] /
                    param_rows; });
                // exp_avg_sq_col = beta2 * exp_avg_sq_col + (1 - beta2) * column_mean_square
                tensor.for_columns([&](int64 matrix, int64 i) { exp_avg_sq_col[i] = beta2 * exp_avg_sq_col[i] +
                    one_minus_beta2 * column_mean_square[i]; });
                // new_exp_avg_sq_row = exp_avg_sq_row
                tensor.for_rows([&](int64 matrix, int64 i) { new_exp_avg_sq_row[i] = exp_avg_sq_row[i]; });
                // column_sum_exp_avg_sq_row = sum(new_exp_avg_sq_row, axis=-2)
                tensor.fold_matrices<thetac::Sum>(thetac::Extent::ROW, new_exp_avg_sq_row,
                    column_sum_exp_avg_sq_row);
                // column_mean_exp_avg_sq_row = column_sum_exp_avg_sq_row / param_rows
                tensor.for_matrices([&](int64 matrix, int64 i) { column_mean_exp_avg_sq_row[matrix] =
                    column_sum_exp_avg_sq_row[matrix] / param_rows; });
                // scaled_part = rsqrt(exp_avg_sq_row / column_mean_exp_avg_sq_row)
                tensor.for_rows([&](int64 matrix, int64 i) { scaled_part[i] = ops::rsqrt(exp_avg_sq_row[i] /
                    column_mean_exp_avg_sq_row[matrix]); });
                // rsqrt_exp_avg_sq_col = rsqrt(exp_avg_sq_col)
                tensor.for_columns([&](int64 matrix, int64 i) { rsqrt_exp_avg_sq_col[i] =
                    ops::rsqrt(exp_avg_sq_col[i]); });
            }
            if constexpr (param_rank_above_one)
                tensor.store<thetac::THETAC_DTYPE_4>(4, thetac::Extent::ROW, exp_avg_sq_row);
            if constexpr (param_rank_above_one)
                tensor.store<thetac::THETAC_DTYPE_5>(5, thetac::Extent::COLUMN, exp_avg_sq_col);
        }

        static void before_2(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            const Number param_size = row[6];
            const Number clip_threshold = row[7];
            Number& sum_scaled_squared = tensor.numbers[0];
            Number& scaled_part_2 = tensor.numbers[1];
            Number mean_scaled_squared = sum_scaled_squared / param_size;
            // scaled_part_2 = maximum(sqrt(mean_scaled_squared) / clip_threshold, 1)
            scaled_part_2 = ops::maximum(ops::square_root(mean_scaled_squared) / clip_threshold, Number(1.0));
        }

        static void before_3(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            const Number param_columns = row[2];
            const Number param_rows = row[5];
            const Number beta3 = row[11];
            const Number one_minus_beta3 = row[12];
            Number* const row_sum_instability = tensor.vector(2);
            Number* const column_sum_instability = tensor.vector(3);
            Number* const exp_avg_res_row = tensor.vector(0);
            Number* const exp_avg_res_col = tensor.vector(1);
            Number* const row_mean_instability = tensor.vector(2);
            Number* const column_mean_instability = tensor.vector(3);
            Number* const new_exp_avg_res_row = tensor.vector(2);
            Number* const column_sum_exp_avg_res_row = tensor.vector(4);
            Number* const column_mean_exp_avg_res_row = tensor.vector(4);
            Number* const direction_part = tensor.vector(2);
            Number* const rsqrt_exp_avg_res_col = tensor.vector(3);
            if constexpr (param_rank_above_one)
                tensor.load<thetac::THETAC_DTYPE_6>(6, thetac::Extent::ROW, exp_avg_res_row);
            if constexpr (param_rank_above_one)
                tensor.load<thetac::THETAC_DTYPE_7>(7, thetac::Extent::COLUMN, exp_avg_res_col);
            if constexpr (param_rank_above_one) {
                // row_mean_instability = row_sum_instability / param_columns
                tensor.for_rows([&](int64 matrix, int64 i) { row_mean_instability[i] = row_sum_instability[i] /
                    param_columns; });
                // exp_avg_res_row = beta3 * exp_avg_res_row + (1 - beta3) * row_mean_instability
                tensor.for_rows([&](int64 matrix, int64 i) { exp_avg_res_row[i] = beta3 * exp_avg_res_row[i] +
                    one_minus_beta3 * row_mean_instability[i]; });
                // column_mean_instability = column_sum_instability / param_rows
                tensor.for_columns([&](int64 matrix, int64 i) { column_mean_instability[i] =
                    column_sum_instability[i] / param_rows; });
                // exp_avg_res_col = beta3 * exp_avg_res_col + (1 - beta3) * column_mean_instability
                tensor.for_columns([&](int64 matrix, int64 i) { exp_avg_res_col[i] = beta3 * exp_avg_res_col[i] +
                    one_minus_beta3 * column_mean_instability[i]; });
                // new_exp_avg_res_row = exp_avg_res_row
                tensor.for_rows([&](int64 matrix, int64 i) { new_exp_avg_res_row[i] = exp_avg_res_row[i]; });
                // column_sum_exp_avg_res_row = sum(new_exp_avg_res_row, axis=-2)
                tensor.fold_matrices<thetac::Sum>(thetac::Extent::ROW, new_exp_avg_res_row,
                    column_sum_exp_avg_res_row);
                // column_mean_exp_avg_res_row = column_sum_exp_avg_res_row / param_rows
                tensor.for_matrices([&](int64 matrix, int64 i) { column_mean_exp_avg_res_row[matrix] =
                    column_sum_exp_avg_res_row[matrix] / param_rows; });
                // direction_part = rsqrt(exp_avg_res_row / column_mean_exp_avg_res_row)
                tensor.for_rows([&](int64 matrix, int64 i) { direction_part[i] = ops::rsqrt(exp_avg_res_row[i] /
                    column_mean_exp_avg_res_row[matrix]); });
                // rsqrt_exp_avg_res_col = rsqrt(exp_avg_res_col)
                tensor.for_columns([&](int64 matrix, int64 i) { rsqrt_exp_avg_res_col[i] =
                    ops::rsqrt(exp_avg_res_col[i]); });
            }
            if constexpr (param_rank_above_one)
                tensor.store<thetac::THETAC_DTYPE_6>(6, thetac::Extent::ROW, exp_avg_res_row);
            if constexpr (param_rank_above_one)
                tensor.store<thetac::THETAC_DTYPE_7>(7, thetac::Extent::COLUMN, exp_avg_res_col);
        }

        static void update(Number* const* streams, int64 count, const Number* row, const double*) {
            const Number eps1 = row[1];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict square_ptr = streams[4];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number grad = param_rank_above_one ? grad_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                Number square = grad * grad + eps1;

                if constexpr (param_rank_above_one)
                    square_ptr[i] = square;
            }
        }

        static void update_1(Number* const* streams, int64 count, const Number* row, const double*) {
            const Number eps1 = row[1];
            const Number beta2 = row[3];
            const Number one_minus_beta2 = row[4];
            const Number* __restrict grad_ptr = streams[1];
            const Number* __restrict exp_avg_sq_ptr = streams[3];
            const Number* __restrict scaled_part_ptr = streams[4];
            const Number* __restrict rsqrt_exp_avg_sq_col_ptr = streams[5];
            Number* __restrict scaled_squared_ptr = streams[6];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number grad = grad_ptr[i];
                Number exp_avg_sq = !param_rank_above_one ? exp_avg_sq_ptr[i] : Number(0);
                const Number scaled_part = param_rank_above_one ? scaled_part_ptr[i] : Number(0);
                const Number rsqrt_exp_avg_sq_col = param_rank_above_one ? rsqrt_exp_avg_sq_col_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                Number square = grad * grad + eps1;
                Number scaled = 0;
                if constexpr (param_rank_above_one) {
                    scaled = grad * (scaled_part * rsqrt_exp_avg_sq_col);
                } else {
                    // exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * square
                    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * square;
                    // scaled = grad * rsqrt(exp_avg_sq)
                    scaled = grad * ops::rsqrt(exp_avg_sq);
                }
                // scaled_squared = scaled * scaled
                Number scaled_squared = scaled;

                scaled_squared_ptr[i] = scaled_squared;
            }
        }

        static void update_2(Number* const* streams, int64 count, const Number* row, const double* numbers) {
            const Number eps1 = row[1];
            const Number beta2 = row[3];
            const Number one_minus_beta2 = row[4];
            const Number beta1 = row[8];
            const Number one_minus_beta1 = row[9];
            const Number eps2 = row[10];
            const Number scaled_part_2 = Number(numbers[1]);
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict exp_avg_ptr = streams[2];
            Number* __restrict exp_avg_sq_ptr = streams[3];
            const Number* __restrict scaled_part_ptr = streams[4];
            const Number* __restrict rsqrt_exp_avg_sq_col_ptr = streams[5];
            Number* __restrict instability_ptr = streams[6];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number grad = grad_ptr[i];
                Number exp_avg = exp_avg_ptr[i];
                Number exp_avg_sq = !param_rank_above_one ? exp_avg_sq_ptr[i] : Number(0);
                const Number scaled_part = param_rank_above_one ? scaled_part_ptr[i] : Number(0);
                const Number rsqrt_exp_avg_sq_col = param_rank_above_one ? rsqrt_exp_avg_sq_col_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                Number square = grad * grad + eps1;
                Number scaled = 0;
                if constexpr (param_rank_above_one) {
                    scaled = grad * (scaled_part * rsqrt_exp_avg_sq_col);
                } else {
                    // exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * square
                    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * square;
                    // scaled = grad * rsqrt(exp_avg_sq)
                    scaled = grad * ops::rsqrt(exp_avg_sq);
                }
                scaled = scaled / scaled_part_2;
                // exp_avg = beta1 * exp_avg + (1 - beta1) * scaled
                exp_avg = beta1 * exp_avg + one_minus_beta1 * scaled;
                Number instability = 0;
                if constexpr (param_rank_above_one) {
                    instability = (scaled - exp_avg) * (scaled - exp_avg) + eps2;
                }

                exp_avg_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(exp_avg);
                if constexpr (!param_rank_above_one)
                    exp_avg_sq_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(exp_avg_sq);
                if constexpr (param_rank_above_one)
                    instability_ptr[i] = instability;
            }
        }

        static void update_3(Number* const* streams, int64 count, const Number* row, const double*) {
            const Number one_minus_lr_times_weight_decay = row[0];
            const Number lr = row[13];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict exp_avg_ptr = streams[2];
            const Number* __restrict direction_part_ptr = streams[4];
            const Number* __restrict rsqrt_exp_avg_res_col_ptr = streams[5];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number exp_avg = exp_avg_ptr[i];
                const Number direction_part = param_rank_above_one ? direction_part_ptr[i] : Number(0);
                const Number rsqrt_exp_avg_res_col = param_rank_above_one ? rsqrt_exp_avg_res_col_ptr[i] : Number(0);

                if constexpr (weight_decay_nonzero) {
                    // weight decay: param = param * (1 - lr * weight_decay)
                    param = param * one_minus_lr_times_weight_decay;
                }
                Number direction = exp_avg;
                if constexpr (param_rank_above_one) {
                    direction = exp_avg * (direction_part * rsqrt_exp_avg_res_col);
                }
                param = param - lr * direction;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
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
