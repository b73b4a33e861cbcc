// Generated from specs/lars.yaml by thetac 0.1.0; do not edit.
//
// LARS on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 7;  // of a row
    static constexpr int CONDITIONS = 7;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // momentum_buffer
    };

    // What is computed per parameter, row and column. Addresses are those of the streams, then those of small states.
    static constexpr int COLUMNS = 3;
    static constexpr int NUMBERS = 3;  // per parameter, in double
    static constexpr int VECTORS = 0;
    static constexpr int FURTHER = 1;  // pointers of a sweep, after those of the streams
    static constexpr bool HAS_AXES = false;
    static constexpr thetac::Extent vectors[] = {thetac::Extent::PARAMETER};
    static constexpr thetac::Fold folds_0[] = {
        {thetac::FoldOp::SQUARES, thetac::Extent::PARAMETER, 0, 0},  // sum_param_squared
        {thetac::FoldOp::SQUARES, thetac::Extent::PARAMETER, 3, 1},  // sum_grad_squared
    };
    static constexpr thetac::PassFacts facts[] = {
        {true, nullptr, 0, folds_0, 2},
        {true, nullptr, 0, nullptr, 0},
    };
    static constexpr bool has_program[] = {false, true};  // before the sweep

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number* row) {
        Mask mask = 0;
        mask |= Mask(row[4] != 0) << 6;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = mask >> 0 & 1;
        static constexpr bool weight_decay_nonzero = mask >> 1 & 1;
        static constexpr bool always_adapt = mask >> 2 & 1;
        static constexpr bool trust_clip = mask >> 3 & 1;
        static constexpr bool momentum_nonzero = mask >> 4 & 1;
        static constexpr bool nesterov = mask >> 5 & 1;
        static constexpr bool first_momentum_buffer = mask >> 6 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(!weight_decay_nonzero) << 2
            | Mask(always_adapt || weight_decay_nonzero) << 3
            | Mask(1) << 4
            | Mask(momentum_nonzero) << 5
            | Mask(momentum_nonzero) << 6;
        static constexpr Mask loaded =
            Mask(always_adapt || weight_decay_nonzero) << 0
            | Mask(always_adapt || weight_decay_nonzero) << 1;
        static constexpr Mask stored = 0;
        static constexpr Mask read = 0;
        static constexpr Mask folded =
            Mask(always_adapt || weight_decay_nonzero) << 0
            | Mask(always_adapt || weight_decay_nonzero) << 1;
        static constexpr Mask loaded_1 =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(momentum_nonzero) << 2;
        static constexpr Mask stored_1 =
            Mask(1) << 0
            | Mask(momentum_nonzero) << 2;
        static constexpr Mask read_1 = 0;
        static constexpr Mask folded_1 = 0;

        static void before_1(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            const Number trust_coeff = row[0];
            const Number weight_decay = row[1];
            const Number eps = row[2];
            const Number lr = row[3];
            Number& sum_param_squared = tensor.numbers[0];
            Number& sum_grad_squared = tensor.numbers[1];
            Number& new_trust_ratio = tensor.numbers[2];
            Number norm_param = 0;
            Number norm_grad = 0;
            Number trust_ratio = 0;
            if constexpr (weight_decay_nonzero || always_adapt) {
                // norm_param = sqrt(sum_param_squared)
                norm_param = ops::square_root(sum_param_squared);
                // norm_grad = sqrt(sum_grad_squared)
                norm_grad = ops::square_root(sum_grad_squared);
                trust_ratio = trust_coeff * norm_param / (norm_grad + weight_decay * norm_param + eps);
                // trust_ratio = where(norm_param > 0 and norm_grad > 0, trust_ratio, 1)
                trust_ratio = norm_param > Number(0.0) && norm_grad > Number(0.0) ? trust_ratio : Number(1.0);
                if constexpr (trust_clip) {
                    // trust_ratio = minimum(trust_ratio / lr, 1)
                    trust_ratio = ops::minimum(trust_ratio / lr, Number(1.0));
                }
                new_trust_ratio = trust_ratio;
            }
        }

        static void update(Number* const* streams, int64 count, const Number*, const double*) {
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict grad_squared_ptr = streams[3];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number grad = always_adapt || weight_decay_nonzero ? grad_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                Number grad_squared = 0;
                if constexpr (weight_decay_nonzero || always_adapt) {
                    // grad_squared = grad * grad
                    grad_squared = grad;
                }

                if constexpr (always_adapt || weight_decay_nonzero)
                    grad_squared_ptr[i] = grad_squared;
            }
        }

        static void update_1(Number* const* streams, int64 count, const Number* row, const double* numbers) {
            const Number weight_decay = row[1];
            const Number lr = row[3];
            const Number momentum = row[5];
            const Number one_minus_dampening = row[6];
            const Number new_trust_ratio = Number(numbers[2]);
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict momentum_buffer_ptr = streams[2];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number momentum_buffer = momentum_nonzero ? momentum_buffer_ptr[i] : Number(0);

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                Number direction = grad;
                if constexpr (weight_decay_nonzero || always_adapt) {
                    direction = new_trust_ratio * (grad + weight_decay * param);
                }
                if constexpr (momentum_nonzero) {
                    if constexpr (first_momentum_buffer) {
                        momentum_buffer = direction;
                    } else {
                        // momentum_buffer = momentum * momentum_buffer + (1 - dampening) * direction
                        momentum_buffer = momentum * momentum_buffer + one_minus_dampening * direction;
                    }
                    if constexpr (nesterov) {
                        direction = direction + momentum * momentum_buffer;
                    } else {
                        direction = momentum_buffer;
                    }
                }
                param = param - lr * direction;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                if constexpr (momentum_nonzero)
                    momentum_buffer_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(momentum_buffer);
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
