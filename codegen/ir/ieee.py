"""The operations of the language on float64 numbers, as IEEE 754 has them.

In: Python floats, infinities and NaN included. Out: a float; nothing raises and nothing becomes complex. Each function
is the meaning of one row of `ir/ops.py`. runtime/scalar_math.py says the same again, because installed optimizers run
without the compiler, and a test compares the two. This module must not know numpy or torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce


def divide(a: float, b: float) -> float:
    """Return a / b, which is infinite or NaN if b is 0."""
    if b != 0:
        return a / b
    if a == 0 or math.isnan(a) or math.isnan(b):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def power(a: float, b: float) -> float:
    """Return a ** b, which is NaN for a negative number to a power that is no integer."""
    try:
        return math.pow(a, b)
    except OverflowError:
        odd = b % 2 == 1
        return -math.inf if a < 0 and odd else math.inf
    except ValueError:  # zero to a negative power, or a negative number to a power that is no integer
        if a != 0:
            return math.nan
        return math.copysign(math.inf, a) if b % 2 == 1 else math.inf


def modulo(a: float, b: float) -> float:
    """Return the remainder of a / b with the sign of b, as Python has it; NaN if b is 0."""
    return a % b if b != 0 else math.nan


def sqrt(a: float) -> float:
    """Return the square root, NaN below 0."""
    return math.nan if a < 0 else math.sqrt(a)


def rsqrt(a: float) -> float:
    """Return 1 / sqrt(a), NaN below 0."""
    return divide(1.0, sqrt(a))


def cbrt(a: float) -> float:
    """Return the cube root, which has the sign of a."""
    return math.cbrt(a)


def sign(a: float) -> float:
    """Return -1, 0 or 1; 0 for NaN."""
    return float(a > 0) - float(a < 0)


def exp(a: float) -> float:
    """Return e ** a, infinite where it is too large for a float."""
    try:
        return math.exp(a)
    except OverflowError:
        return math.inf


def log(a: float) -> float:
    """Return the natural logarithm: -inf for 0, NaN below."""
    if a > 0:
        return math.log(a)
    return -math.inf if a == 0 else math.nan


def tanh(a: float) -> float:
    """Return the hyperbolic tangent."""
    return math.tanh(a)


def atan2(a: float, b: float) -> float:
    """Return the angle of the point with the height a and the width b, between -pi and pi."""
    return math.atan2(a, b)


def floor(a: float) -> float:
    """Return the largest whole number that is not above a; infinities and NaN stay."""
    return float(math.floor(a)) if math.isfinite(a) and a != 0 else a


def cos(a: float) -> float:
    """Return the cosine, NaN for infinities."""
    return math.cos(a) if math.isfinite(a) else math.nan


def lerp(a: float, b: float, w: float) -> float:
    """Return a + w * (b - a)."""
    return a + w * (b - a)


def maximum(a: float, b: float) -> float:
    """Return the larger of two numbers, NaN if either is NaN."""
    if math.isnan(a) or math.isnan(b):
        return math.nan
    return max(a, b)


def minimum(a: float, b: float) -> float:
    """Return the smaller of two numbers, NaN if either is NaN."""
    if math.isnan(a) or math.isnan(b):
        return math.nan
    return min(a, b)


def where(c: bool, a: float, b: float) -> float:
    """Return a if c holds, else b."""
    return a if c else b


def both(a: bool, b: bool) -> bool:
    """Return whether both hold."""
    return a and b


def either(a: bool, b: bool) -> bool:
    """Return whether one of two holds."""
    return a or b


def total(values: Sequence[float]) -> float:
    """Return the sum, rounded once; NaN where infinities of both signs or NaN are in it."""
    if not all(map(math.isfinite, values)):
        return sum(values)
    try:
        return math.fsum(values)
    except OverflowError:  # of a partial sum, if not of the whole
        return math.fsum(value / 2**64 for value in values) * 2.0**64


def mean(values: Sequence[float]) -> float:
    """Return the sum divided by the number of values; NaN if there is none."""
    return divide(total(values), len(values))


def norm(values: Sequence[float]) -> float:
    """Return the root of the sum of squares."""
    return sqrt(total([value * value for value in values]))


def largest(values: Sequence[float]) -> float:
    """Return the largest value; NaN if one is, -inf if there is none."""
    return reduce(maximum, values, -math.inf)


def smallest(values: Sequence[float]) -> float:
    """Return the smallest value; NaN if one is, inf if there is none."""
    return reduce(minimum, values, math.inf)
