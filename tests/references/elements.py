"""The interpreter's arithmetic on numpy arrays of any floating-point dtype: many elements at once, or more digits."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from thetac.codegen.ir.interpret import Arithmetic

Array = NDArray[np.floating]


def _sign(a: Array) -> Array:
    return np.where(np.isnan(a), a.dtype.type(0), np.sign(a))


def _clamp(a: Array, low: Array | float, high: Array | float) -> Array:
    return np.minimum(np.maximum(a, low), high)


_OPERATIONS: Mapping[str, Callable[..., Array]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "pow": operator.pow,
    "neg": operator.neg,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": _sign,
    "lerp": lambda a, b, w: a + w * (b - a),
    "maximum": np.maximum,
    "minimum": np.minimum,
    "clamp": _clamp,
    "where": np.where,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
}

ELEMENTS: Arithmetic[Array] = Arithmetic(operations=_OPERATIONS, fill=np.full_like)
