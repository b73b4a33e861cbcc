"""Bound the value of a host expression by the ranges of hyperparameters.

In: an Expr over host scalars, and ranges of its names. Out: a Range that holds its value, rounding and underflow
included, unless it is NaN. With it, the scalar program is plain Python where nothing can raise an error. A range that
is too wide costs a function call, one that is too narrow an exception: when in doubt, return a wide one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from thetac.codegen.ir import ieee
from thetac.codegen.ir.nodes import Call, Const, Expr, Range, Ref, Rule, StateKind
from thetac.shape_numbers import VARIABLES

ANY = Range(-math.inf, math.inf, True, True)
_NONNEGATIVE = Range(0.0, math.inf, True, True)

Known = Mapping[str, Range]


def of_inputs(rule: Rule) -> dict[str, Range]:
    """Return what is known before a step: ranges of hyperparameters, of counters and of the parameter's numbers."""
    known = dict.fromkeys(rule.names_of(StateKind.COUNTER), Range(1.0, math.inf, True, True))
    known |= dict.fromkeys(VARIABLES, _NONNEGATIVE)
    for hyperparameter in rule.hyperparameters:
        ranges = hyperparameter.ranges * (len(hyperparameter.value_names) if len(hyperparameter.ranges) == 1 else 1)
        known |= {name: r for name, r in zip(hyperparameter.value_names, ranges, strict=True) if r is not None}
    return known


def bounds(expression: Expr, known: Known) -> Range:
    """Return a range that holds the value of the expression."""
    match expression:
        case Const(value=value):
            return Range(float(value), float(value), True, True)
        case Ref(name=name):
            return known.get(name, ANY)
        case Call(op="neg", args=(inner,)):
            return _negative(bounds(inner, known))
        case Call(op="add", args=(left, right)):
            return _sum(bounds(left, known), bounds(right, known))
        case Call(op="sub", args=(left, right)):
            return _sum(bounds(left, known), _negative(bounds(right, known)))
        case Call(op="mul" | "div" as op, args=(left, right)):
            a, b = bounds(left, known), bounds(right, known)
            if a.low < 0 or b.low < 0:
                return ANY
            return (
                Range(a.low * b.low, math.inf, True, True) if op == "mul" and a.low > 0 and b.low > 0 else _NONNEGATIVE
            )
        case Call(op="pow", args=(base, exponent)):
            return _power(bounds(base, known), bounds(exponent, known))
        case Call(op="sqrt", args=(inner,)):
            a = bounds(inner, known)
            return Range(math.sqrt(a.low), math.inf, a.low_closed, True) if a.low >= 0 else _NONNEGATIVE
        case Call(op="abs" | "exp" | "norm"):
            return _NONNEGATIVE
        case Call(op="rsqrt", args=(inner,)):
            a = bounds(inner, known)
            above_zero = a.low > 0 or (a.low == 0 and not a.low_closed)  # of -0.0 it is -inf
            return _NONNEGATIVE if above_zero else ANY
        case Call(op="cbrt", args=(inner,)):
            return _NONNEGATIVE if bounds(inner, known).low >= 0 else ANY
        case Call(op="atan2"):
            return Range(-math.pi, math.pi, True, True)
        case Call(op="where", args=(_, left, right)):
            a, b = bounds(left, known), bounds(right, known)
            low, high = min(a.low, b.low), max(a.high, b.high)
            low_closed = any(r.low_closed for r in (a, b) if r.low == low)
            return Range(low, high, low_closed, any(r.high_closed for r in (a, b) if r.high == high))
        case Call(op="mod", args=(_, divisor)):
            b = bounds(divisor, known)
            return Range(min(b.low, 0.0), max(b.high, 0.0), True, True)  # rounding may reach the divisor
        case Call(op="floor", args=(inner,)):
            a = bounds(inner, known)
            return Range(ieee.floor(a.low), ieee.floor(a.high), True, True)
        case Call(op="cos" | "tanh"):
            return Range(-1.0, 1.0, True, True)
        case Call(op="maximum", args=(left, right)):
            a, b = bounds(left, known), bounds(right, known)
            low_closed = all(r.low_closed for r in (a, b) if r.low == max(a.low, b.low))
            return Range(max(a.low, b.low), max(a.high, b.high), low_closed, True)
        case Call():
            return ANY


def is_nonzero(expression: Expr, known: Known) -> bool:
    """Return whether the expression is never 0, so that dividing by it raises no error."""
    return 0.0 not in bounds(expression, known)


def is_plain_power(base: Expr, exponent: Expr, known: Known) -> bool:
    """Return whether Python's `**` raises no error: a fraction to a power that is not negative."""
    a, b = bounds(base, known), bounds(exponent, known)
    return a.low >= 0 and a.high <= 1 and b.low >= 0


def _negative(a: Range) -> Range:
    return Range(-a.high, -a.low, a.high_closed, a.low_closed)


def _sum(a: Range, b: Range) -> Range:
    low, high = a.low + b.low, a.high + b.high
    if math.isnan(low) or math.isnan(high):
        return ANY
    # Rounding may reach an end that is excluded, except 0: the difference of two different numbers is never 0.
    return Range(low, high, low != 0 or (a.low_closed and b.low_closed), high != 0 or (a.high_closed and b.high_closed))


def _power(base: Range, exponent: Range) -> Range:
    if base.low < 0:
        return ANY
    if base.high <= 1 and exponent.low >= 1:
        return Range(0.0, base.high, True, base.high_closed)
    return Range(0.0, 1.0, True, True) if base.high <= 1 and exponent.low >= 0 else _NONNEGATIVE
