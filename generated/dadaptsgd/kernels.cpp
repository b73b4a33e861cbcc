// Generated from specs/dadapt_sgd.yaml by thetac 0.1.0; do not edit.
//
// DAdaptSGD on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 4;  // of a row
    static constexpr int CONDITIONS = 2;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // s
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // x0
    };

    // What is computed per parameter, row and column. Addresses are those of the streams, then those of small states.
    static constexpr int COLUMNS = 4;
    static constexpr int NUMBERS = 4;  // per parameter, in double
    static constexpr int VECTORS = 0;
    static constexpr int FURTHER = 2;  // pointers of a sweep, after those of the streams
    static constexpr bool HAS_AXES = false;
    static constexpr thetac::Extent vectors[] = {thetac::Extent::PARAMETER};
    static constexpr int terms[] = {0, 3, 2};  // numbers that are added up over all parameters
    static constexpr thetac::Fold folds_0[] = {
        {thetac::FoldOp::SQUARES, thetac::Extent::PARAMETER, 4, 0},  // sum_grad_squared
        {thetac::FoldOp::SUM, thetac::Extent::PARAMETER, 5, 1},  // sum_direction_times_s
    };
    static constexpr thetac::Fold folds_1[] = {
        {thetac::FoldOp::SQUARES, thetac::Extent::PARAMETER, 4, 2},  // sum_s_squared
    };
    static constexpr thetac::PassFacts facts[] = {
        {true, nullptr, 0, folds_0, 2},
        {true, nullptr, 0, folds_1, 1},
        {true, nullptr, 0, nullptr, 0},
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
        static constexpr bool weight_decay_nonzero = mask >> 1 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1;
        static constexpr Mask loaded =
            Mask(weight_decay_nonzero) << 0
            | Mask(1) << 1
            | Mask(1) << 2;
        static constexpr Mask stored = 0;
        static constexpr Mask read = 0;
        static constexpr Mask folded =
            Mask(1) << 0
            | Mask(1) << 1;
        static constexpr Mask loaded_1 =
            Mask(weight_decay_nonzero) << 0
            | Mask(1) << 1
            | Mask(1) << 2;
        static constexpr Mask stored_1 =
            Mask(1) << 2;
        static constexpr Mask read_1 = 0;
        static constexpr Mask folded_1 =
            Mask(1) << 0;
        static constexpr Mask loaded_2 =
            Mask(1) << 0
            | Mask(1) << 2
            | Mask(1) << 3;
        static constexpr Mask stored_2 =
            Mask(1) << 0;
        static constexpr Mask read_2 = 0;
        static constexpr Mask folded_2 = 0;

        static void before_1(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            const Number rate = row[1];
            Number& sum_direction_times_s = tensor.numbers[1];
            Number& rate_times_sum_direction_times_s = tensor.numbers[3];
            rate_times_sum_direction_times_s = rate * sum_direction_times_s;
        }

        static void update(Number* const* streams, int64 count, const Number* row, const double*) {
            const Number weight_decay = row[0];
            const Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            const Number* __restrict s_ptr = streams[2];
            Number* __restrict grad_squared_ptr = streams[4];
            Number* __restrict direction_times_s_ptr = streams[5];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = weight_decay_nonzero ? param_ptr[i] : Number(0);
                Number grad = grad_ptr[i];
                Number s = s_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                // grad_squared = grad * grad
                Number grad_squared = grad;
                Number direction = grad;
                if constexpr (weight_decay_nonzero) {
                    direction = grad + weight_decay * param;
                }
                Number direction_times_s = direction * s;

                grad_squared_ptr[i] = grad_squared;
                direction_times_s_ptr[i] = direction_times_s;
            }
        }

        static void update_1(Number* const* streams, int64 count, const Number* row, const double*) {
            const Number weight_decay = row[0];
            const Number rate = row[1];
            const Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict s_ptr = streams[2];
            Number* __restrict s_squared_ptr = streams[4];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = weight_decay_nonzero ? param_ptr[i] : Number(0);
                Number grad = grad_ptr[i];
                Number s = s_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                Number direction = grad;
                if constexpr (weight_decay_nonzero) {
                    direction = grad + weight_decay * param;
                }
                s = s + rate * direction;
                // s_squared = s * s
                Number s_squared = s;

                s_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(s);
                s_squared_ptr[i] = s_squared;
            }
        }

        static void update_2(Number* const* streams, int64 count, const Number* row, const double*) {
            const Number choice_of_still_one_momentum = row[2];
            const Number z_factor = row[3];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict s_ptr = streams[2];
            const Number* __restrict x0_ptr = streams[3];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number s = s_ptr[i];
                Number x0 = x0_ptr[i];

                Number z = x0 - s;
                // param = where(still, 1, momentum) * param + where(still, 0, 1 - momentum) * z
                param = choice_of_still_one_momentum * param + z_factor * z;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
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

void thetac_terms(const ThetacLaunch* launch, double* terms) { thetac::copy_terms<Rule>(*launch, terms); }
