// Generated from specs/adam_mini.yaml by thetac 0.1.0; do not edit.
//
// AdamMini on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 10;  // of a row
    static constexpr int CONDITIONS = 0;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // m
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // v
    };

    // What is computed per parameter, row and column. Addresses are those of the streams, then those of small states.
    static constexpr int COLUMNS = 6;
    static constexpr int NUMBERS = 3;  // per parameter, in double
    static constexpr int VECTORS = 3;
    static constexpr int FURTHER = 2;  // pointers of a sweep, after those of the streams
    static constexpr bool HAS_AXES = true;
    static constexpr thetac::Extent vectors[] = {thetac::Extent::ROW, thetac::Extent::ROW, thetac::Extent::ROW};
    static constexpr thetac::Fold folds_0[] = {
        {thetac::FoldOp::SQUARES, thetac::Extent::ROW, 4, 0},  // row_sum_grad_squared
        {thetac::FoldOp::SQUARES, thetac::Extent::PARAMETER, 5, 0},  // sum_grad_squared
    };
    static constexpr int vectors_1[] = {0};  // param_part
    static constexpr thetac::PassFacts facts[] = {
        {true, nullptr, 0, folds_0, 2},
        {true, vectors_1, 1, nullptr, 0},
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
        static constexpr bool blocks_is_element = holds[2];
        static constexpr bool blocks_is_row = holds[3];
        static constexpr bool blocks_is_head = holds[4];
        static constexpr bool param_rank_above_one = holds[5];
        static constexpr bool blocks_is_tensor = holds[6];
        static constexpr bool param_rank_at_most_one = holds[7];

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions = 0;
        static constexpr Mask loaded =
            Mask((blocks_is_head || blocks_is_row) && param_rank_above_one || blocks_is_row && param_rank_at_most_one || blocks_is_tensor) << 1;
        static constexpr Mask stored = 0;
        static constexpr Mask read = 0;
        static constexpr Mask folded =
            Mask((blocks_is_head || blocks_is_row) && param_rank_above_one) << 0
            | Mask(blocks_is_row && param_rank_at_most_one || blocks_is_tensor) << 1;
        static constexpr Mask loaded_1 =
            Mask(blocks_is_element || (!blocks_is_head && !blocks_is_row || !param_rank_above_one) && ((blocks_is_head || blocks_is_row) && param_rank_above_one || blocks_is_row && param_rank_at_most_one) && (!blocks_is_row || !param_rank_at_most_one) || (blocks_is_head || blocks_is_row) && param_rank_above_one || blocks_is_row && param_rank_at_most_one || blocks_is_tensor || weight_decay_nonzero) << 0
            | Mask(1) << 1
            | Mask(1) << 2
            | Mask(blocks_is_element) << 3;
        static constexpr Mask stored_1 =
            Mask(blocks_is_element || (blocks_is_head || blocks_is_row) && param_rank_above_one || blocks_is_row && param_rank_at_most_one || blocks_is_tensor || weight_decay_nonzero) << 0
            | Mask(1) << 2
            | Mask(blocks_is_element) << 3;
        static constexpr Mask read_1 =
            Mask((blocks_is_head || blocks_is_row) && param_rank_above_one) << 0;
        static constexpr Mask folded_1 = 0;

        static void before_1(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            const Number beta2 = row[2];
            const Number one_minus_beta2 = row[3];
            const Number rate = row[4];
            const Number correction = row[5];
            const Number eps = row[6];
            const Number param_matrix_columns = row[7];
            const Number n_heads = row[8];
            const Number param_size = row[9];
            Number& sum_grad_squared = tensor.numbers[0];
            Number& param_part_2 = tensor.numbers[1];
            Number& vmean = tensor.numbers[2];
            Number* const row_sum_grad_squared = tensor.vector(0);
            Number* const v_row = tensor.vector(1);
            Number* const square = tensor.vector(0);
            Number* const new_square = tensor.vector(2);
            Number* const param_part = tensor.vector(0);
            if constexpr ((blocks_is_head || blocks_is_row) && param_rank_above_one)
                tensor.load<thetac::THETAC_DTYPE_4>(4, thetac::Extent::ROW, v_row);
            if constexpr (blocks_is_row && param_rank_at_most_one || blocks_is_tensor)
                tensor.load<thetac::THETAC_DTYPE_5>(5, thetac::Extent::PARAMETER, &vmean);
            if constexpr ((blocks_is_row || blocks_is_head) && param_rank_above_one) {
                // square = row_sum_grad_squared / param_matrix_columns
                tensor.for_rows([&](int64 matrix, int64 i) { square[i] = row_sum_grad_squared[i] /
                    param_matrix_columns; });
                if constexpr (blocks_is_head) {
                    // new_square = square
                    tensor.for_rows([&](int64 matrix, int64 i) { new_square[i] = square[i]; });
                    // square = mean_of_blocks(new_square, n_heads)
                    tensor.mean_of_blocks(new_square, n_heads, square);
                }
                // v_row = beta2 * v_row + (1 - beta2) * square
                tensor.for_rows([&](int64 matrix, int64 i) { v_row[i] = beta2 * v_row[i] + one_minus_beta2 *
                    square[i]; });
                // param_part = rate / (sqrt(v_row) / correction + eps)
                tensor.for_rows([&](int64 matrix, int64 i) { param_part[i] = rate / (ops::square_root(v_row[i]) /
                    correction + eps); });
            }
            Number mean_grad_squared = 0;
            if constexpr (blocks_is_tensor || blocks_is_row && param_rank_at_most_one) {
                mean_grad_squared = sum_grad_squared / param_size;
                // vmean = beta2 * vmean + (1 - beta2) * mean_grad_squared
                vmean = beta2 * vmean + one_minus_beta2 * mean_grad_squared;
                // param_part_2 = rate / (sqrt(vmean) / correction + eps)
                param_part_2 = rate / (ops::square_root(vmean) / correction + eps);
            }
            if constexpr ((blocks_is_head || blocks_is_row) && param_rank_above_one)
                tensor.store<thetac::THETAC_DTYPE_4>(4, thetac::Extent::ROW, v_row);
            if constexpr (blocks_is_row && param_rank_at_most_one || blocks_is_tensor)
                tensor.store<thetac::THETAC_DTYPE_5>(5, thetac::Extent::PARAMETER, &vmean);
        }

        static void update(Number* const* streams, int64 count, const Number*, const double*) {
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict grad_squared_ptr = streams[4];
            Number* __restrict sum_grad_squared_part_ptr = streams[5];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number grad = (blocks_is_head || blocks_is_row) && param_rank_above_one || blocks_is_row &&
                    param_rank_at_most_one || blocks_is_tensor ? grad_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                Number grad_squared = 0;
                if constexpr ((blocks_is_row || blocks_is_head) && param_rank_above_one) {
                    // grad_squared = grad * grad
                    grad_squared = grad;
                }
                Number sum_grad_squared_part = 0;
                if constexpr (blocks_is_tensor || blocks_is_row && param_rank_at_most_one) {
                    // sum_grad_squared_part = grad * grad
                    sum_grad_squared_part = grad;
                }

                if constexpr ((blocks_is_head || blocks_is_row) && param_rank_above_one)
                    grad_squared_ptr[i] = grad_squared;
                if constexpr (blocks_is_row && param_rank_at_most_one || blocks_is_tensor)
                    sum_grad_squared_part_ptr[i] = sum_grad_squared_part;
            }
        }

        static void update_1(Number* const* streams, int64 count, const Number* row, const double* numbers) {
            const Number one_minus_lr_times_weight_decay = row[0];
            const Number one_minus_beta1 = row[1];
            const Number beta2 = row[2];
            const Number one_minus_beta2 = row[3];
            const Number rate = row[4];
            const Number correction = row[5];
            const Number eps = row[6];
            const Number param_part_2 = Number(numbers[1]);
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict m_ptr = streams[2];
            Number* __restrict v_ptr = streams[3];
            const Number* __restrict param_part_ptr = streams[4];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = blocks_is_element || (!blocks_is_head && !blocks_is_row || !param_rank_above_one) &&
                    ((blocks_is_head || blocks_is_row) && param_rank_above_one || blocks_is_row &&
                    param_rank_at_most_one) && (!blocks_is_row || !param_rank_at_most_one) || (blocks_is_head ||
                    blocks_is_row) && param_rank_above_one || blocks_is_row && param_rank_at_most_one ||
                    blocks_is_tensor || weight_decay_nonzero ? param_ptr[i] : Number(0);
                Number grad = grad_ptr[i];
                Number m = m_ptr[i];
                Number v = blocks_is_element ? v_ptr[i] : Number(0);
                const Number param_part = (blocks_is_head || blocks_is_row) && param_rank_above_one ? param_part_ptr[i]
                    : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                if constexpr (weight_decay_nonzero) {
                    // weight decay: param = param * (1 - lr * weight_decay)
                    param = param * one_minus_lr_times_weight_decay;
                }
                // m = lerp(m, grad, 1 - beta1)
                m = ops::lerp(m, grad, one_minus_beta1);
                if constexpr (blocks_is_element) {
                    // v = beta2 * v + (1 - beta2) * grad * grad
                    v = beta2 * v + one_minus_beta2 * grad * grad;
                    // param = param - rate * m / (sqrt(v) / correction + eps)
                    param = param - rate * m / (ops::square_root(v) / correction + eps);
                }
                if constexpr ((blocks_is_row || blocks_is_head) && param_rank_above_one) {
                    param = param - m * param_part;
                }
                if constexpr (blocks_is_tensor || blocks_is_row && param_rank_at_most_one) {
                    param = param - m * param_part_2;
                }

                if constexpr (blocks_is_element || (blocks_is_head || blocks_is_row) && param_rank_above_one ||
                    blocks_is_row && param_rank_at_most_one || blocks_is_tensor || weight_decay_nonzero)
                    param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                m_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(m);
                if constexpr (blocks_is_element)
                    v_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(v);
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
