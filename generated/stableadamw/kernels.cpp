// Generated from specs/stable_adamw.yaml by thetac 0.1.0; do not edit.
//
// StableAdamW on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 9;  // of a row
    static constexpr int CONDITIONS = 3;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // exp_avg
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // exp_avg_sq
    };

    // What is computed per parameter, row and column. Addresses are those of the streams, then those of small states.
    static constexpr int COLUMNS = 4;
    static constexpr int NUMBERS = 4;  // per parameter, in double
    static constexpr int VECTORS = 0;
    static constexpr int FURTHER = 1;  // pointers of a sweep, after those of the streams
    static constexpr bool HAS_AXES = false;
    static constexpr thetac::Extent vectors[] = {thetac::Extent::PARAMETER};
    static constexpr thetac::Fold folds_0[] = {
        {thetac::FoldOp::SUM, thetac::Extent::PARAMETER, 4, 0},  // spread_part_part
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
        static constexpr bool weight_decay_nonzero = mask >> 1 & 1;
        static constexpr bool decouple_lr = mask >> 2 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(weight_decay_nonzero) << 2;
        static constexpr Mask loaded =
            Mask(1) << 1
            | Mask(1) << 2
            | Mask(1) << 3;
        static constexpr Mask stored =
            Mask(1) << 2
            | Mask(1) << 3;
        static constexpr Mask read = 0;
        static constexpr Mask folded =
            Mask(1) << 0;
        static constexpr Mask loaded_1 =
            Mask(1) << 0
            | Mask(1) << 2
            | Mask(1) << 3;
        static constexpr Mask stored_1 =
            Mask(1) << 0;
        static constexpr Mask read_1 = 0;
        static constexpr Mask folded_1 = 0;

        static void before_1(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            const Number param_size = row[4];
            const Number lr = row[5];
            const Number rate_divisor = row[6];
            const Number weight_decay = row[7];
            Number& spread_part_part = tensor.numbers[0];
            Number& param_part = tensor.numbers[1];
            Number& one_minus_rate_times_weight_decay = tensor.numbers[2];
            Number& rate = tensor.numbers[3];
            Number spread_part = spread_part_part / param_size;
            // spread = sqrt(spread_part)
            Number spread = ops::square_root(spread_part);
            // rate = lr / maximum(spread, 1)
            rate = lr / ops::maximum(spread, Number(1.0));
            if constexpr (weight_decay_nonzero) {
                if constexpr (decouple_lr) {
                    // param_part = 1 - rate / where(highest > 0, highest, inf) * weight_decay
                    param_part = Number(1.0) - rate / rate_divisor * weight_decay;
                } else {
                    // one_minus_rate_times_weight_decay = 1 - rate * weight_decay
                    one_minus_rate_times_weight_decay = Number(1.0) - rate * weight_decay;
                }
            }
        }

        static void update(Number* const* streams, int64 count, const Number* row, const double*) {
            const Number one_minus_beta1_hat = row[0];
            const Number beta2_hat = row[1];
            const Number one_minus_beta2_hat = row[2];
            const Number eps_squared = row[3];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict exp_avg_ptr = streams[2];
            Number* __restrict exp_avg_sq_ptr = streams[3];
            Number* __restrict spread_part_part_part_ptr = streams[4];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number grad = grad_ptr[i];
                Number exp_avg = exp_avg_ptr[i];
                Number exp_avg_sq = exp_avg_sq_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                // exp_avg = lerp(exp_avg, grad, 1 - beta1_hat)
                exp_avg = ops::lerp(exp_avg, grad, one_minus_beta1_hat);
                // exp_avg_sq = beta2_hat * exp_avg_sq + (1 - beta2_hat) * grad * grad
                exp_avg_sq = beta2_hat * exp_avg_sq + one_minus_beta2_hat * grad * grad;
                // spread_part_part_part = grad * grad / maximum(exp_avg_sq, eps * eps)
                Number spread_part_part_part = grad * grad / ops::maximum(exp_avg_sq, eps_squared);

                exp_avg_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(exp_avg);
                exp_avg_sq_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(exp_avg_sq);
                spread_part_part_part_ptr[i] = spread_part_part_part;
            }
        }

        static void update_1(Number* const* streams, int64 count, const Number* row, const double* numbers) {
            const Number eps = row[8];
            const Number param_part = Number(numbers[1]);
            const Number one_minus_rate_times_weight_decay = Number(numbers[2]);
            const Number rate = Number(numbers[3]);
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict exp_avg_ptr = streams[2];
            const Number* __restrict exp_avg_sq_ptr = streams[3];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number exp_avg = exp_avg_ptr[i];
                Number exp_avg_sq = exp_avg_sq_ptr[i];

                if constexpr (weight_decay_nonzero) {
                    if constexpr (decouple_lr) {
                        param = param * param_part;
                    } else {
                        param = param * one_minus_rate_times_weight_decay;
                    }
                }
                // param = param - rate * exp_avg / (sqrt(exp_avg_sq) + eps)
                param = param - rate * exp_avg / (ops::square_root(exp_avg_sq) + eps);

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
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
