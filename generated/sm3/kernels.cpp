// Generated from specs/sm3.yaml by thetac 0.1.0; do not edit.
//
// SM3 on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 3;  // of a row
    static constexpr int CONDITIONS = 3;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // accumulator
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // momentum_buffer
    };

    // What is computed per parameter, row and column. Addresses are those of the streams, then those of small states.
    static constexpr int COLUMNS = 6;
    static constexpr int NUMBERS = 0;  // per parameter, in double
    static constexpr int VECTORS = 6;
    static constexpr int FURTHER = 3;  // pointers of a sweep, after those of the streams
    static constexpr bool HAS_AXES = true;
    static constexpr thetac::Extent vectors[] = {thetac::Extent::ROW, thetac::Extent::COLUMN, thetac::Extent::ROW, thetac::Extent::COLUMN, thetac::Extent::ROW, thetac::Extent::COLUMN};
    static constexpr int vectors_0[] = {2, 3};  // new_row, new_column
    static constexpr thetac::Fold folds_0[] = {
        {thetac::FoldOp::MAX, thetac::Extent::ROW, 6, 4},  // max_for_row
        {thetac::FoldOp::MAX, thetac::Extent::COLUMN, 6, 5},  // max_for_column
    };
    static constexpr thetac::PassFacts facts[] = {
        {true, vectors_0, 2, folds_0, 2},
        {false, nullptr, 0, nullptr, 0},
    };
    static constexpr bool has_program[] = {true, true};  // before the sweep

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number*) {
        Mask mask = 0;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = mask >> 0 & 1;
        static constexpr bool param_rank_above_one = mask >> 1 & 1;
        static constexpr bool momentum_positive = mask >> 2 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2;
        static constexpr Mask loaded =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(!param_rank_above_one) << 2
            | Mask(momentum_positive) << 3;
        static constexpr Mask stored =
            Mask(1) << 0
            | Mask(!param_rank_above_one) << 2
            | Mask(momentum_positive) << 3;
        static constexpr Mask read =
            Mask(param_rank_above_one) << 0
            | Mask(param_rank_above_one) << 1;
        static constexpr Mask folded =
            Mask(param_rank_above_one) << 0
            | Mask(param_rank_above_one) << 1;
        static constexpr Mask loaded_1 = 0;
        static constexpr Mask stored_1 = 0;
        static constexpr Mask read_1 = 0;
        static constexpr Mask folded_1 = 0;

        static void before(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            Number* const row_ = tensor.vector(0);
            Number* const column = tensor.vector(1);
            Number* const new_row = tensor.vector(2);
            Number* const new_column = tensor.vector(3);
            if constexpr (param_rank_above_one)
                tensor.load<thetac::THETAC_DTYPE_4>(4, thetac::Extent::ROW, row_);
            if constexpr (param_rank_above_one)
                tensor.load<thetac::THETAC_DTYPE_5>(5, thetac::Extent::COLUMN, column);
            if constexpr (param_rank_above_one) {
                // new_row = row
                tensor.for_rows([&](int64 matrix, int64 i) { new_row[i] = row_[i]; });
                // new_column = column
                tensor.for_columns([&](int64 matrix, int64 i) { new_column[i] = column[i]; });
            }
        }

        static void before_1(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            Number* const row_ = tensor.vector(0);
            Number* const column = tensor.vector(1);
            Number* const max_for_row = tensor.vector(4);
            Number* const max_for_column = tensor.vector(5);
            if constexpr (param_rank_above_one) {
                // row = max(new_bound, axis=-1)
                tensor.for_rows([&](int64 matrix, int64 i) { row_[i] = max_for_row[i]; });
                // column = max(new_bound, axis=-2)
                tensor.for_columns([&](int64 matrix, int64 i) { column[i] = max_for_column[i]; });
            }
            if constexpr (param_rank_above_one)
                tensor.store<thetac::THETAC_DTYPE_4>(4, thetac::Extent::ROW, row_);
            if constexpr (param_rank_above_one)
                tensor.store<thetac::THETAC_DTYPE_5>(5, thetac::Extent::COLUMN, column);
        }

        static void update(Number* const* streams, int64 count, const Number* row, const double*) {
            const Number one_minus_momentum = row[0];
            const Number momentum_minus_one = row[1];
            const Number lr = row[2];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict accumulator_ptr = streams[2];
            Number* __restrict momentum_buffer_ptr = streams[3];
            const Number* __restrict new_row_ptr = streams[4];
            const Number* __restrict new_column_ptr = streams[5];
            Number* __restrict new_bound_ptr = streams[6];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number accumulator = !param_rank_above_one ? accumulator_ptr[i] : Number(0);
                Number momentum_buffer = momentum_positive ? momentum_buffer_ptr[i] : Number(0);
                const Number new_row = param_rank_above_one ? new_row_ptr[i] : Number(0);
                const Number new_column = param_rank_above_one ? new_column_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                Number bound = 0;
                Number new_bound = 0;
                if constexpr (param_rank_above_one) {
                    // bound = minimum(new_row, new_column) + grad * grad
                    bound = ops::minimum(new_row, new_column) + grad * grad;
                    new_bound = bound;
                } else {
                    accumulator = accumulator + grad * grad;
                    bound = accumulator;
                }
                // scaled = (1 - momentum) * (grad * rsqrt(bound + 1e-30))
                Number scaled = one_minus_momentum * (grad * ops::rsqrt(bound + Number(1e-30)));
                Number direction = scaled;
                if constexpr (momentum_positive) {
                    // momentum_buffer = momentum_buffer + (momentum_buffer * (momentum - 1) + scaled)
                    momentum_buffer = momentum_buffer + (momentum_buffer * momentum_minus_one + scaled);
                    direction = momentum_buffer;
                }
                param = param - lr * direction;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                if constexpr (!param_rank_above_one)
                    accumulator_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(accumulator);
                if constexpr (momentum_positive)
                    momentum_buffer_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(momentum_buffer);
                if constexpr (param_rank_above_one)
                    new_bound_ptr[i] = new_bound;
            }
        }

        static constexpr thetac::PassCode<Number> passes[] = {
            {&update, loaded, stored, read, folded, &before},
            {nullptr, loaded_1, stored_1, read_1, folded_1, &before_1},
        };
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Passes<Rule>(*launch).run(); }

__INT64_TYPE__ thetac_prepare(const ThetacLaunch* launch) { return thetac::prepare<Rule>(*launch); }
