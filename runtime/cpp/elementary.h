// Exponentials, logarithms, powers, roots and angles, for loops over elements.
//
// Comes in: one number, or two. Comes out: the function's value, within 2 units in the last place, for every number,
// infinities and NaN included. Must not know the language: elements.h gives these functions their names there.
//
// Written here and not called from the C library, whose vector functions differ from its scalar ones in their last
// bits. Each function is one sequence of IEEE operations, without branches and tables: loops over it become vector code
// at every level of the instruction set, with the same bits on all of them. The methods and most coefficients are those
// of FreeBSD's msun (e_exp.c, e_log.c, e_pow.c, s_atan.c and their `f` variants); tanh has those of Cephes.
#pragma once

namespace thetac {
namespace {

// Returns the same bits as another type.
template <class To, class From>
inline To bits(From value) {
    static_assert(sizeof(To) == sizeof(From));
    To result;
    __builtin_memcpy(&result, &value, sizeof result);
    return result;
}

namespace elementary {

// Returns first + x * (second + x * ...).
template <class Number>
inline Number series(Number, Number last) {
    return last;
}
template <class Number, class... More>
inline Number series(Number x, Number first, More... more) {
    return first + x * series(x, more...);
}

// How the bits of a number are laid out, and the series that suit its precision.
template <class Number>
struct Format;

template <>
struct Format<float> {
    using Word = __UINT32_TYPE__;
    static constexpr int MANTISSA = 23;  // bits
    static constexpr Word ONE = 0x3F800000, ROOT_OF_HALF = 0x3F3504F3, WHOLE = 0x4B000000;
    static constexpr float BIAS = 127, WHOLES = 0x1p23f;  // from WHOLES (whose bits are WHOLE) on, numbers are whole
    static constexpr float LEAST_NORMAL = 0x1p-126f, LARGEST = 0x1.fffffep127f;
    static constexpr float CUBE = 0x1p24f, CUBE_ROOT = 0x1p8f, CUBE_GUESS = 1386637;
    static constexpr float LOWEST_EXPONENT = -104, HIGHEST_EXPONENT = 89;  // beyond, e ** x is 0 or infinite
    static constexpr float LN2_HIGH = 0x1.62e4p-1f, LN2_LOW = 0x1.7f7d1cp-20f, LOG2_E = 0x1.715476p0f;
    static constexpr float ATAN_HALF = 0x1.dac670p-2f, ATAN_HALF_LOW = 5.0121582440e-09f;
    static constexpr float QUARTER_PI = 0x1.921fb4p-1f, QUARTER_PI_LOW = 3.7748947079e-08f;
    static constexpr float PI = 0x1.921fb6p1f, PI_LOW = -8.7422776573e-08f;

    static float exp_series(float z) { return series(z, 1.6666625440e-1f, -2.7667332906e-3f); }
    static float log_series(float z) {
        return series(z, 0.66666662693f, 0.40000972152f, 0.28498786688f, 0.24279078841f);
    }
    static float atan_series(float z) {
        return series(z, 3.3333328366e-01f, -1.9999158382e-01f, 1.4253635705e-01f, -1.0648017377e-01f,
                      6.1687607318e-02f);
    }
    static float tanh_series(float z) {
        return series(z, -3.33332819422e-1f, 1.33314422036e-1f, -5.37397155531e-2f, 2.06390887954e-2f,
                      -5.70498872745e-3f);
    }
};

template <>
struct Format<double> {
    using Word = __UINT64_TYPE__;
    static constexpr int MANTISSA = 52;
    static constexpr Word ONE = 0x3FF0000000000000, ROOT_OF_HALF = 0x3FE6A09E667F3BCD, WHOLE = 0x4330000000000000;
    static constexpr double BIAS = 1023, WHOLES = 0x1p52;
    static constexpr double LEAST_NORMAL = 0x1p-1022, LARGEST = 0x1.fffffffffffffp1023;
    static constexpr double CUBE = 0x1p54, CUBE_ROOT = 0x1p18, CUBE_GUESS = 0x1.54fbc49bc16dp49;
    static constexpr double LOWEST_EXPONENT = -746, HIGHEST_EXPONENT = 710;
    static constexpr double LN2_HIGH = 6.93147180369123816490e-01, LN2_LOW = 1.90821492927058770002e-10;
    static constexpr double LOG2_E = 1.44269504088896338700;
    static constexpr double ATAN_HALF = 4.63647609000806093515e-01, ATAN_HALF_LOW = 2.26987774529616870924e-17;
    static constexpr double QUARTER_PI = 7.85398163397448278999e-01, QUARTER_PI_LOW = 3.06161699786838301793e-17;
    static constexpr double PI = 3.14159265358979311600, PI_LOW = 1.22464679914735317636e-16;

    static double exp_series(double z) {
        return series(z, 1.66666666666666019037e-01, -2.77777777770155933842e-03, 6.61375632143793436117e-05,
                      -1.65339022054652515390e-06, 4.13813679705723846039e-08);
    }
    static double log_series(double z) {
        return series(z, 6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
                      2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
                      1.479819860511658591e-01);
    }
    static double atan_series(double z) {
        return series(z, 3.33333333333329318027e-01, -1.99999999998764832476e-01, 1.42857142725034663711e-01,
                      -1.11111104054623557880e-01, 9.09088713343650656196e-02, -7.69187620504482999495e-02,
                      6.66107313738753120669e-02, -5.83357013379057348645e-02, 4.97687799461593236017e-02,
                      -3.65315727442169155270e-02, 1.62858201153657823623e-02);
    }
    static double tanh_series(double z) {
        return series(z, -1.61468768441708447952e3, -9.92877231001918586564e1, -9.64399179425052238628e-1) /
               series(z, 4.84406305325125486048e3, 2.23548839060100448583e3, 1.12811678491632931402e2, 1.0);
    }
};

inline float magnitude(float x) { return __builtin_fabsf(x); }
inline double magnitude(double x) { return __builtin_fabs(x); }
inline float with_sign(float x, float sign) { return __builtin_copysignf(x, sign); }
inline double with_sign(double x, double sign) { return __builtin_copysign(x, sign); }

// Returns the whole number nearest to `x`, of at most a quarter of `WHOLES`.
template <class Number>
inline Number nearest(Number x) {
    constexpr Number far = Number(1.5) * Format<Number>::WHOLES;
    return (x + far) - far;
}

// Returns 2 ** `n` for a whole number for which that is normal.
template <class Number>
inline Number power_of_two(Number n) {
    using F = Format<Number>;
    return bits<Number>(bits<typename F::Word>(n + (Number(1.5) * F::WHOLES + F::BIAS)) << F::MANTISSA);
}

// Returns x * 2 ** `n`, rounded once. In two steps: 2 ** n itself may be denormal or too large.
template <class Number>
inline Number scaled(Number x, Number n) {
    const Number half = nearest(n * Number(0.5));
    return x * power_of_two(half) * power_of_two(n - half);
}

// Returns an integer below `WHOLES` as a number.
template <class Number>
inline Number as_number(typename Format<Number>::Word integer) {
    using F = Format<Number>;
    return bits<Number>(integer | F::WHOLE) - F::WHOLES;
}

template <class Number>
inline Number exponential(Number x) {
    using F = Format<Number>;
    const Number above = x < F::LOWEST_EXPONENT ? F::LOWEST_EXPONENT : x;
    const Number inside = above > F::HIGHEST_EXPONENT ? F::HIGHEST_EXPONENT : above;
    const Number n = nearest(inside * F::LOG2_E);
    const Number high = inside - n * F::LN2_HIGH, low = n * F::LN2_LOW;
    const Number rest = high - low, square = rest * rest;
    const Number c = rest - square * F::exp_series(square);
    return scaled(1 - ((low - rest * c / (2 - c)) - high), n);
}

template <class Number>
inline Number logarithm(Number x) {
    using F = Format<Number>;
    using Word = typename F::Word;
    constexpr Word fraction = (Word(1) << F::MANTISSA) - 1;
    const bool denormal = x < F::LEAST_NORMAL;
    const Number normal = denormal ? x * (4 * F::WHOLES) : x;
    const Word word = bits<Word>(normal) + (F::ONE - F::ROOT_OF_HALF);
    const Number exponent = as_number<Number>(word >> F::MANTISSA) - (denormal ? F::BIAS + F::MANTISSA + 2 : F::BIAS);
    const Number f = bits<Number>((word & fraction) + F::ROOT_OF_HALF) - 1;
    const Number s = f / (2 + f), z = s * s, half = Number(0.5) * f * f;
    const Number value = exponent * F::LN2_HIGH -
                         ((half - (s * (half + z * F::log_series(z)) + exponent * F::LN2_LOW)) - f);
    const Number finite = x <= F::LARGEST ? value : x;
    const Number positive = x == 0 ? -Number(__builtin_inf()) : finite;
    return x < 0 ? Number(__builtin_nan("")) : positive;
}

template <class Number>
inline Number hyperbolic_tangent(Number x) {
    const Number a = magnitude(x), square = a * a;
    const Number near = a + a * square * Format<Number>::tanh_series(square);
    const Number far = 1 - 2 / (exponential(2 * a) + 1);
    return with_sign(a < Number(0.625) ? near : far, x);
}

// Returns a cube root that is nearer to that of `a`, by Halley's method.
template <class Number>
inline Number nearer_cube_root(Number root, Number a) {
    const Number cube = root * root * root;
    return root - root * ((cube - a) / (2 * cube + a));
}

template <class Number>
inline Number cube_root(Number x) {
    using F = Format<Number>;
    using Word = typename F::Word;
    constexpr int low = 8 * sizeof(Number) - F::MANTISSA;  // bits that the first guess, from a third of all bits, omits
    const Number a = magnitude(x);
    const Number smaller = a > F::LARGEST / 16 ? 1 / F::CUBE : Number(1);
    const Number factor = a < F::LEAST_NORMAL ? F::CUBE : smaller;
    const Number larger = a > F::LARGEST / 16 ? F::CUBE_ROOT : Number(1);
    const Number back = a < F::LEAST_NORMAL ? 1 / F::CUBE_ROOT : larger;
    const Number normal = a * factor;
    const Number third = as_number<Number>(bits<Word>(normal) >> low) * Number(1.0 / 3.0) + F::CUBE_GUESS;
    Number root = bits<Number>(bits<Word>(third + F::WHOLES) << low);
    root = nearer_cube_root(nearer_cube_root(root, normal), normal);
    if constexpr (sizeof(Number) == 8) root = nearer_cube_root(root, normal);
    const Number finite = a <= F::LARGEST ? root * back : a;
    return with_sign(a == 0 ? a : finite, x);
}

// Returns the angle of the point (x, y), between -pi and pi.
template <class Number>
inline Number angle(Number y, Number x) {
    using F = Format<Number>;
    const Number high = magnitude(y), wide = magnitude(x);
    const bool steep = high > wide;
    const Number shorter = steep ? wide : high, longer = steep ? high : wide;
    // Away from overflow and denormal numbers, to a finite point, and off the origin.
    const Number smaller = longer > F::LARGEST / 16 ? Number(0.0625) : Number(1);
    const Number factor = longer < F::LEAST_NORMAL * F::WHOLES ? 4 * F::WHOLES : smaller;
    const Number diagonal = shorter > F::LARGEST ? Number(1) : Number(0);
    const Number side = longer > F::LARGEST ? diagonal : shorter * factor;
    const Number length = longer > F::LARGEST ? Number(1) : longer * factor;
    const Number base = length == 0 ? Number(1) : length;
    // The angle of the nearest of three directions, with the slopes 0, 1/2 and 1, and the one between it and the point.
    const bool second = side > Number(0.4375) * base, third = side > Number(0.6875) * base;
    const Number slope_of_two = second ? Number(0.5) : Number(0), slope = third ? Number(1) : slope_of_two;
    const Number known_of_two = second ? F::ATAN_HALF : Number(0), known = third ? F::QUARTER_PI : known_of_two;
    const Number low_of_two = second ? F::ATAN_HALF_LOW : Number(0), low = third ? F::QUARTER_PI_LOW : low_of_two;
    const Number t = (side - slope * base) / (base + slope * side), square = t * t;
    const Number within = known - ((t * (square * F::atan_series(square)) - low) - t);
    const Number upward = steep ? 2 * F::QUARTER_PI - (within - 2 * F::QUARTER_PI_LOW) : within;
    const Number around = with_sign(Number(1), x) < 0 ? F::PI - (upward - F::PI_LOW) : upward;
    return __builtin_isunordered(x, y) ? x + y : with_sign(around, y);
}

// Returns whether a number that is not negative is whole, infinity included.
template <class Number>
inline bool is_whole(Number a) {
    constexpr Number wholes = Format<Number>::WHOLES;
    return (a < wholes ? (a + wholes) - wholes : a) == a;
}

// Returns `x` to the power of `y`, given that of |x|: its sign, NaN, and 1 where IEEE 754 asks for it.
template <class Number>
inline Number with_sign_of_power(Number power, Number x, Number y) {
    using F = Format<Number>;
    const Number size = magnitude(y);
    const Number even = is_whole(size * Number(0.5)) ? power : with_sign(power, x);
    const Number broken = x < 0 ? Number(__builtin_nan("")) : power;
    const Number fraction = x < -F::LARGEST ? power : broken;
    const Number value = is_whole(size) ? even : fraction;
    const Number ordered = __builtin_isunordered(x, y) ? x + y : value;
    const Number other = y == 0 ? Number(1) : ordered;
    return x == 1 ? Number(1) : other;
}

// Returns an exponent limited to where every power but that of 1 is 0 or infinite.
inline double limited_exponent(double y) {
    constexpr double most = 0x1p65;
    const double above = y < -most ? -most : y;
    return above > most ? most : above;
}

// Returns the number with the lower half of its bits cleared: products of two such numbers are exact.
inline double upper(double x) { return bits<double>(bits<__UINT64_TYPE__>(x) & 0xFFFFFFFF00000000); }

// Returns |x| ** y: y times the logarithm to base 2 as a sum of two numbers, then the power of 2.
inline double power_of_magnitude(double x, double y) {
    using F = Format<double>;
    constexpr double PER_THIRD[] = {9.61796693925975554329e-01, 9.61796700954437255859e-01,
                                            -7.02846165095275826516e-09};  // 2 / (3 ln 2), and in two parts
    constexpr double LN2[] = {6.93147180559945286227e-01, 6.93147182464599609375e-01, -1.90465429995776804525e-09};
    const double a = magnitude(x);
    const bool denormal = a < F::LEAST_NORMAL;
    const F::Word word = bits<F::Word>(denormal ? a * 0x1p54 : a);
    const double mantissa = bits<double>((word & 0x000FFFFFFFFFFFFF) | F::ONE);
    const bool halve = mantissa >= 1.7320508075688772, from_half = mantissa >= 1.224744871391589;
    const double unhalved = as_number<double>(word >> 52) - (denormal ? F::BIAS + 54 : F::BIAS);
    const double n = halve ? unhalved + 1 : unhalved, m = halve ? 0.5 * mantissa : mantissa;
    const double beyond = from_half ? 1.5 : 1.0, start = halve ? 1.0 : beyond;
    const double start_high = start > 1 ? 5.84962487220764160156e-01 : 0.0;  // its logarithm
    const double start_low = start > 1 ? 1.35003920212974897128e-08 : 0.0;
    // s = (m - start) / (m + start), in two parts; log2(m / start) is 2 / (3 ln 2) * s * (3 + s^2 + r).
    const double u = m - start, v = 1 / (m + start), s = u * v, s_high = upper(s);
    const double t_high = upper(m + start), t_low = m - (t_high - start);
    const double s_low = v * ((u - s_high * t_high) - s_high * t_low);
    const double z = s * s, z_high = s_high * s_high;
    const double r = z * z * series(z, 5.99999999999994648725e-01, 4.28571428578550184252e-01, 3.33333329818377432918e-01,
                                    2.72728123808534006489e-01, 2.30660745775561754067e-01, 2.06975017800338417784e-01) +
                     s_low * (s_high + s);
    const double three_high = upper(3.0 + z_high + r), three_low = r - ((three_high - 3.0) - z_high);
    const double p = s_high * three_high, q = s_low * three_high + three_low * s;
    const double product_high = upper(p + q), product_low = q - (product_high - p);
    const double part_high = PER_THIRD[1] * product_high;
    const double part_low = PER_THIRD[2] * product_high + product_low * PER_THIRD[0] + start_low;
    const double log_high = upper(((part_high + part_low) + start_high) + n);
    const double log_low = part_low - (((log_high - n) - start_high) - part_high);
    // The exponent of 2, in two parts, limited to where the result is 0 or infinite.
    // Zero is added so that it is a number of each element: compilers make no vectors of a choice between two others.
    const double exponent = limited_exponent(y + (a - a)), exponent_high = upper(exponent);
    const double low = (exponent - exponent_high) * log_high + exponent * log_low, high = exponent_high * log_high;
    const double sum = low + high, not_low = sum < -1200 ? -1200.0 : high;
    const double inside_high = sum > 1200 ? 1200.0 : not_low, inside_low = magnitude(sum) > 1200 ? 0.0 : low;
    const double whole = nearest(inside_low + inside_high), rest = inside_high - whole;
    const double t = upper(inside_low + rest), w_high = t * LN2[1];
    const double w_low = (inside_low - (t - rest)) * LN2[0] + t * LN2[2];
    const double w = w_high + w_low, lost = w_low - (w - w_high), square = w * w;
    const double c = w - square * F::exp_series(square);
    const double value = scaled(1 - (((w * c) / (c - 2) - (lost + w * lost)) - w), whole);
    const double of_zero = y < 0 ? __builtin_inf() : 0.0, of_infinity = y < 0 ? 0.0 : __builtin_inf();
    const double finite = a <= F::LARGEST ? value : of_infinity;
    return a == 0 ? of_zero : finite;
}

inline double power(double x, double y) { return with_sign_of_power(power_of_magnitude(x, y), x, y); }

inline float power(float x, float y) {
    const double of_base = logarithm(double(magnitude(x)));
    const double product = of_base == 0 ? 0.0 : double(y) * of_base;  // also where the exponent is infinite
    return with_sign_of_power(float(exponential(product)), x, y);
}

}  // namespace elementary
}  // namespace
}  // namespace thetac
