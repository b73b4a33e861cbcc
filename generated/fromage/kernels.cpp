// Generated from specs/fromage.yaml by thetac 0.1.0; do not edit.
//
// Fromage on a CPU: one step of some elements.
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

    static constexpr int STREAMS = 2;
    static constexpr int ENTRIES = 4;  // of a row
    static constexpr int CONDITIONS = 3;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
    };

    // What is computed per parameter, row and column. Addresses are those of the streams, then those of small states.
    static constexpr int COLUMNS = 3;
    static constexpr int NUMBERS = 8;  // per parameter, in double
    static constexpr int VECTORS = 0;
    static constexpr int FURTHER = 1;  // pointers of a sweep, after those of the streams
    static constexpr bool HAS_AXES = false;
    static constexpr thetac::Extent vectors[] = {thetac::Extent::PARAMETER};
    static constexpr thetac::Fold folds_0[] = {
        {thetac::FoldOp::SQUARES, thetac::Extent::PARAMETER, 0, 0},  // sum_param_squared
        {thetac::FoldOp::SQUARES, thetac::Extent::PARAMETER, 0, 1},  // ratio_part_part
        {thetac::FoldOp::SQUARES, thetac::Extent::PARAMETER, 2, 2},  // sum_grad_squared
    };
    static constexpr thetac::Fold folds_1[] = {
        {thetac::FoldOp::SQUARES, thetac::Extent::PARAMETER, 2, 3},  // param_part_part
    };
    static constexpr thetac::PassFacts facts[] = {
        {true, nullptr, 0, folds_0, 3},
        {true, nullptr, 0, folds_1, 1},
        {true, nullptr, 0, nullptr, 0},
    };
    static constexpr bool has_program[] = {false, true, true};  // before the sweep

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number* row) {
        Mask mask = 0;
        mask |= Mask(row[0] != 0) << 2;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = mask >> 0 & 1;
        static constexpr bool choice_of_p_bound_is_none_infinity_p_bound_below_infinity = mask >> 1 & 1;
        static constexpr bool first_max_norm = mask >> 2 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(choice_of_p_bound_is_none_infinity_p_bound_below_infinity) << 2;
        static constexpr Mask loaded =
            Mask(1) << 0
            | Mask(1) << 1;
        static constexpr Mask stored = 0;
        static constexpr Mask read = 0;
        static constexpr Mask folded =
            Mask(choice_of_p_bound_is_none_infinity_p_bound_below_infinity) << 0
            | Mask(1) << 1
            | Mask(1) << 2;
        static constexpr Mask loaded_1 =
            Mask(choice_of_p_bound_is_none_infinity_p_bound_below_infinity) << 0
            | Mask(choice_of_p_bound_is_none_infinity_p_bound_below_infinity) << 1;
        static constexpr Mask stored_1 = 0;
        static constexpr Mask read_1 = 0;
        static constexpr Mask folded_1 =
            Mask(choice_of_p_bound_is_none_infinity_p_bound_below_infinity) << 0;
        static constexpr Mask loaded_2 =
            Mask(1) << 0
            | Mask(1) << 1;
        static constexpr Mask stored_2 =
            Mask(1) << 0;
        static constexpr Mask read_2 = 0;
        static constexpr Mask folded_2 = 0;

        static void before_1(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            const Number p_bound_or_default = row[1];
            Number& sum_param_squared = tensor.numbers[0];
            Number& ratio_part_part = tensor.numbers[1];
            Number& sum_grad_squared = tensor.numbers[2];
            Number& ratio = tensor.numbers[4];
            Number& max_norm = tensor.numbers[7];
            if constexpr (choice_of_p_bound_is_none_infinity_p_bound_below_infinity)
                tensor.load<thetac::THETAC_DTYPE_2>(2, thetac::Extent::PARAMETER, &max_norm);
            Number norm_param = 0;
            if constexpr (choice_of_p_bound_is_none_infinity_p_bound_below_infinity) {
                if constexpr (first_max_norm) {
                    // norm_param = sqrt(sum_param_squared)
                    norm_param = ops::square_root(sum_param_squared);
                    max_norm = p_bound_or_default * norm_param;
                }
            }
            // ratio_part = sqrt(ratio_part_part)
            Number ratio_part = ops::square_root(ratio_part_part);
            // norm_grad = sqrt(sum_grad_squared)
            Number norm_grad = ops::square_root(sum_grad_squared);
            // ratio = where(ratio_part > 0 and norm_grad > 0, ratio_part / norm_grad, 1)
            ratio = ratio_part > Number(0.0) && norm_grad > Number(0.0) ? ratio_part / norm_grad : Number(1.0);
            if constexpr (choice_of_p_bound_is_none_infinity_p_bound_below_infinity)
                tensor.store<thetac::THETAC_DTYPE_2>(2, thetac::Extent::PARAMETER, &max_norm);
            if constexpr (choice_of_p_bound_is_none_infinity_p_bound_below_infinity)
                tensor.load<thetac::THETAC_DTYPE_2>(2, thetac::Extent::PARAMETER, &max_norm);
        }

        static void before_2(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            Number& param_part_part = tensor.numbers[3];
            Number& param_part_above_max_norm = tensor.numbers[5];
            Number& max_norm_over_param_part = tensor.numbers[6];
            Number& max_norm = tensor.numbers[7];
            Number param_part = 0;
            if constexpr (choice_of_p_bound_is_none_infinity_p_bound_below_infinity) {
                // param_part = sqrt(param_part_part)
                param_part = ops::square_root(param_part_part);
                param_part_above_max_norm = param_part > max_norm;
                max_norm_over_param_part = max_norm / param_part;
            }
        }

        static void update(Number* const* streams, int64 count, const Number*, const double*) {
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict grad_squared_ptr = streams[2];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number grad = grad_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                // grad_squared = grad * grad
                Number grad_squared = grad;

                grad_squared_ptr[i] = grad_squared;
            }
        }

        static void update_1(Number* const* streams, int64 count, const Number* row, const double* numbers) {
            const Number lr = row[2];
            const Number sqrt_one_plus_lr_squared = row[3];
            const Number ratio = Number(numbers[4]);
            const Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict param_part_part_part_ptr = streams[2];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = choice_of_p_bound_is_none_infinity_p_bound_below_infinity ? param_ptr[i] : Number(0);
                Number grad = choice_of_p_bound_is_none_infinity_p_bound_below_infinity ? grad_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                // param = (param - lr * (grad * ratio)) / sqrt(1 + lr ** 2)
                param = (param - lr * (grad * ratio)) / sqrt_one_plus_lr_squared;
                Number param_part_part_part = 0;
                if constexpr (choice_of_p_bound_is_none_infinity_p_bound_below_infinity) {
                    // param_part_part_part = param * param
                    param_part_part_part = param;
                }

                if constexpr (choice_of_p_bound_is_none_infinity_p_bound_below_infinity)
                    param_part_part_part_ptr[i] = param_part_part_part;
            }
        }

        static void update_2(Number* const* streams, int64 count, const Number* row, const double* numbers) {
            const Number lr = row[2];
            const Number sqrt_one_plus_lr_squared = row[3];
            const Number ratio = Number(numbers[4]);
            const bool param_part_above_max_norm = numbers[5] != 0;
            const Number max_norm_over_param_part = Number(numbers[6]);
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                // param = (param - lr * (grad * ratio)) / sqrt(1 + lr ** 2)
                param = (param - lr * (grad * ratio)) / sqrt_one_plus_lr_squared;
                if constexpr (choice_of_p_bound_is_none_infinity_p_bound_below_infinity) {
                    // param = where(param_part_above_max_norm, param * max_norm_over_param_part, param)
                    param = param_part_above_max_norm ? param * max_norm_over_param_part : param;
                }

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
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
