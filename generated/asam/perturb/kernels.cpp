// Generated from specs/asam.yaml by thetac 0.1.0; do not edit.
//
// ASAM on a CPU: one step of some elements.
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
    static constexpr int ENTRIES = 2;  // of a row
    static constexpr int CONDITIONS = 2;
    static constexpr thetac::Access<Number> access[STREAMS] = {
        thetac::access_of<Number, thetac::THETAC_DTYPE_0>(),  // param
        thetac::access_of<Number, thetac::THETAC_DTYPE_1>(),  // grad
    };

    // What is computed per parameter, row and column. Addresses are those of the streams, then those of small states.
    static constexpr int COLUMNS = 2;
    static constexpr int NUMBERS = 1;  // per parameter, in double
    static constexpr int VECTORS = 0;
    static constexpr int FURTHER = 1;  // pointers of a sweep, after those of the streams
    static constexpr bool HAS_AXES = false;
    static constexpr thetac::Extent vectors[] = {thetac::Extent::PARAMETER};
    static constexpr int terms[] = {0};  // numbers that are added up over all parameters
    static constexpr thetac::Fold folds_0[] = {
        {thetac::FoldOp::SQUARES, thetac::Extent::PARAMETER, 2, 0},  // sum_ascent_squared
    };
    static constexpr thetac::PassFacts facts[] = {
        {true, nullptr, 0, folds_0, 1},
        {true, nullptr, 0, nullptr, 0},
    };
    static constexpr bool has_program[] = {false, false};  // before the sweep

    // The conditions that may change from step to step.
    static Mask row_conditions(const Number*) {
        Mask mask = 0;
        return mask;
    }

    template <Mask mask>
    struct Kernel {
        static constexpr bool maximize = mask >> 0 & 1;
        static constexpr bool scaled = mask >> 1 & 1;

        // Conditions that make a difference, given the others; streams that are read; streams that are written.
        static constexpr Mask relevant_conditions =
            Mask(1) << 0
            | Mask(1) << 1;
        static constexpr Mask loaded =
            Mask(scaled) << 0
            | Mask(1) << 1;
        static constexpr Mask stored = 0;
        static constexpr Mask read = 0;
        static constexpr Mask folded =
            Mask(1) << 0;
        static constexpr Mask loaded_1 =
            Mask(1) << 0
            | Mask(1) << 1;
        static constexpr Mask stored_1 =
            Mask(1) << 0;
        static constexpr Mask read_1 = 0;
        static constexpr Mask folded_1 = 0;

        static void update(Number* const* streams, int64 count, const Number* row, const double*) {
            const Number eta = row[0];
            const Number* __restrict param_ptr = streams[0];
            const Number* __restrict grad_ptr = streams[1];
            Number* __restrict ascent_squared_ptr = streams[2];

            THETAC_VECTORIZE
            for (int64 i = 0; i < count; ++i) {
                Number param = scaled ? param_ptr[i] : Number(0);
                Number grad = grad_ptr[i];

                if constexpr (maximize) {
                    // maximize
                    grad = -grad;
                }
                Number ascent = grad;
                if constexpr (scaled) {
                    // ascent = (abs(param) + eta) * grad
                    ascent = (ops::absolute(param) + eta) * grad;
                }
                // ascent_squared = ascent * ascent
                Number ascent_squared = ascent;

                ascent_squared_ptr[i] = ascent_squared;
            }
        }

        static void update_1(Number* const* streams, int64 count, const Number* row, const double*) {
            const Number eta = row[0];
            const Number rho_over_length_plus_1eminus_16 = row[1];
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
                Number ascent = grad;
                if constexpr (scaled) {
                    // ascent = (abs(param) + eta) * grad
                    ascent = (ops::absolute(param) + eta) * grad;
                }
                if constexpr (scaled) {
                    // ascent = (abs(param) + eta) * ascent
                    ascent = (ops::absolute(param) + eta) * ascent;
                }
                // param = param + rho / (length + 1e-16) * ascent
                param = param + rho_over_length_plus_1eminus_16 * ascent;

                param_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_0>(param);
            }
        }

        static constexpr thetac::PassCode<Number> passes[] = {
            {&update, loaded, stored, read, folded, nullptr},
            {&update_1, loaded_1, stored_1, read_1, folded_1, nullptr},
        };
    };
};

}  // namespace

void thetac_step(const ThetacLaunch* launch) { thetac::Passes<Rule>(*launch).run(); }

__INT64_TYPE__ thetac_prepare(const ThetacLaunch* launch) { return thetac::prepare<Rule>(*launch); }

void thetac_terms(const ThetacLaunch* launch, double* terms) { thetac::copy_terms<Rule>(*launch, terms); }
