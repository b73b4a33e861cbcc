// Generated from specs/prodigy.yaml by thetac 0.1.0; do not edit.
//
// Prodigy on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 12;  // of a row
    static constexpr int CONDITIONS = 4;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // exp_avg
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // exp_avg_sq
        thetac::access_of<Number, thetac::THETAC_DTYPE_4>(),  // s
        thetac::access_of<Number, thetac::THETAC_DTYPE_5>(),  // p0
    };

    // What is computed per parameter, row and column. Addresses are those of the streams, then those of small states.
    static constexpr int COLUMNS = 6;
    static constexpr int NUMBERS = 3;  // per parameter, in double
    static constexpr int VECTORS = 0;
    static constexpr int FURTHER = 2;  // pointers of a sweep, after those of the streams
    static constexpr bool HAS_AXES = false;
    static constexpr thetac::Extent vectors[] = {thetac::Extent::PARAMETER};
    static constexpr int terms[] = {2, 1};  // numbers that are added up over all parameters
    static constexpr thetac::Fold folds_0[] = {
        {thetac::FoldOp::SUM, thetac::Extent::PARAMETER, 6, 0},  // sum_direction_times_p0_minus_param
        {thetac::FoldOp::SUM, thetac::Extent::PARAMETER, 7, 1},  // sum_abs_s
    };
    static constexpr thetac::PassFacts facts[] = {
        {true, nullptr, 0, folds_0, 2},
        {false, nullptr, 0, nullptr, 0},
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
        static constexpr bool decouple = mask >> 2 & 1;
        static constexpr bool beta1_positive = mask >> 3 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(weight_decay_nonzero) << 2
            | Mask(1) << 3;
        static constexpr Mask loaded =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 4
            | Mask(1) << 5;
        static constexpr Mask stored =
            Mask(1) << 4;
        static constexpr Mask read = 0;
        static constexpr Mask folded =
            Mask(1) << 0
            | Mask(1) << 1;
        static constexpr Mask loaded_1 = 0;
        static constexpr Mask stored_1 = 0;
        static constexpr Mask read_1 = 0;
        static constexpr Mask folded_1 = 0;
        static constexpr Mask loaded_2 =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(beta1_positive) << 2
            | Mask(1) << 3;
        static constexpr Mask stored_2 =
            Mask(1) << 0
            | Mask(beta1_positive) << 2
            | Mask(1) << 3;
        static constexpr Mask read_2 = 0;
        static constexpr Mask folded_2 = 0;

        static void before_1(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            const Number d_over_d0_times_rate = row[1];
            Number& sum_direction_times_p0_minus_param = tensor.numbers[0];
            Number& numerator_term = tensor.numbers[2];
            // numerator_term = d / d0 * rate * sum_direction_times_p0_minus_param
            numerator_term = d_over_d0_times_rate * sum_direction_times_p0_minus_param;
        }

        static void update(Number* const* streams, int64 count, const Number* row, const double*) {
            const Number weight_decay = row[0];
            const Number beta3_or_default = row[6];
            const Number gain = row[7];
            const Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict s_ptr = streams[4];
            const Number* __restrict p0_ptr = streams[5];
            Number* __restrict direction_times_p0_minus_param_ptr = streams[6];
            Number* __restrict abs_s_ptr = streams[7];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number s = s_ptr[i];
                Number p0 = p0_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                Number direction = grad;
                if constexpr (weight_decay_nonzero && !decouple) {
                    direction = grad + weight_decay * param;
                }
                Number direction_times_p0_minus_param = direction * (p0 - param);
                s = beta3_or_default * s + gain * direction;
                // abs_s = abs(s)
                Number abs_s = ops::absolute(s);

                s_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_4>(s);
                direction_times_p0_minus_param_ptr[i] = direction_times_p0_minus_param;
                abs_s_ptr[i] = abs_s;
            }
        }

        static void update_2(Number* const* streams, int64 count, const Number* row, const double*) {
            const Number weight_decay = row[0];
            const Number beta1 = row[2];
            const Number d_times_one_minus_beta1 = row[3];
            const Number beta2 = row[4];
            const Number d_squared_times_one_minus_beta2 = row[5];
            const Number rate = row[8];
            const Number param_factor = row[9];
            const Number d_times_eps = row[10];
            const Number rate_times_d = row[11];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict exp_avg_ptr = streams[2];
            Number* __restrict exp_avg_sq_ptr = streams[3];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number exp_avg = beta1_positive ? exp_avg_ptr[i] : Number(0);
                Number exp_avg_sq = exp_avg_sq_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                Number direction = grad;
                if constexpr (weight_decay_nonzero && !decouple) {
                    direction = grad + weight_decay * param;
                }
                if constexpr (beta1_positive) {
                    // exp_avg = beta1 * exp_avg + d * (1 - beta1) * direction
                    exp_avg = beta1 * exp_avg + d_times_one_minus_beta1 * direction;
                }
                // exp_avg_sq = beta2 * exp_avg_sq + d * d * (1 - beta2) * direction * direction
                exp_avg_sq = beta2 * exp_avg_sq + d_squared_times_one_minus_beta2 * direction * direction;
                if constexpr (weight_decay_nonzero && decouple) {
                    // param = param - where(still, 0, weight_decay * rate) * param
                    param = param - param_factor * param;
                }
                // root = sqrt(exp_avg_sq) + d * eps
                Number root = ops::square_root(exp_avg_sq) + d_times_eps;
                if constexpr (beta1_positive) {
                    param = param - rate * exp_avg / root;
                } else {
                    // param = param - rate * d * direction / root
                    param = param - rate_times_d * direction / root;
                }

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                if constexpr (beta1_positive)
                    exp_avg_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(exp_avg);
                exp_avg_sq_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(exp_avg_sq);
            }
        }

        static constexpr thetac::PassCode<Number> passes[] = {
            {&update, loaded, stored, read, folded, nullptr},
            {nullptr, loaded_1, stored_1, read_1, folded_1, &before_1},
            {&update_2, loaded_2, stored_2, read_2, folded_2, nullptr},
        };
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Passes<Rule>(*launch).run(); }

__INT64_TYPE__ thetac_prepare(const ThetacLaunch* launch) { return thetac::prepare<Rule>(*launch); }

void thetac_terms(const ThetacLaunch* launch, double* terms) { thetac::copy_terms<Rule>(*launch, terms); }
