"""Numbers of the host with the rules of IEEE 754: nothing here raises, and nothing becomes complex.

Python raises for `1 / 0`, `10.0 ** 400` and `math.log(0)`, and `(-1) ** 0.5` is complex. Generated `scalars.py` calls
these functions where the ranges of the hyperparameters do not rule such cases out.
"""

from __future__ import annotations

import math


def divide(x: float, y: float) -> float:
    if y != 0:
        return x / y
    if x == 0 or math.isnan(x):
        return math.nan
    return math.copysign(math.inf, x) * math.copysign(1.0, y)


def power(x: float, y: float) -> float:
    """NaN for a negative number to a power that is no integer."""
    try:
        return math.pow(x, y)
    except OverflowError:
        return -math.inf if x < 0 and y % 2 == 1 else math.inf
    except ValueError:
        if x != 0:
            return math.nan
        return math.copysign(math.inf, x) if y % 2 == 1 else math.inf


def sqrt(x: float) -> float:
    """NaN below 0."""
    power: float = x**0.5 if x >= 0 else math.nan  # torch.optim's bits; math.sqrt rounds otherwise at times
    return power


def exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def log(x: float) -> float:
    """NaN below 0."""
    if x > 0:
        return math.log(x)
    return -math.inf if x == 0 else math.nan


def sign(x: float) -> float:
    """-1, 0 or 1; 0 for NaN."""
    return float(x > 0) - float(x < 0)


def maximum(x: float, y: float) -> float:
    """NaN if either is."""
    return x if x > y or math.isnan(x) else y


def minimum(x: float, y: float) -> float:
    """NaN if either is."""
    return x if x < y or math.isnan(x) else y
