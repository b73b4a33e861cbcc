// Steps of elements whose numbers are near the end of float32's range, without operations on numbers below the smallest
// normal one, for which many processors take a hundred times as long.
//
// A rule whose compiler has found degrees for it (codegen/passes/analysis/homogeneity.py) gives the same bits if its streams and row
// are multiplied by powers of two that fit each other. So such elements take their step at another scale, where nothing
// underflows, and come back rounded once. docs/cpp.md has the reasoning.
#pragma once

#include "elements.h"

namespace thetac {
namespace {

// The floating-point mode of a thread, and what has been raised in it. Kernels run in the default mode, whatever the
// caller's is, so that results are the same; the caller's comes back.
class Mode {
public:
#ifdef __SSE2__
    static constexpr bool KNOWN = true;
    static constexpr unsigned DEFAULT = 0x1F80, FLUSHING = 0x9F80;  // FLUSHING: results below the normal ones are zero

    explicit Mode(unsigned mode) : before_(__builtin_ia32_stmxcsr()), mode_(mode) { __builtin_ia32_ldmxcsr(mode); }

    // What was raised stays raised, as for any arithmetic; what was flushed to zero is nobody's business.
    ~Mode() { __builtin_ia32_ldmxcsr(before_ | (mode_ == DEFAULT ? __builtin_ia32_stmxcsr() & 0x3F : 0)); }

    static bool invalid() { return __builtin_ia32_stmxcsr() & 0x0D; }  // or divided by zero, or overflowed
    static bool underflowed() { return __builtin_ia32_stmxcsr() & 0x10; }

private:
    const unsigned before_, mode_;
#else  // gradual underflow throughout, at the processor's own pace
    static constexpr bool KNOWN = false;
    static constexpr unsigned DEFAULT = 0, FLUSHING = 0;

    explicit Mode(unsigned) {}
    static bool invalid() { return false; }
    static bool underflowed() { return false; }
#endif
};

constexpr uint32 MAGNITUDE = 0x7FFFFFFF, SMALLEST_NORMAL = 0x00800000, INFINITE = 0x7F800000;

inline uint32 magnitude(float x) { return bits<uint32>(x) & MAGNITUDE; }
inline uint32 magnitude_of_power(int exponent) { return uint32(127 + exponent) << 23; }
inline float power_of_two(int exponent) { return bits<float>(magnitude_of_power(exponent)); }

// A mean of squares has the exponent 64, what it is a mean of has 32: nonzero numbers below this may underflow, or what
// is computed from them.
inline uint32 small(int exponent) { return magnitude_of_power(-100 * exponent / 64); }

// Numbers that keep their scale must not be so small that flushing to zero could show in them.
inline uint32 least(int exponent) { return exponent == 0 ? magnitude_of_power(-60) : 0; }

// Whether some number lies below the limit. Zero does only if it counts.
inline bool any_below(const float* numbers, int64 count, uint32 limit, bool zero_counts = false) {
    uint32 lowest = ~uint32(0);
    const uint32 first = zero_counts ? 0 : 1;
#pragma GCC ivdep
    for (int64 i = 0; i < count; ++i) {
        const uint32 distance = magnitude(numbers[i]) - first;  // the largest for a zero that does not count
        lowest = distance < lowest ? distance : lowest;
    }
    return lowest < limit - first;
}

// The first few elements of a block stand for all of them where only time depends on it, or only the last place of
// numbers that underflow. The others may be smaller by a factor.
constexpr int64 SAMPLE = 16;
constexpr int MARGIN = 10;  // its exponent
inline bool seems_below(const float* numbers, int64 count, uint32 limit) {
    return any_below(numbers, count < SAMPLE ? count : SAMPLE, limit);
}

__attribute__((noinline)) void multiply(const float* numbers, int64 count, float factor, float* products) {
#pragma GCC ivdep
    for (int64 i = 0; i < count; ++i) products[i] = numbers[i] * factor;
}

// Whether it takes more than a multiplication to bring numbers to another scale.
inline bool seems_denormal(const float* numbers, int64 count, int exponent) {
    return exponent != 0 && seems_below(numbers, count, magnitude_of_power(MARGIN - 126));
}

// numbers * 2**exponent, exactly. Denormal numbers go by way of integers, which costs nothing but a few operations more.
__attribute__((noinline)) void scale_up(const float* numbers, int64 count, int exponent, float* scaled) {
    const float factor = power_of_two(exponent), unit = power_of_two(exponent - 149);
#pragma GCC ivdep
    for (int64 i = 0; i < count; ++i) {
        const uint32 word = bits<uint32>(numbers[i]), size = word & MAGNITUDE, sign = word & ~MAGNITUDE;
        const uint32 is_small = size < SMALLEST_NORMAL ? ~uint32(0) : 0;
        const uint32 small = bits<uint32>(float(int32(size)) * unit) | sign;
        const uint32 normal = bits<uint32>(bits<float>(word & ~is_small) * factor);
        scaled[i] = bits<float>((small & is_small) | (normal & ~is_small));
    }
}

// scaled / 2**exponent, rounded to nearest, ties to even, down to denormal numbers, which are made as integers.
__attribute__((noinline)) void scale_down(const float* scaled, int64 count, int exponent, float* numbers) {
    const float factor = power_of_two(-exponent);
    const uint32 normal_from = magnitude_of_power(exponent - 126);
    if (exponent == 0 || !seems_below(scaled, count, magnitude_of_power(exponent + MARGIN - 126)))
        return multiply(scaled, count, factor, numbers);
    const float units = power_of_two(149 - exponent);
#pragma GCC ivdep
    for (int64 i = 0; i < count; ++i) {
        const uint32 word = bits<uint32>(scaled[i]), size = word & MAGNITUDE, sign = word & ~MAGNITUDE;
        const uint32 is_small = size < normal_from ? ~uint32(0) : 0;
        // The last place of the sum is one unit, and the addition rounds.
        const float sum = bits<float>(size & is_small) * units + 0x1p23f;
        const uint32 small = (bits<uint32>(sum) - bits<uint32>(0x1p23f)) | sign;
        const uint32 normal = bits<uint32>(bits<float>(word & ~is_small) * factor);
        numbers[i] = bits<float>((small & is_small) | (normal & ~is_small));
    }
}

// Masks of all bits for elements whose numbers lie outside of limits.
__attribute__((noinline)) void mark_outside(const float* numbers, int64 count, uint32 low, uint32 high, uint32* outside) {
#pragma GCC ivdep
    for (int64 i = 0; i < count; ++i) {
        const uint32 size = magnitude(numbers[i]);
        outside[i] |= size < low || size > high ? ~uint32(0) : 0;
    }
}

// For elements that are marked the one number, for others the other.
__attribute__((noinline)) void choose_marked(
    const float* there, const float* elsewhere, int64 count, const uint32* marked, float* numbers) {
#pragma GCC ivdep
    for (int64 i = 0; i < count; ++i)
        numbers[i] = bits<float>((bits<uint32>(there[i]) & marked[i]) | (bits<uint32>(elsewhere[i]) & ~marked[i]));
}

// A row at the other scale; false if its numbers do not allow that.
inline bool scale_row(const float* row, int entries, const int* exponents, float* scaled) {
    for (int i = 0; i < entries; ++i) {
        scaled[i] = row[i] * power_of_two(exponents[i]);
        const bool fits = magnitude(row[i]) <= magnitude_of_power(exponents[i] > 0 ? 0 : 20);
        if (row[i] != 0 && (!fits || magnitude(scaled[i]) < SMALLEST_NORMAL)) return false;
    }
    return true;
}

}  // namespace
}  // namespace thetac
