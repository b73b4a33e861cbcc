// Generated from specs/mars.yaml by thetac 0.1.0; do not edit.
//
// MARS on a CPU: one step of some elements.
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

    static constexpr int STREAMS = 6;
    static constexpr int ENTRIES = 13;  // of a row
    static constexpr int CONDITIONS = 6;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // exp_avg
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // exp_avg_sq
        thetac::access_of<Number, thetac::THETAC_DTYPE_4>(),  // max_exp_avg_sq
        thetac::access_of<Number, thetac::THETAC_DTYPE_5>(),  // last_grad
    };

    // What is computed per parameter, row and column. Addresses are those of the streams, then those of small states.
    static constexpr int COLUMNS = 6;
    static constexpr int NUMBERS = 2;  // per parameter, in double
    static constexpr int VECTORS = 0;
    static constexpr int FURTHER = 1;  // pointers of a sweep, after those of the streams
    static constexpr bool HAS_AXES = false;
    static constexpr thetac::Extent vectors[] = {thetac::Extent::PARAMETER};
    static constexpr thetac::Fold folds_0[] = {
        {thetac::FoldOp::SQUARES, thetac::Extent::PARAMETER, 6, 0},  // sum_corrected_squared
    };
    static constexpr thetac::PassFacts facts[] = {
        {true, nullptr, 0, folds_0, 1},
        {true, nullptr, 0, nullptr, 0},
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
        static constexpr bool optimize_1d = mask >> 1 & 1;
        static constexpr bool param_rank_equal_to_two = mask >> 2 & 1;
        static constexpr bool mars_type_is_adamw = mask >> 3 & 1;
        static constexpr bool mars_type_is_lion = mask >> 4 & 1;
        static constexpr bool amsgrad = mask >> 5 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(!optimize_1d) << 2
            | Mask(optimize_1d || param_rank_equal_to_two) << 3
            | Mask(1) << 4
            | Mask(!mars_type_is_lion || !optimize_1d && !param_rank_equal_to_two) << 5;
        static constexpr Mask loaded =
            Mask(optimize_1d || param_rank_equal_to_two) << 1
            | Mask(optimize_1d || param_rank_equal_to_two) << 5;
        static constexpr Mask stored = 0;
        static constexpr Mask read = 0;
        static constexpr Mask folded =
            Mask(optimize_1d || param_rank_equal_to_two) << 0;
        static constexpr Mask loaded_1 =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2
            | Mask((!mars_type_is_adamw || !optimize_1d && !param_rank_equal_to_two) && (mars_type_is_adamw && (optimize_1d || param_rank_equal_to_two) || !optimize_1d && !param_rank_equal_to_two) && (optimize_1d || param_rank_equal_to_two) || mars_type_is_adamw && (optimize_1d || param_rank_equal_to_two) || !mars_type_is_lion || !optimize_1d && !param_rank_equal_to_two) << 3
            | Mask(amsgrad && (!mars_type_is_lion || !optimize_1d && !param_rank_equal_to_two)) << 4
            | Mask(optimize_1d || param_rank_equal_to_two) << 5;
        static constexpr Mask stored_1 =
            Mask(1) << 0
            | Mask(1) << 2
            | Mask(mars_type_is_adamw && (optimize_1d || param_rank_equal_to_two) || !optimize_1d && !param_rank_equal_to_two) << 3
            | Mask(amsgrad && (!mars_type_is_lion || !optimize_1d && !param_rank_equal_to_two)) << 4
            | Mask(optimize_1d || param_rank_equal_to_two) << 5;
        static constexpr Mask read_1 = 0;
        static constexpr Mask folded_1 = 0;

        static void before_1(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            Number& sum_corrected_squared = tensor.numbers[0];
            Number& max_of_norm_corrected_one = tensor.numbers[1];
            Number norm_corrected = 0;
            if constexpr (optimize_1d || param_rank_equal_to_two) {
                // norm_corrected = sqrt(sum_corrected_squared)
                norm_corrected = ops::square_root(sum_corrected_squared);
                // max_of_norm_corrected_one = maximum(norm_corrected, 1)
                max_of_norm_corrected_one = ops::maximum(norm_corrected, Number(1.0));
            }
        }

        static void update(Number* const* streams, int64 count, const Number* row, const double*) {
            const Number corrected_factor = row[0];
            const Number* __restrict grad_ptr = streams[1];
            const Number* __restrict last_grad_ptr = streams[5];
            Number* __restrict corrected_squared_ptr = streams[6];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number grad = optimize_1d || param_rank_equal_to_two ? grad_ptr[i] : Number(0);
                Number last_grad = optimize_1d || param_rank_equal_to_two ? last_grad_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                Number corrected = 0;
                Number corrected_squared = 0;
                if constexpr (optimize_1d || param_rank_equal_to_two) {
                    // corrected = grad + gamma * beta1 / (1 - beta1) * (grad - last_grad)
                    corrected = grad + corrected_factor * (grad - last_grad);
                    // corrected_squared = corrected * corrected
                    corrected_squared = corrected;
                }

                if constexpr (optimize_1d || param_rank_equal_to_two)
                    corrected_squared_ptr[i] = corrected_squared;
            }
        }

        static void update_1(Number* const* streams, int64 count, const Number* row, const double* numbers) {
            const Number corrected_factor = row[0];
            const Number beta1 = row[1];
            const Number one_minus_beta1 = row[2];
            const Number beta2 = row[3];
            const Number one_minus_beta2 = row[4];
            const Number beta1_1d = row[5];
            const Number one_minus_beta1_1d = row[6];
            const Number beta2_1d = row[7];
            const Number one_minus_beta2_1d = row[8];
            const Number correction1_over_correction2 = row[9];
            const Number correction1_times_eps = row[10];
            const Number rate = row[11];
            const Number decay = row[12];
            const Number max_of_norm_corrected_one = Number(numbers[1]);
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict exp_avg_ptr = streams[2];
            Number* __restrict exp_avg_sq_ptr = streams[3];
            Number* __restrict max_exp_avg_sq_ptr = streams[4];
            Number* __restrict last_grad_ptr = streams[5];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number exp_avg = exp_avg_ptr[i];
                Number exp_avg_sq = (!mars_type_is_adamw || !optimize_1d && !param_rank_equal_to_two) &&
                    (mars_type_is_adamw && (optimize_1d || param_rank_equal_to_two) || !optimize_1d &&
                    !param_rank_equal_to_two) && (optimize_1d || param_rank_equal_to_two) || mars_type_is_adamw &&
                    (optimize_1d || param_rank_equal_to_two) || !mars_type_is_lion || !optimize_1d &&
                    !param_rank_equal_to_two ? exp_avg_sq_ptr[i] : Number(0);
                Number max_exp_avg_sq = amsgrad && (!mars_type_is_lion || !optimize_1d && !param_rank_equal_to_two) ?
                    max_exp_avg_sq_ptr[i] : Number(0);
                Number last_grad = optimize_1d || param_rank_equal_to_two ? last_grad_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                Number corrected = 0;
                if constexpr (optimize_1d || param_rank_equal_to_two) {
                    // corrected = grad + gamma * beta1 / (1 - beta1) * (grad - last_grad)
                    corrected = grad + corrected_factor * (grad - last_grad);
                    corrected = corrected / max_of_norm_corrected_one;
                    // exp_avg = beta1 * exp_avg + (1 - beta1) * corrected
                    exp_avg = beta1 * exp_avg + one_minus_beta1 * corrected;
                    if constexpr (mars_type_is_adamw) {
                        // exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * corrected * corrected
                        exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * corrected * corrected;
                    }
                    last_grad = grad;
                }
                if constexpr (!(optimize_1d || param_rank_equal_to_two)) {
                    // exp_avg = beta1_1d * exp_avg + (1 - beta1_1d) * grad
                    exp_avg = beta1_1d * exp_avg + one_minus_beta1_1d * grad;
                    // exp_avg_sq = beta2_1d * exp_avg_sq + (1 - beta2_1d) * grad * grad
                    exp_avg_sq = beta2_1d * exp_avg_sq + one_minus_beta2_1d * grad * grad;
                }
                Number direction = 0;
                Number second_moment = 0;
                if constexpr (mars_type_is_lion && (optimize_1d || param_rank_equal_to_two)) {
                    // direction = sign(exp_avg)
                    direction = ops::sign(exp_avg);
                } else {
                    second_moment = exp_avg_sq;
                    if constexpr (amsgrad) {
                        // max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
                        max_exp_avg_sq = ops::maximum(max_exp_avg_sq, exp_avg_sq);
                        second_moment = max_exp_avg_sq;
                    }
                    // direction = exp_avg / (sqrt(second_moment) * (correction1 / correction2) + correction1 * eps)
                    direction = exp_avg / (ops::square_root(second_moment) * correction1_over_correction2 +
                        correction1_times_eps);
                }
                param = param - rate * (decay * param + direction);

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                exp_avg_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(exp_avg);
                if constexpr (mars_type_is_adamw && (optimize_1d || param_rank_equal_to_two) || !optimize_1d &&
                    !param_rank_equal_to_two)
                    exp_avg_sq_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(exp_avg_sq);
                if constexpr (amsgrad && (!mars_type_is_lion || !optimize_1d && !param_rank_equal_to_two))
                    max_exp_avg_sq_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_4>(max_exp_avg_sq);
                if constexpr (optimize_1d || param_rank_equal_to_two)
                    last_grad_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_5>(last_grad);
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
