// Generated from specs/adahessian.yaml by thetac 0.1.0; do not edit.
//
// AdaHessian on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 4;  // of a row
    static constexpr int CONDITIONS = 2;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // exp_hessian_diag_sq
    };

    // What is computed per parameter, row and column. Addresses are those of the streams, then those of small states.
    static constexpr int COLUMNS = 3;
    static constexpr int NUMBERS = 0;  // per parameter, in double
    static constexpr int VECTORS = 2;
    static constexpr int FURTHER = 1;  // pointers of a sweep, after those of the streams
    static constexpr bool HAS_AXES = true;
    static constexpr thetac::Extent vectors[] = {thetac::Extent::ROW, thetac::Extent::MATRIX};
    static constexpr thetac::Fold folds_0[] = {
        {thetac::FoldOp::SUM, thetac::Extent::ROW, 3, 0},  // row_sum_abs_grad
    };
    static constexpr int vectors_1[] = {1};  // exp_hessian_diag_sq_part
    static constexpr thetac::PassFacts facts[] = {
        {true, nullptr, 0, folds_0, 1},
        {true, vectors_1, 1, nullptr, 0},
    };
    static constexpr bool has_program[] = {false, true};  // before the sweep

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number*) {
        Mask mask = 0;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = mask >> 0 & 1;
        static constexpr bool param_rank_equal_to_four = mask >> 1 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1;
        static constexpr Mask loaded =
            Mask(param_rank_equal_to_four) << 1;
        static constexpr Mask stored = 0;
        static constexpr Mask read = 0;
        static constexpr Mask folded =
            Mask(param_rank_equal_to_four) << 0;
        static constexpr Mask loaded_1 =
            Mask(!param_rank_equal_to_four) << 1
            | Mask(1) << 2;
        static constexpr Mask stored_1 =
            Mask(1) << 2;
        static constexpr Mask read_1 =
            Mask(param_rank_equal_to_four) << 0;
        static constexpr Mask folded_1 = 0;

        static void before_1(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            const Number param_columns = row[0];
            const Number param_rows = row[1];
            const Number one_minus_beta2 = row[2];
            Number* const row_sum_abs_grad = tensor.vector(0);
            Number* const row_mean_abs_grad = tensor.vector(0);
            Number* const column_sum_row_mean_abs_grad = tensor.vector(1);
            Number* const of_kernel = tensor.vector(1);
            Number* const exp_hessian_diag_sq_part = tensor.vector(1);
            if constexpr (param_rank_equal_to_four) {
                // row_mean_abs_grad = row_sum_abs_grad / param_columns
                tensor.for_rows([&](int64 matrix, int64 i) { row_mean_abs_grad[i] = row_sum_abs_grad[i] /
                    param_columns; });
                // column_sum_row_mean_abs_grad = sum(row_mean_abs_grad, axis=-2)
                tensor.fold_matrices<thetac::Sum>(thetac::Extent::ROW, row_mean_abs_grad,
                    column_sum_row_mean_abs_grad);
                // of_kernel = column_sum_row_mean_abs_grad / param_rows
                tensor.for_matrices([&](int64 matrix, int64 i) { of_kernel[matrix] =
                    column_sum_row_mean_abs_grad[matrix] / param_rows; });
                // exp_hessian_diag_sq_part = (1 - beta2) * of_kernel * of_kernel
                tensor.for_matrices([&](int64 matrix, int64 i) { exp_hessian_diag_sq_part[matrix] = one_minus_beta2
                    * of_kernel[matrix] * of_kernel[matrix]; });
            }
        }

        static void update(Number* const* streams, int64 count, const Number*, const double*) {
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict abs_grad_ptr = streams[3];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number grad = param_rank_equal_to_four ? grad_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                Number abs_grad = 0;
                if constexpr (param_rank_equal_to_four) {
                    // abs_grad = abs(grad)
                    abs_grad = ops::absolute(grad);
                }

                if constexpr (param_rank_equal_to_four)
                    abs_grad_ptr[i] = abs_grad;
            }
        }

        static void update_1(Number* const* streams, int64 count, const Number* row, const double*) {
            const Number one_minus_beta2 = row[2];
            const Number beta2 = row[3];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict exp_hessian_diag_sq_ptr = streams[2];
            const Number* __restrict exp_hessian_diag_sq_part_ptr = streams[3];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number grad = !param_rank_equal_to_four ? grad_ptr[i] : Number(0);
                Number exp_hessian_diag_sq = exp_hessian_diag_sq_ptr[i];
                const Number exp_hessian_diag_sq_part = param_rank_equal_to_four ? exp_hessian_diag_sq_part_ptr[i] :
                    Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                if constexpr (param_rank_equal_to_four) {
                    exp_hessian_diag_sq = beta2 * exp_hessian_diag_sq + exp_hessian_diag_sq_part;
                } else {
                    // exp_hessian_diag_sq = beta2 * exp_hessian_diag_sq + (1 - beta2) * grad * grad
                    exp_hessian_diag_sq = beta2 * exp_hessian_diag_sq + one_minus_beta2 * grad * grad;
                }

                exp_hessian_diag_sq_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(exp_hessian_diag_sq);
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
