// Generated from specs/dadapt_lion.yaml by thetac 0.1.0; do not edit.
//
// DAdaptLion on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 8;  // of a row
    static constexpr int CONDITIONS = 1;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
        thetac::access_of<Number, thetac::THETAC_DTYPE_2>(),  // exp_avg
        thetac::access_of<Number, thetac::THETAC_DTYPE_3>(),  // s
    };

    // What is computed per parameter, row and column. Addresses are those of the streams, then those of small states.
    static constexpr int COLUMNS = 4;
    static constexpr int NUMBERS = 3;  // per parameter, in double
    static constexpr int VECTORS = 0;
    static constexpr int FURTHER = 2;  // pointers of a sweep, after those of the streams
    static constexpr bool HAS_AXES = false;
    static constexpr thetac::Extent vectors[] = {thetac::Extent::PARAMETER};
    static constexpr int terms[] = {2, 1};  // numbers that are added up over all parameters
    static constexpr thetac::Fold folds_0[] = {
        {thetac::FoldOp::SUM, thetac::Extent::PARAMETER, 4, 0},  // sum_direction_times_s
        {thetac::FoldOp::SUM, thetac::Extent::PARAMETER, 5, 1},  // sum_abs_s
    };
    static constexpr thetac::PassFacts facts[] = {
        {true, nullptr, 0, folds_0, 2},
        {false, nullptr, 0, nullptr, 0},
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

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0;
        static constexpr Mask loaded =
            Mask(1) << 0
            | Mask(1) << 1
            | Mask(1) << 2
            | Mask(1) << 3;
        static constexpr Mask stored =
            Mask(1) << 0
            | Mask(1) << 2
            | Mask(1) << 3;
        static constexpr Mask read = 0;
        static constexpr Mask folded =
            Mask(1) << 0
            | Mask(1) << 1;
        static constexpr Mask loaded_1 = 0;
        static constexpr Mask stored_1 = 0;
        static constexpr Mask read_1 = 0;
        static constexpr Mask folded_1 = 0;

        static void before_1(const thetac::ProgramTensor& tensor, const typename Rule::Number* row) {
            using Number = double;
            const Number rate = row[3];
            Number& sum_direction_times_s = tensor.numbers[0];
            Number& rate_times_sum_direction_times_s = tensor.numbers[2];
            rate_times_sum_direction_times_s = rate * sum_direction_times_s;
        }

        static void update(Number* const* streams, int64 count, const Number* row, const double*) {
            const Number one_minus_rate_times_weight_decay = row[0];
            const Number beta1 = row[1];
            const Number one_minus_beta1 = row[2];
            const Number rate = row[3];
            const Number beta2 = row[4];
            const Number one_minus_beta2_times_rate = row[5];
            const Number root = row[6];
            const Number one_minus_root_times_rate = row[7];
            Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict exp_avg_ptr = streams[2];
            Number* __restrict s_ptr = streams[3];
            Number* __restrict direction_times_s_ptr = streams[4];
            Number* __restrict abs_s_ptr = streams[5];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = param_ptr[i];
                Number grad = grad_ptr[i];
                Number exp_avg = exp_avg_ptr[i];
                Number s = s_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                // param = param * (1 - rate * weight_decay)
                param = param * one_minus_rate_times_weight_decay;
                // direction = sign(beta1 * exp_avg + (1 - beta1) * grad)
                Number direction = ops::sign(beta1 * exp_avg + one_minus_beta1 * grad);
                param = param - rate * direction;
                // exp_avg = beta2 * exp_avg + (1 - beta2) * rate * grad
                exp_avg = beta2 * exp_avg + one_minus_beta2_times_rate * grad;
                Number direction_times_s = direction * s;
                // s = root * s + (1 - root) * rate * direction
                s = root * s + one_minus_root_times_rate * direction;
                // abs_s = abs(s)
                Number abs_s = ops::absolute(s);

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
                exp_avg_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_2>(exp_avg);
                s_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_3>(s);
                direction_times_s_ptr[i] = direction_times_s;
                abs_s_ptr[i] = abs_s;
            }
        }

        static constexpr thetac::PassCode<Number> passes[] = {
            {&update, loaded, stored, read, folded, nullptr},
            {nullptr, loaded_1, stored_1, read_1, folded_1, &before_1},
        };
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Passes<Rule>(*launch).run(); }

__INT64_TYPE__ thetac_prepare(const ThetacLaunch* launch) { return thetac::prepare<Rule>(*launch); }

void thetac_terms(const ThetacLaunch* launch, double* terms) { thetac::copy_terms<Rule>(*launch, terms); }
