// Operations of the language on elements whose rounding or treatment of NaN needs care. Must not know any algorithm.
#pragma once

// Stands before a loop over elements: its iterations do not depend on each other. Arrays of different streams never
// overlap, but that of one stream is read and written. GCC and Clang have words of their own for it, and warn of the
// other's.
#if defined(__clang__)
#define THETAC_VECTORIZE _Pragma("clang loop vectorize(assume_safety)")
#else
#define THETAC_VECTORIZE _Pragma("GCC ivdep")
#endif

namespace thetac {
namespace {  // a process loads many objects made of this: nothing in it is seen outside

using int32 = __INT32_TYPE__;
using int64 = __INT64_TYPE__;
using uint16 = __UINT16_TYPE__;
using uint32 = __UINT32_TYPE__;
using uint64 = __UINT64_TYPE__;
using Mask = uint64;

// Returns the same bits as another type.
template <class To, class From>
inline To bits(From value) {
    static_assert(sizeof(To) == sizeof(From));
    To result;
    __builtin_memcpy(&result, &value, sizeof result);
    return result;
}

namespace ops {

inline float square_root(float x) { return __builtin_sqrtf(x); }
inline double square_root(double x) { return __builtin_sqrt(x); }
inline float absolute(float x) { return __builtin_fabsf(x); }
inline double absolute(double x) { return __builtin_fabs(x); }

// The next ones are written so that compilers see one comparison for each choice: from nested ones they make branches
// first, and then three times as many vector instructions.

// -1, 0 or 1; 0 for NaN, as torch has it.
template <class Number>
inline Number sign(Number x) {
    return (x > 0 ? Number(1) : Number(0)) - (x < 0 ? Number(1) : Number(0));
}

// NaN if either is.
template <class Number>
inline Number maximum(Number x, Number y) {
    const Number larger = x > y ? x : y;
    return __builtin_isunordered(x, y) ? x + y : larger;
}

// NaN if either is.
template <class Number>
inline Number minimum(Number x, Number y) {
    const Number smaller = x < y ? x : y;
    return __builtin_isunordered(x, y) ? x + y : smaller;
}

// The upper bound wins where they cross; NaN if any is.
template <class Number>
inline Number clamp(Number x, Number low, Number high) {
    const Number larger = x > low ? x : low;
    const Number inside = larger < high ? larger : high;
    return __builtin_isunordered(x, low) ? x + low : inside;
}

// torch's two formulas, `start + weight * (end - start)` and `end - (end - start) * (1 - weight)`: each is exact at its
// own end. Both are a value plus a factor times the difference, and what depends on the weight alone leaves the loop.
template <class Number>
inline Number lerp(Number start, Number end, Number weight) {
    const bool near = absolute(weight) < Number(0.5);
    const Number factor = near ? weight : -(1 - weight);
    return (near ? start : end) + factor * (end - start);
}

}  // namespace ops

// Returns the one NaN that is stored instead of any other. Which of two NaN an instruction passes on depends on the order
// of its operands, and compilers choose that order anew for each level of the instruction set.
inline float canonicalize_nan(float x) {
    return (bits<uint32>(x) & 0x7FFFFFFF) > 0x7F800000 ? __builtin_nanf("") : x;
}
inline double canonicalize_nan(double x) { return x == x ? x : __builtin_nan(""); }

}  // namespace
}  // namespace thetac
