"""Exponentials, logarithms, powers, roots and angles of elements in Triton kernels.

In and out: blocks of float32 or float64. Every function is the sequence of operations that runtime/cpp/elementary.h
has, and says why there: within 2 units in the last place for every number, infinities and NaN included. Triton's own
`exp` and `log` are approximate in float32, and its other functions differ between GPUs. Must not know the language:
triton_ops.py gives these functions their names there.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
# (values of a kernel have types of Triton's own, which its compiler infers)

import triton
import triton.language as tl

_FLOAT32_WHOLES = tl.constexpr(2.0**23)  # from here on, numbers are whole
_FLOAT64_WHOLES = tl.constexpr(2.0**52)
_LARGEST_FLOAT32 = tl.constexpr((2 - 2.0**-23) * 2.0**127)
_LARGEST_FLOAT64 = tl.constexpr((2 - 2.0**-52) * 2.0**1023)


@triton.jit
def _constant(x, single: tl.constexpr, double: tl.constexpr):
    """Return a constant in the dtype of x: a bare one would be float32 in places."""
    if x.dtype == tl.float64:
        constant = tl.full((), double, tl.float64)
    else:
        constant = tl.full((), single, tl.float32)
    return constant


@triton.jit
def _bits(x):
    """Return the bits of numbers as unsigned integers."""
    if x.dtype == tl.float64:
        integers = x.to(tl.uint64, bitcast=True)
    else:
        integers = x.to(tl.uint32, bitcast=True)
    return integers


@triton.jit
def _from_bits(integers):
    """Return the numbers that have these bits."""
    if integers.dtype == tl.uint64:
        numbers = integers.to(tl.float64, bitcast=True)
    else:
        numbers = integers.to(tl.float32, bitcast=True)
    return numbers


@triton.jit
def _with_sign(x, sign):
    """Return |x| with the sign of the other number, that of a zero included."""
    if x.dtype == tl.float64:
        integers = (_bits(x) & 0x7FFFFFFFFFFFFFFF) | (_bits(sign) & 0x8000000000000000)
    else:
        integers = (_bits(x) & 0x7FFFFFFF) | (_bits(sign) & 0x80000000)
    return _from_bits(integers)


@triton.jit
def _has_minus(x):
    """Return whether numbers have a minus, as -0.0 has."""
    if x.dtype == tl.float64:
        minus = _bits(x) >> 63
    else:
        minus = _bits(x) >> 31
    return minus != 0


@triton.jit
def _as_number(integers):
    """Return unsigned integers, all small enough to be exact, as numbers."""
    if integers.dtype == tl.uint64:
        numbers = _from_bits(integers | 0x4330000000000000) - _FLOAT64_WHOLES
    else:
        numbers = _from_bits(integers | 0x4B000000) - _FLOAT32_WHOLES
    return numbers


@triton.jit
def divide(x, y):
    """Return x / y, rounded to nearest: the plain operator may be approximate in float32."""
    if y.dtype == tl.float64:
        quotient = x / y
    else:
        quotient = tl.div_rn(x, y)
    return quotient


@triton.jit
def _nearest(x):
    """Return the nearest whole numbers."""
    far = _constant(x, 1.5 * _FLOAT32_WHOLES, 1.5 * _FLOAT64_WHOLES)
    return (x + far) - far


@triton.jit
def _power_of_two(n):
    """Return 2 ** n for whole numbers for which that is normal."""
    far = _constant(n, 1.5 * _FLOAT32_WHOLES + 127, 1.5 * _FLOAT64_WHOLES + 1023)
    if n.dtype == tl.float64:
        powers = _from_bits(_bits(n + far) << 52)
    else:
        powers = _from_bits(_bits(n + far) << 23)
    return powers


@triton.jit
def _scaled(x, n):
    """Return x * 2 ** n, rounded once."""
    half = _nearest(n * 0.5)
    return x * _power_of_two(half) * _power_of_two(n - half)


@triton.jit
def _exp_series(z):
    if z.dtype == tl.float64:
        tail = -1.65339022054652515390e-06 + z * 4.13813679705723846039e-08
        value = 1.66666666666666019037e-01 + z * (
            -2.77777777770155933842e-03 + z * (6.61375632143793436117e-05 + z * tail)
        )
    else:
        value = 1.6666625440e-1 + z * -2.7667332906e-3
    return value


@triton.jit
def _log_series(z):
    if z.dtype == tl.float64:
        tail = 1.818357216161805012e-01 + z * (1.531383769920937332e-01 + z * 1.479819860511658591e-01)
        tail = 2.857142874366239149e-01 + z * (2.222219843214978396e-01 + z * tail)
        value = 6.666666666666735130e-01 + z * (3.999999999940941908e-01 + z * tail)
    else:
        value = 0.66666662693 + z * (0.40000972152 + z * (0.28498786688 + z * 0.24279078841))
    return value


@triton.jit
def _atan_series(z):
    if z.dtype == tl.float64:
        tail = 4.97687799461593236017e-02 + z * (-3.65315727442169155270e-02 + z * 1.62858201153657823623e-02)
        tail = 6.66107313738753120669e-02 + z * (-5.83357013379057348645e-02 + z * tail)
        tail = 9.09088713343650656196e-02 + z * (-7.69187620504482999495e-02 + z * tail)
        tail = 1.42857142725034663711e-01 + z * (-1.11111104054623557880e-01 + z * tail)
        value = 3.33333333333329318027e-01 + z * (-1.99999999998764832476e-01 + z * tail)
    else:
        tail = 1.4253635705e-01 + z * (-1.0648017377e-01 + z * 6.1687607318e-02)
        value = 3.3333328366e-01 + z * (-1.9999158382e-01 + z * tail)
    return value


@triton.jit
def _tanh_series(z):
    if z.dtype == tl.float64:
        over = -1.61468768441708447952e3 + z * (-9.92877231001918586564e1 + z * -9.64399179425052238628e-1)
        under = 4.84406305325125486048e3 + z * (2.23548839060100448583e3 + z * (1.12811678491632931402e2 + z))
        value = over / under
    else:
        tail = -5.37397155531e-2 + z * (2.06390887954e-2 + z * -5.70498872745e-3)
        value = -3.33332819422e-1 + z * (1.33314422036e-1 + z * tail)
    return value


@triton.jit
def exponential(x):
    """Return e ** x."""
    lowest, highest = _constant(x, -104.0, -746.0), _constant(x, 89.0, 710.0)
    above = tl.where(x < lowest, lowest, x)
    inside = tl.where(above > highest, highest, above)
    n = _nearest(inside * _constant(x, 1.4426950408889634, 1.4426950408889634))
    high = inside - n * _constant(x, 0.693145751953125, 6.93147180369123816490e-01)
    low = n * _constant(x, 1.42860677e-06, 1.90821492927058770002e-10)
    rest = high - low
    square = rest * rest
    c = rest - square * _exp_series(square)
    return _scaled(1 - ((low - divide(rest * c, 2 - c)) - high), n)


@triton.jit
def logarithm(x):
    """Return the natural logarithm: -inf for 0, NaN below."""
    denormal = x < _constant(x, 2.0**-126, 2.0**-1022)
    normal = tl.where(denormal, x * (4 * _constant(x, _FLOAT32_WHOLES, _FLOAT64_WHOLES)), x)
    if x.dtype == tl.float64:
        word = _bits(normal) + (0x3FF0000000000000 - 0x3FE6A09E667F3BCD)
        biased = _as_number(word >> 52)
        m = _from_bits((word & 0x000FFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD)
    else:
        word = _bits(normal) + (0x3F800000 - 0x3F3504F3)
        biased = _as_number(word >> 23)
        m = _from_bits((word & 0x007FFFFF) + 0x3F3504F3)
    exponent = biased - tl.where(denormal, _constant(x, 152.0, 1077.0), _constant(x, 127.0, 1023.0))
    f = m - 1
    s = divide(f, 2 + f)
    z = s * s
    half = 0.5 * f * f
    low = s * (half + z * _log_series(z)) + exponent * _constant(x, 1.42860677e-06, 1.90821492927058770002e-10)
    value = exponent * _constant(x, 0.693145751953125, 6.93147180369123816490e-01) - ((half - low) - f)
    finite = tl.where(x <= _constant(x, _LARGEST_FLOAT32, _LARGEST_FLOAT64), value, x)
    positive = tl.where(x == 0, float("-inf"), finite)
    return tl.where(x < 0, float("nan"), positive)


@triton.jit
def hyperbolic_tangent(x):
    """Return the hyperbolic tangent."""
    a = tl.abs(x)
    square = a * a
    near = a + a * square * _tanh_series(square)
    far = 1 - divide(tl.full((), 2.0, x.dtype), exponential(2 * a) + 1)
    return _with_sign(tl.where(a < 0.625, near, far), x)


@triton.jit
def _nearer_cube_root(root, a):
    """Return a cube root that is nearer to that of a, by Halley's method."""
    cube = root * root * root
    return root - root * divide(cube - a, 2 * cube + a)


@triton.jit
def cube_root(x):
    """Return the cube root, with the sign of x."""
    a = tl.abs(x)
    one = tl.full((), 1.0, x.dtype)
    denormal = a < _constant(x, 2.0**-126, 2.0**-1022)
    large = a > _constant(x, _LARGEST_FLOAT32 / 16, _LARGEST_FLOAT64 / 16)
    smaller = tl.where(large, _constant(x, 2.0**-24, 2.0**-54), one)
    larger = tl.where(large, _constant(x, 2.0**8, 2.0**18), one)
    normal = a * tl.where(denormal, _constant(x, 2.0**24, 2.0**54), smaller)
    back = tl.where(denormal, _constant(x, 2.0**-8, 2.0**-18), larger)
    # The first guess has a third of all bits, but for the lowest.
    if x.dtype == tl.float64:
        third = _as_number(_bits(normal) >> 12) * 0.3333333333333333 + 749830577554138.0
        root = _from_bits(_bits(third + _FLOAT64_WHOLES) << 12)
        root = _nearer_cube_root(root, normal)
    else:
        third = _as_number(_bits(normal) >> 9) * 0.3333333333333333 + 1386637.0
        root = _from_bits(_bits(third + _FLOAT32_WHOLES) << 9)
    root = _nearer_cube_root(_nearer_cube_root(root, normal), normal)
    finite = tl.where(a <= _constant(x, _LARGEST_FLOAT32, _LARGEST_FLOAT64), root * back, a)
    return _with_sign(tl.where(a == 0, a, finite), x)


@triton.jit
def _unless_nan(value, x, y):
    """Return the value, but NaN where one of the other numbers is NaN. Each may be a block or a single number."""
    return tl.where(x == x, tl.where(y == y, value, y), x)


@triton.jit
def angle(y, x):
    """Return the angle of the point (x, y), between -pi and pi."""
    high, wide = tl.abs(y), tl.abs(x)
    one = tl.full((), 1.0, y.dtype)
    zero = tl.full((), 0.0, y.dtype)
    largest = _constant(y, _LARGEST_FLOAT32, _LARGEST_FLOAT64)
    steep = high > wide
    shorter, longer = tl.where(steep, wide, high), tl.where(steep, high, wide)
    # Away from overflow and denormal numbers, to a finite point, and off the origin.
    smaller = tl.where(longer > _constant(y, _LARGEST_FLOAT32 / 16, _LARGEST_FLOAT64 / 16), one * 0.0625, one)
    least, up = _constant(y, 2.0**-103, 2.0**-970), _constant(y, 2.0**25, 2.0**54)
    factor = tl.where(longer < least, up, smaller)
    side = tl.where(longer > largest, tl.where(shorter > largest, one, zero), shorter * factor)
    length = tl.where(longer > largest, one, longer * factor)
    base = tl.where(length == 0, one, length)
    # The angle of the nearest of three directions, with the slopes 0, 1/2 and 1, and the one between it and the point.
    second, third = side > 0.4375 * base, side > 0.6875 * base
    slope = tl.where(third, one, tl.where(second, one * 0.5, zero))
    atan_half = _constant(y, 0.46364760398864746, 4.63647609000806093515e-01)
    atan_half_low = _constant(y, 5.0121582440e-09, 2.26987774529616870924e-17)
    quarter = _constant(y, 0.785398125648498535, 7.85398163397448278999e-01)
    quarter_low = _constant(y, 3.7748947079e-08, 3.06161699786838301793e-17)
    known = tl.where(third, quarter, tl.where(second, atan_half, zero))
    low = tl.where(third, quarter_low, tl.where(second, atan_half_low, zero))
    t = divide(side - slope * base, base + slope * side)
    square = t * t
    within = known - ((t * (square * _atan_series(square)) - low) - t)
    upward = tl.where(steep, 2 * quarter - (within - 2 * quarter_low), within)
    pi = _constant(y, 3.1415927410125732, 3.14159265358979311600)
    pi_low = _constant(y, -8.7422776573e-08, 1.22464679914735317636e-16)
    around = tl.where(_has_minus(x), pi - (upward - pi_low), upward)
    return _unless_nan(_with_sign(around, y), x, y)


@triton.jit
def _is_whole(a):
    """Return whether numbers that are not negative are whole, infinity included."""
    wholes = _constant(a, _FLOAT32_WHOLES, _FLOAT64_WHOLES)
    return tl.where(a < wholes, (a + wholes) - wholes, a) == a


@triton.jit
def _with_sign_of_power(power, x, y):
    """Return x ** y, given |x| ** y: its sign, NaN, and 1 where IEEE 754 asks for it."""
    size = tl.abs(y)
    even = tl.where(_is_whole(size * 0.5), power, _with_sign(power, x))
    broken = (x < 0) & (x >= -_constant(x, _LARGEST_FLOAT32, _LARGEST_FLOAT64))
    value = tl.where(_is_whole(size), even, tl.where(broken, float("nan"), power))
    return tl.where(x == 1, 1.0, tl.where(y == 0, 1.0, _unless_nan(value, x, y)))


@triton.jit
def _limited_exponent(y):
    """Return an exponent in float64, limited to where every power but that of 1 is 0 or infinite."""
    most = tl.full((), 2.0**65, tl.float64)
    above = tl.where(y < -most, -most, y)
    return tl.where(above > most, most, above)


@triton.jit
def _upper(x):
    """Return numbers with the lower half of their bits cleared: products of two such numbers are exact."""
    return _from_bits(_bits(x) & 0xFFFFFFFF00000000)


@triton.jit
def _power_of_magnitude(x, y):
    """Return |x| ** y in float64: y times the logarithm to base 2 as a sum of two numbers, then the power of 2."""
    a = tl.abs(x)
    denormal = a < 2.0**-1022
    word = _bits(tl.where(denormal, a * 2.0**54, a))
    mantissa = _from_bits((word & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000)
    halve, from_half = mantissa >= 1.7320508075688772, mantissa >= 1.224744871391589
    one, zero = tl.full((), 1.0, tl.float64), tl.full((), 0.0, tl.float64)
    n = _as_number(word >> 52) - tl.where(denormal, one * 1077, one * 1023) + tl.where(halve, one, zero)
    m = tl.where(halve, 0.5 * mantissa, mantissa)
    inner = from_half & (mantissa < 1.7320508075688772)
    start = tl.where(inner, one * 1.5, one)
    start_high = tl.where(inner, tl.full((), 5.84962487220764160156e-01, tl.float64), zero)  # its logarithm
    start_low = tl.where(inner, tl.full((), 1.35003920212974897128e-08, tl.float64), zero)
    u, v = m - start, 1 / (m + start)
    s = u * v
    s_high = _upper(s)
    t_high = _upper(m + start)
    t_low = m - (t_high - start)
    s_low = v * ((u - s_high * t_high) - s_high * t_low)
    z, z_high = s * s, s_high * s_high
    tail = 2.72728123808534006489e-01 + z * (2.30660745775561754067e-01 + z * 2.06975017800338417784e-01)
    tail = 5.99999999999994648725e-01 + z * (4.28571428578550184252e-01 + z * (3.33333329818377432918e-01 + z * tail))
    r = z * z * tail + s_low * (s_high + s)
    three_high = _upper(3.0 + z_high + r)
    three_low = r - ((three_high - 3.0) - z_high)
    p, q = s_high * three_high, s_low * three_high + three_low * s
    product_high = _upper(p + q)
    product_low = q - (product_high - p)
    part_high = 9.61796700954437255859e-01 * product_high
    part_low = -7.02846165095275826516e-09 * product_high + product_low * 9.61796693925975554329e-01 + start_low
    log_high = _upper(((part_high + part_low) + start_high) + n)
    log_low = part_low - (((log_high - n) - start_high) - part_high)
    exponent = _limited_exponent(y)
    exponent_high = _upper(exponent)
    low, high = (exponent - exponent_high) * log_high + exponent * log_low, exponent_high * log_high
    total = low + high
    inside_high = tl.where(total > 1200, one * 1200, tl.where(total < -1200, one * -1200, high))
    inside_low = tl.where(tl.abs(total) > 1200, zero, low)
    whole = _nearest(inside_low + inside_high)
    rest = inside_high - whole
    t = _upper(inside_low + rest)
    w_high = t * 6.93147182464599609375e-01
    w_low = (inside_low - (t - rest)) * 6.93147180559945286227e-01 + t * -1.90465429995776804525e-09
    w = w_high + w_low
    lost = w_low - (w - w_high)
    square = w * w
    c = w - square * _exp_series(square)
    value = _scaled(1 - (((w * c) / (c - 2) - (lost + w * lost)) - w), whole)
    of_infinity = tl.where(y < 0, zero, float("inf"))
    finite = tl.where(a <= _LARGEST_FLOAT64, value, of_infinity)
    return tl.where(a == 0, tl.where(y < 0, float("inf"), zero), finite)


@triton.jit
def power(x, y):
    """Return x ** y, which is NaN for a negative number to a power that is no integer."""
    if x.dtype == tl.float64:
        value = _power_of_magnitude(x, y)
    else:
        value = exponential(_limited_exponent(y.to(tl.float64)) * logarithm(tl.abs(x).to(tl.float64))).to(tl.float32)
    return _with_sign_of_power(value, x, y)
