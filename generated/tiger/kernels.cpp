// Generated from specs/tiger.yaml by thetac 0.1.0; do not edit.
//
// Tiger on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 9;  // of a row
    static constexpr int CONDITIONS = 4;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // m
    };

    // What is computed per parameter, row and column. Addresses are those of the streams, then those of small states.
    static constexpr int COLUMNS = 3;
    static constexpr int NUMBERS = 4;  // per parameter, in double
    static constexpr int VECTORS = 1;
    static constexpr int FURTHER = 1;  // pointers of a sweep, after those of the streams
    static constexpr bool HAS_AXES = true;
    static constexpr thetac::Extent vectors[] = {thetac::Extent::ROW};
    static constexpr thetac::Fold folds_0[] = {
        {thetac::FoldOp::MAX, thetac::Extent::PARAMETER, 3, 0},  // broken_part
        {thetac::FoldOp::SQUARES, thetac::Extent::ROW, 0, 0},  // row_sum_param_squared
        {thetac::FoldOp::SQUARES, thetac::Extent::PARAMETER, 0, 1},  // sum_param_squared
    };
    static constexpr int vectors_1[] = {0};  // change_part
    static constexpr thetac::PassFacts facts[] = {
        {true, nullptr, 0, folds_0, 3},
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
        static constexpr bool kind_is_embedding = mask >> 1 & 1;
        static constexpr bool param_rank_above_one = mask >> 2 & 1;
        static constexpr bool kind_is_matrix = mask >> 3 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(kind_is_embedding) << 2
            | Mask(!kind_is_embedding || !param_rank_above_one) << 3;
        static constexpr Mask loaded =
            Mask((!kind_is_embedding || !param_rank_above_one) && (kind_is_embedding || kind_is_matrix) || kind_is_embedding && param_rank_above_one) << 0
            | Mask(1) << 1;
        static constexpr Mask stored = 0;
        static constexpr Mask read = 0;
        static constexpr Mask folded =
            Mask(1) << 0
            | Mask(kind_is_embedding && param_rank_above_one) << 1
            | Mask((!kind_is_embedding || !param_rank_above_one) && (kind_is_embedding || kind_is_matrix)) << 2;
        static constexpr Mask loaded_1 =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2;
        static constexpr Mask stored_1 =
            Mask(1) << 0
            | Mask(1) << 2;
        static constexpr Mask read_1 =
            Mask(kind_is_embedding && param_rank_above_one) << 0;
        static constexpr Mask folded_1 = 0;

        static void before_1(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            const Number param_columns = row[2];
            const Number rate = row[3];
            const Number param_size = row[5];
            Number& broken_part = tensor.numbers[0];
            Number& sum_param_squared = tensor.numbers[1];
            Number& broken = tensor.numbers[2];
            Number& rate_times_sqrt_mean_param_squared = tensor.numbers[3];
            Number* const row_sum_param_squared = tensor.vector(0);
            Number* const row_mean_param_squared = tensor.vector(0);
            Number* const change_part = tensor.vector(0);
            // a NaN is not itself: broken = broken_part > 0
            broken = broken_part > Number(0.0);
            Number mean_param_squared = 0;
            if constexpr (kind_is_embedding && param_rank_above_one) {
                // row_mean_param_squared = row_sum_param_squared / param_columns
                tensor.for_rows([&](int64 matrix, int64 i) { row_mean_param_squared[i] = row_sum_param_squared[i] /
                    param_columns; });
                // change_part = rate * sqrt(row_mean_param_squared)
                tensor.for_rows([&](int64 matrix, int64 i) { change_part[i] = rate *
                    ops::square_root(row_mean_param_squared[i]); });
            } else if constexpr (kind_is_matrix || kind_is_embedding) {
                mean_param_squared = sum_param_squared / param_size;
                // rate_times_sqrt_mean_param_squared = rate * sqrt(mean_param_squared)
                rate_times_sqrt_mean_param_squared = rate * ops::square_root(mean_param_squared);
            }
        }

        static void update(Number* const* streams, int64 count, const Number*, const double*) {
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict broken_part_part_ptr = streams[3];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number grad = grad_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                // broken_part_part = where(grad == grad, 0, 1)
                Number broken_part_part = grad == grad ? Number(0.0) : Number(1.0);

                broken_part_part_ptr[i] = broken_part_part;
            }
        }

        static void update_1(Number* const* streams, int64 count, const Number* row, const double* numbers) {
            const Number kept = row[0];
            const Number one_minus_beta_over_grad_accum_steps = row[1];
            const Number weight_decay = row[4];
            const Number rate_times_half = row[6];
            const Number center = row[7];
            const Number shrink_ratio = row[8];
            const bool broken = numbers[2] != 0;
            const Number rate_times_sqrt_mean_param_squared = Number(numbers[3]);
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict m_ptr = streams[2];
            const Number* __restrict change_part_ptr = streams[3];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number m = m_ptr[i];
                const Number change_part = kind_is_embedding && param_rank_above_one ? change_part_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                // mean_grad = kept * m + (1 - beta) / grad_accum_steps * grad
                Number mean_grad = kept * m + one_minus_beta_over_grad_accum_steps * grad;
                // m = where(broken, m, mean_grad)
                m = broken ? m : mean_grad;
                // change = sign(m)
                Number change = ops::sign(m);
                if constexpr (kind_is_embedding && param_rank_above_one) {
                    change = (change + weight_decay * param) * change_part;
                } else if constexpr (kind_is_matrix || kind_is_embedding) {
                    change = (change + weight_decay * param) * rate_times_sqrt_mean_param_squared;
                } else {
                    // change = change * (rate * 0.5)
                    change = change * rate_times_half;
                }
                // param = where(broken, (param - center) * shrink_ratio + center, param - change)
                param = broken ? (param - center) * shrink_ratio + center : param - change;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                m_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(m);
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
