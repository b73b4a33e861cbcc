"""The interpreter's arithmetic on numpy arrays of any floating-point dtype: many elements at once, or more digits.

NumPy computes it, so that it can tell when an operation of the compiler's own is wrong: the registry only names the
function to compare with.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from thetac.codegen.ir.definitions import composed
from thetac.codegen.ir.interpret import Arithmetic
from thetac.codegen.ir.ops import NUMBER_BY_NUMBER, OPS, Op

Array = NDArray[np.floating]


def _sign(a: Array) -> Array:
    return np.where(np.isnan(a), a.dtype.type(0), np.sign(a))


_EXCEPTIONS: Mapping[str, Callable[..., Array]] = {
    "pow": operator.pow,  # of an element, `** 0.5` is a root
    "rsqrt": lambda a: 1 / np.sqrt(a),  # NumPy has none
    "sign": _sign,  # NumPy's is NaN of NaN
    "lerp": lambda a, b, w: a + w * (b - a),  # NumPy has none
}


def _operation(op: Op) -> Callable[..., Array]:
    if op.name in _EXCEPTIONS:
        return _EXCEPTIONS[op.name]
    name = op.sample or op.name
    if op.defined and not hasattr(np, name):
        return composed(op, _OPERATIONS)
    assert hasattr(np, name), f"numpy has no function `{name}`: name one in `sample` of the row of `{op.name}`"
    function: Callable[..., Array] = getattr(np, name)
    return function


_OPERATIONS: dict[str, Callable[..., Array]] = {}
_OPERATIONS |= {name: _operation(op) for name, op in OPS.items() if op.shape in NUMBER_BY_NUMBER and not op.host_only}


def reduce(name: str, values: Array, axis: int | None) -> Array | float:
    """Return a reduction whose sums are rounded once, to float64; along an axis, which is kept with the extent 1."""
    meaning = OPS[name].meaning
    assert meaning is not None, f"{name} is composed"
    if axis is None:
        return meaning(values.ravel().tolist())
    if axis == 1 and values.ndim > 2:  # of a matrix: all axes but the first
        found = np.array([meaning(row.ravel().tolist()) for row in values], dtype=values.dtype)
        return found.reshape(len(values), *(1 for _ in values.shape[1:]))
    along = np.moveaxis(values, axis, -1)
    every = np.ndindex(along.shape[:-1])
    found = np.array([meaning(along[position].tolist()) for position in every], dtype=values.dtype)
    return np.expand_dims(found.reshape(along.shape[:-1]), axis)


def blocks(of_rows: Array, number: float) -> Array:
    """Return for each row the mean over its block of rows, rounded once, to float64."""
    length = max(-(-len(of_rows) // int(number)), 1)
    parts = [of_rows[first : first + length] for first in range(0, len(of_rows), length)]
    means = [np.full_like(part, reduce("mean", part, None)) for part in parts]
    return np.concatenate(means) if means else of_rows


ELEMENTS: Arithmetic[Array] = Arithmetic(operations=_OPERATIONS, reduce=reduce, blocks=blocks, fill=np.full_like)
