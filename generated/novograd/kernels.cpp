// Generated from specs/novograd.yaml by thetac 0.1.0; do not edit.
//
// NovoGrad on a CPU: one step of some elements.
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
    static constexpr int CONDITIONS = 3;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // momentum_buffer
    };

    // What is computed per parameter, row and column. Addresses are those of the streams, then those of small states.
    static constexpr int COLUMNS = 4;
    static constexpr int NUMBERS = 3;  // per parameter, in double
    static constexpr int VECTORS = 0;
    static constexpr int FURTHER = 1;  // pointers of a sweep, after those of the streams
    static constexpr bool HAS_AXES = false;
    static constexpr thetac::Extent vectors[] = {thetac::Extent::PARAMETER};
    static constexpr thetac::Fold folds_0[] = {
        {thetac::FoldOp::SQUARES, thetac::Extent::PARAMETER, 3, 0},  // squared_norm
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
        static constexpr bool weight_decay_positive = mask >> 1 & 1;
        static constexpr bool grad_averaging = mask >> 2 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2;
        static constexpr Mask loaded =
            Mask(1) << 1;
        static constexpr Mask stored = 0;
        static constexpr Mask read = 0;
        static constexpr Mask folded =
            Mask(1) << 0;
        static constexpr Mask loaded_1 =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2;
        static constexpr Mask stored_1 =
            Mask(1) << 0
            | Mask(1) << 2;
        static constexpr Mask read_1 = 0;
        static constexpr Mask folded_1 = 0;

        static void before_1(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            const Number beta2 = row[0];
            const Number one_minus_beta2 = row[1];
            const Number eps = row[2];
            Number& squared_norm = tensor.numbers[0];
            Number& sqrt_grads_ema_plus_eps = tensor.numbers[1];
            Number& grads_ema = tensor.numbers[2];
            tensor.load<thetac::THETAC_DTYPE_3>(3, thetac::Extent::PARAMETER, &grads_ema);
            // grads_ema = where(grads_ema == 0, squared_norm, beta2 * grads_ema + (1 - beta2) * squared_norm)
            grads_ema = grads_ema == Number(0.0) ? squared_norm : beta2 * grads_ema + one_minus_beta2 *
                squared_norm;
            // sqrt_grads_ema_plus_eps = sqrt(grads_ema + eps)
            sqrt_grads_ema_plus_eps = ops::square_root(grads_ema + eps);
            tensor.store<thetac::THETAC_DTYPE_3>(3, thetac::Extent::PARAMETER, &grads_ema);
        }

        static void update(Number* const* streams, int64 count, const Number*, const double*) {
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict grad_squared_ptr = streams[3];

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
            const Number weight_decay = row[3];
            const Number one_minus_beta1 = row[4];
            const Number beta1 = row[5];
            const Number lr = row[6];
            const Number sqrt_grads_ema_plus_eps = Number(numbers[1]);
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict momentum_buffer_ptr = streams[2];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number momentum_buffer = momentum_buffer_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                Number direction = grad / sqrt_grads_ema_plus_eps;
                if constexpr (weight_decay_positive) {
                    direction = direction + weight_decay * param;
                }
                if constexpr (grad_averaging) {
                    // direction = (1 - beta1) * direction
                    direction = one_minus_beta1 * direction;
                }
                momentum_buffer = beta1 * momentum_buffer + direction;
                param = param - lr * momentum_buffer;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
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
