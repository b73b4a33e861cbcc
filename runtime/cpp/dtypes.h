// Dtypes of storage: `get` gives the number that is stored, `put` rounds to nearest, ties to even, and keeps NaN.
//
// 16-bit dtypes are taken apart as integers, which compilers turn into vector instructions at every level: the
// processor's own conversions are not there at x86-64-v2, and their headers take longer to compile than a kernel.
#pragma once

#include "elements.h"

namespace thetac {
namespace {

// A float64 as float32 on the way to 16 bits, rounded to odd: what is cut off leaves a trace in the last place, so that
// the second rounding, to fewer digits, sees on which side of a tie it was.
inline float rounded_to_odd(double x) {
    const uint64 word = bits<uint64>(x), cut = (uint64(1) << 29) - 1;
    return float(bits<double>((word & ~cut) | uint64((word & cut) != 0) << 29));
}

struct F32 {
    using Storage = float;
    static float get(float stored) { return stored; }
    static float put(float x) { return canonical(x); }
    static float put(double x) { return canonical(float(x)); }
};

struct F64 {
    using Storage = double;
    static double get(double stored) { return stored; }
    static double put(double x) { return canonical(x); }
};

struct BF16 {
    using Storage = uint16;
    static float get(uint16 stored) { return bits<float>(uint32(stored) << 16); }
    static uint16 put(float x) {
        const uint32 word = bits<uint32>(x), rounded = (word + 0x7FFF + (word >> 16 & 1)) >> 16;
        return uint16((word & 0x7FFFFFFF) > 0x7F800000 ? 0x7FC0 : rounded);
    }
    static uint16 put(double x) { return put(rounded_to_odd(x)); }
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
    static uint16 put(double x) { return put(rounded_to_odd(x)); }
};

// float32, and float64 where the parameter is float64.
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

template <class Dtype, class Number>
void read(const void* from, int64 first, int64 count, Number* numbers) {
    auto stored = static_cast<const typename Dtype::Storage*>(from) + first;
#pragma GCC ivdep
    for (int64 i = 0; i < count; ++i) numbers[i] = Number(Dtype::get(stored[i]));
}

template <class Dtype, class Number>
void write(const Number* numbers, void* to, int64 first, int64 count) {
    auto stored = static_cast<typename Dtype::Storage*>(to) + first;
#pragma GCC ivdep
    for (int64 i = 0; i < count; ++i) stored[i] = Dtype::put(numbers[i]);
}

// How one stream comes from storage and goes there.
template <class Number>
struct Access {
    bool direct;  // it is stored as arithmetic has it: no buffer is needed
    void (*read)(const void* from, int64 first, int64 count, Number* numbers);
    void (*write)(const Number* numbers, void* to, int64 first, int64 count);
};

template <class Number, class Dtype>
constexpr Access<Number> access_of() {
    return {same<typename Dtype::Storage, Number>, &read<Dtype, Number>, &write<Dtype, Number>};
}

}  // namespace
}  // namespace thetac
