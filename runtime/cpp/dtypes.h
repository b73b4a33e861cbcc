// Dtypes of storage: `get` returns the stored value, `put` rounds to nearest, ties to even, and keeps NaN.
//
// Must not know where elements are stored, nor what is computed from them.
//
// 16-bit dtypes are taken apart as integers, which compilers turn into vector instructions at every level. Where the
// processor converts float16 itself, it does so with the same results.
#pragma once

#include "elements.h"

namespace thetac {
namespace {

// Rounds a float64 to odd, as float32, on the way to 16 bits: what is cut off leaves a trace in the last place, so that
// the second rounding, to fewer digits, sees on which side of a tie it was.
inline float round_to_odd(double x) {
    const uint64 word = bits<uint64>(x), cut = (uint64(1) << 29) - 1;
    return float(bits<double>((word & ~cut) | uint64((word & cut) != 0) << 29));
}

struct F32 {
    using Storage = float;
    static float get(float stored) { return stored; }
    static float put(float x) { return canonicalize_nan(x); }
    static float put(double x) { return canonicalize_nan(float(x)); }
};

struct F64 {
    using Storage = double;
    static double get(double stored) { return stored; }
    static double put(double x) { return canonicalize_nan(x); }
};

struct BF16 {
    using Storage = uint16;
    static float get(uint16 stored) { return bits<float>(uint32(stored) << 16); }
    static uint16 put(float x) {
        const uint32 word = bits<uint32>(x), rounded = (word + 0x7FFF + (word >> 16 & 1)) >> 16;
        return uint16((word & 0x7FFFFFFF) > 0x7F800000 ? 0x7FC0 : rounded);
    }
    static uint16 put(double x) { return put(round_to_odd(x)); }
};

struct F16 {
    using Storage = uint16;

    // Exponents move from bias 15 to 127, those of infinity and NaN to 255. Numbers below the smallest normal one are
    // integers times 2**-24.
    static float get(uint16 stored) {
        const uint32 magnitude = stored & 0x7FFF, sign = uint32(stored & 0x8000) << 16;
        const uint32 bias = magnitude >= 0x7C00 ? (255 - 31) << 23 : (127 - 15) << 23;
        const uint32 small = bits<uint32>(float(int32(magnitude)) * 0x1p-24f);
        return bits<float>((magnitude < 0x0400 ? small : (magnitude << 13) + bias) | sign);
    }

    // Below the smallest normal number, the sum with 0.5 has its last place at 2**-24, and the addition rounds.
    static uint16 put(float x) {
        const uint32 word = bits<uint32>(x), magnitude = word & 0x7FFFFFFF, sign = word >> 16 & 0x8000;
        const uint32 small = bits<uint32>(bits<float>(magnitude) + 0.5f) - bits<uint32>(0.5f);
        const uint32 normal = (magnitude + 0xFFF + (magnitude >> 13 & 1) - ((127 - 15) << 23)) >> 13;
        const uint32 finite = magnitude < 0x38800000 ? small : normal;
        const uint32 rounded = magnitude >= 0x47800000 ? 0x7C00 : finite;
        return uint16(magnitude > 0x7F800000 ? 0x7E00 : rounded | sign);
    }
    static uint16 put(double x) { return put(round_to_odd(x)); }
};

// The dtype that kernels compute in: float32, and float64 where the parameter is float64.
template <class Param>
struct Arithmetic {
    using Number = float;
};
template <>
struct Arithmetic<F64> {
    using Number = double;
};

template <class A, class B>
constexpr bool same = false;
template <class A>
constexpr bool same<A, A> = true;

// Returns a kernel's result, with every NaN replaced by the one that is stored. It acts only on streams used in place:
// for others, `Dtype::put` does it.
template <class Dtype, class Number>
inline Number canonicalize_nan(Number x) {
    return same<typename Dtype::Storage, Number> ? canonicalize_nan(x) : x;
}

#if defined(__F16C__) && defined(__AVX__)
typedef float Floats __attribute__((vector_size(32)));
typedef short Halves __attribute__((vector_size(16)));
constexpr int64 LANES = sizeof(Floats) / sizeof(float);

// Converts as many elements as fill vectors, and returns their number.
inline int64 read_vectors(const uint16* stored, int64 count, float* numbers) {
    int64 i = 0;
    for (; i + LANES <= count; i += LANES) {
        Halves halves;
        __builtin_memcpy(&halves, stored + i, sizeof halves);
        const Floats floats = __builtin_ia32_vcvtph2ps256(halves);
        __builtin_memcpy(numbers + i, &floats, sizeof floats);
    }
    return i;
}

inline int64 write_vectors(const float* numbers, uint16* stored, int64 count) {
    const Floats nan = Floats{} + __builtin_nanf("");
    int64 i = 0;
    for (; i + LANES <= count; i += LANES) {
        Floats floats;
        __builtin_memcpy(&floats, numbers + i, sizeof floats);
        const Halves halves = __builtin_ia32_vcvtps2ph256(floats == floats ? floats : nan, 0);  // 0: to nearest
        __builtin_memcpy(stored + i, &halves, sizeof halves);
    }
    return i;
}
constexpr bool CONVERTS = true;
#else
constexpr bool CONVERTS = false;
inline int64 read_vectors(const uint16*, int64, float*) { return 0; }
inline int64 write_vectors(const float*, uint16*, int64) { return 0; }
#endif

template <class Dtype, class Number>
void read(const void* from, int64 first, int64 count, Number* numbers) {
    auto stored = static_cast<const typename Dtype::Storage*>(from) + first;
    int64 done = 0;
    if constexpr (CONVERTS && same<Dtype, F16> && same<Number, float>) done = read_vectors(stored, count, numbers);
THETAC_VECTORIZE
    for (int64 i = done; i < count; ++i) numbers[i] = Number(Dtype::get(stored[i]));
}

template <class Dtype, class Number>
void write(const Number* numbers, void* to, int64 first, int64 count) {
    auto stored = static_cast<typename Dtype::Storage*>(to) + first;
    int64 done = 0;
    if constexpr (CONVERTS && same<Dtype, F16> && same<Number, float>) done = write_vectors(numbers, stored, count);
THETAC_VECTORIZE
    for (int64 i = done; i < count; ++i) stored[i] = Dtype::put(numbers[i]);
}

}  // namespace
}  // namespace thetac
