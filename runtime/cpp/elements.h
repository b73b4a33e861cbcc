// Operations of the language on elements whose rounding or treatment of NaN needs care. Must not know any algorithm.
#pragma once

#include "elementary.h"

// Precedes a loop over elements, and declares its iterations independent: arrays of different streams never overlap,
// but the array of one stream is both read and written. GCC and Clang have different pragmas for it, and each warns
// of the other's.
#if defined(__clang__)
#define THETAC_VECTORIZE _Pragma("clang loop vectorize(assume_safety)")
#else
#define THETAC_VECTORIZE _Pragma("GCC ivdep")
#endif

namespace thetac {
namespace {  // a process loads many objects with these names: none is exported

using int32 = __INT32_TYPE__;
using int64 = __INT64_TYPE__;
using uint16 = __UINT16_TYPE__;
using uint32 = __UINT32_TYPE__;
using uint64 = __UINT64_TYPE__;
using Mask = uint64;

namespace ops {

inline float square_root(float x) { return __builtin_sqrtf(x); }
inline double square_root(double x) { return __builtin_sqrt(x); }
inline float absolute(float x) { return __builtin_fabsf(x); }
inline double absolute(double x) { return __builtin_fabs(x); }

// The following are written with one comparison for each choice. From nested comparisons compilers make branches first,
// and then three times as many vector instructions.

// Returns -1, 0 or 1; 0 for NaN, as torch does.
template <class Number>
inline Number sign(Number x) {
    return (x > 0 ? Number(1) : Number(0)) - (x < 0 ? Number(1) : Number(0));
}

// Returns the larger argument; NaN if either is NaN.
template <class Number>
inline Number maximum(Number x, Number y) {
    const Number larger = x > y ? x : y;
    return __builtin_isunordered(x, y) ? x + y : larger;
}

// Returns the smaller argument; NaN if either is NaN.
template <class Number>
inline Number minimum(Number x, Number y) {
    const Number smaller = x < y ? x : y;
    return __builtin_isunordered(x, y) ? x + y : smaller;
}

// Returns `x` limited to the bounds: the upper one if they cross, NaN if any argument is NaN.
template <class Number>
inline Number clamp(Number x, Number low, Number high) {
    const Number larger = x > low ? x : low;
    const Number inside = larger < high ? larger : high;
    return __builtin_isunordered(x, low) ? x + low : inside;
}

// Computes torch's two formulas, `start + weight * (end - start)` and `end - (end - start) * (1 - weight)`: each is
// exact at its own end. Both are a value plus a factor times the difference, and what depends on the weight alone
// is moved out of the loop.
template <class Number>
inline Number lerp(Number start, Number end, Number weight) {
    const bool near = absolute(weight) < Number(0.5);
    const Number factor = near ? weight : -(1 - weight);
    return (near ? start : end) + factor * (end - start);
}

template <class Number>
inline Number rsqrt(Number x) {
    return 1 / square_root(x);
}
template <class Number>
inline Number cbrt(Number x) {
    return elementary::cube_root(x);
}
template <class Number>
inline Number exp(Number x) {
    return elementary::exponential(x);
}
template <class Number>
inline Number log(Number x) {
    return elementary::logarithm(x);
}
template <class Number>
inline Number tanh(Number x) {
    return elementary::hyperbolic_tangent(x);
}
template <class Number>
inline Number atan2(Number height, Number width) {
    return elementary::angle(height, width);
}
template <class Number>
inline Number power(Number base, Number exponent) {
    return elementary::power(base, exponent);
}

}  // namespace ops

// Returns the one NaN that is stored instead of any other. Which of two NaN an instruction returns depends on the order
// of its operands, and compilers may choose another order for each level of the instruction set.
inline float canonicalize_nan(float x) {
    return (bits<uint32>(x) & 0x7FFFFFFF) > 0x7F800000 ? __builtin_nanf("") : x;
}
inline double canonicalize_nan(double x) { return x == x ? x : __builtin_nan(""); }

}  // namespace
}  // namespace thetac
