"""Operations on host scalars with the rules of IEEE 754: nothing raises, and nothing becomes complex.

In and out: Python floats. Python raises for `1 / 0`, `10.0 ** 400` and `math.log(0)`, and `(-1) ** 0.5` is complex.
Generated code calls these functions where the ranges of hyperparameters do not rule such cases out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def divide(x: float, y: float) -> float:
    """Return x / y, which is infinite or NaN if y is 0."""
    if y != 0:
        return x / y
    if x == 0 or math.isnan(x):
        return math.nan
    return math.copysign(math.inf, x) * math.copysign(1.0, y)


def power(x: float, y: float) -> float:
    """Return x ** y, which is NaN for a negative number to a power that is no integer."""
    try:
        return math.pow(x, y)
    except OverflowError:
        return -math.inf if x < 0 and y % 2 == 1 else math.inf
    except ValueError:
        if x != 0:
            return math.nan
        return math.copysign(math.inf, x) if y % 2 == 1 else math.inf


def modulo(x: float, y: float) -> float:
    """Return the remainder of x / y with the sign of y, NaN if y is 0."""
    return x % y if y != 0 else math.nan


def sqrt(x: float) -> float:
    """Return the square root, NaN below 0."""
    return math.sqrt(x) if x >= 0 else math.nan


def rsqrt(x: float) -> float:
    """Return 1 / sqrt(x), NaN below 0."""
    return divide(1.0, math.sqrt(x)) if x >= 0 else math.nan


def cbrt(x: float) -> float:
    """Return the cube root, which has the sign of x."""
    return math.cbrt(x)


def exp(x: float) -> float:
    """Return e ** x, infinite where it is too large for a float."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def log(x: float) -> float:
    """Return the natural logarithm: -inf for 0, NaN below."""
    if x > 0:
        return math.log(x)
    return -math.inf if x == 0 else math.nan


def tanh(x: float) -> float:
    """Return the hyperbolic tangent."""
    return math.tanh(x)


def atan2(y: float, x: float) -> float:
    """Return the angle of the point (x, y), between -pi and pi."""
    return math.atan2(y, x)


def floor(x: float) -> float:
    """Return the largest whole number that is not above x; infinities and NaN stay."""
    return float(math.floor(x)) if math.isfinite(x) and x != 0 else x


def cos(x: float) -> float:
    """Return the cosine, NaN for infinities."""
    return math.cos(x) if math.isfinite(x) else math.nan


def sign(x: float) -> float:
    """Return -1, 0 or 1; 0 for NaN."""
    return float(x > 0) - float(x < 0)


def maximum(x: float, y: float) -> float:
    """Return the larger number, NaN if either is NaN."""
    return x if x > y or math.isnan(x) else y


def minimum(x: float, y: float) -> float:
    """Return the smaller number, NaN if either is NaN."""
    return x if x < y or math.isnan(x) else y


def total(values: Sequence[float]) -> float:
    """Return the sum, rounded once; NaN where infinities of both signs or NaN are in it."""
    if not all(map(math.isfinite, values)):
        return sum(values)
    try:
        return math.fsum(values)
    except OverflowError:  # of a partial sum, if not of the whole
        return math.fsum(value / 2**64 for value in values) * 2.0**64
