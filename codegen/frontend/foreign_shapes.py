"""Recognize what other libraries ask of a tensor's shape, and their reductions along axes.

In: a node of Python's parser. Out: the value that is asked or reduced, and what the language has for it; None if that
is nothing. Must not know where the node was written; translate.py makes the text of a remedy.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from thetac.codegen.frontend import foreign

OF_AXIS = ("dim", "axis")  # keywords
OF_ORDER = ("p", "ord")
_NUMBERS = {
    **dict.fromkeys(("numel", "nelement"), "size"),
    **dict.fromkeys(("dim", "ndim", "ndimension"), "rank"),
}
_OF_LIBRARIES = {**_NUMBERS, "size": "size"}  # in NumPy, `size` counts
_EXTENTS: Mapping[int | None, str] = {
    -1: "columns",
    -2: "rows",
    0: "rows",
    1: "columns",
}  # by axis; from the front, those of a matrix
_AXES: Mapping[int | None, int] = {-1: -1, -2: -2, 0: -2, 1: -1}
_REDUCTIONS = {
    **{name: name for name in ("sum", "mean", "norm", "max", "min")},
    "amax": "max",
    "amin": "min",
    "average": "mean",
    "vector_norm": "norm",
}
_NORMS = ("norm", "vector_norm")
_BY_POSITION = {**dict.fromkeys(("sum", "mean", "amax", "amin"), 1), **dict.fromkeys(_NORMS, 2)}  # where the axis is
_IGNORED = ("keepdim", "keepdims", *foreign.IGNORED_KEYWORDS)


@dataclass(frozen=True, slots=True)
class Reduction:
    """A reduction of another library."""

    name: str  # in the language
    operand: ast.expr
    axis: int | None  # as in the language; None: over everything
    order: ast.expr | None  # of a norm; None: the Euclidean one


def number_of_shape(node: ast.expr) -> tuple[ast.expr, str] | None:
    """Return the tensor whose shape or dtype is asked, and the function of `param` that answers; None if none does."""
    match node:
        case ast.Call(func=ast.Name(id="len"), args=[ast.Attribute(value=owner, attr="shape")], keywords=[]):
            return owner, "rank"
        case (
            ast.Call(func=ast.Attribute(attr="prod"), args=[ast.Attribute(value=owner, attr="shape")], keywords=[])
            | ast.Call(func=ast.Attribute(value=ast.Attribute(value=owner, attr="shape"), attr="numel"), args=[])
        ):
            return owner, "size"
        case ast.Call(func=ast.Name(id="len"), args=[owner], keywords=[]):
            return owner, "rows"
        case ast.Call(func=ast.Name(id=name), args=[owner], keywords=[]) if name in _NUMBERS:
            return owner, _NUMBERS[name]
        case ast.Call(func=ast.Attribute(value=ast.Name(id=library), attr=name), args=[owner], keywords=[]) if (
            library in foreign.LIBRARIES and name in _OF_LIBRARIES
        ):
            return owner, _OF_LIBRARIES[name]
        case ast.Call(func=ast.Attribute(value=owner, attr=name), args=[], keywords=[]) if name in _NUMBERS:
            return owner, _NUMBERS[name]
        case ast.Attribute(value=owner, attr="ndim"):
            return owner, "rank"
        case ast.Attribute(
            value=ast.Call(func=ast.Attribute(attr="finfo"), args=[ast.Attribute(value=owner, attr="dtype")]),
            attr="eps",
        ):
            return owner, "epsilon"
        case (
            ast.Subscript(value=ast.Attribute(value=owner, attr="shape"), slice=index)
            | ast.Subscript(value=ast.Call(func=ast.Attribute(value=owner, attr="size"), args=[]), slice=index)
            | ast.Call(func=ast.Attribute(value=owner, attr="size"), args=[index], keywords=[])
            | ast.Call(func=ast.Attribute(value=owner, attr="size"), args=[], keywords=[ast.keyword("dim", index)])
        ) if (extent := _EXTENTS.get(_whole(index))) is not None:
            return owner, extent
        case _:
            return None


def reduction(name: str, given: list[ast.expr], keywords: list[ast.keyword]) -> Reduction | None:
    """Return a call as a reduction; None if it is none, or along axes for which the language has nothing.

    Args:
        name: Of the function or method.
        given: Its positional arguments, a method's own value first.
        keywords: The other ones.
    """
    named = {one.arg: one.value for one in keywords if one.arg is not None and one.arg not in _IGNORED}
    operands = [*given[:1], *(named.pop(key) for key in ("input", "x", "a") if key in named)]
    axes = [*given[_BY_POSITION.get(name, 1) :], *(named.pop(key) for key in OF_AXIS if key in named)]
    orders = [*given[1:2], *(named.pop(key) for key in OF_ORDER if key in named)] if name in _NORMS else []
    if name not in _REDUCTIONS or len(operands) != 1 or len(axes) > 1 or len(orders) > 1 or named:
        return None
    if len(given) > 1 and name not in _BY_POSITION:
        return None  # the second one of `max(a, b)` is no axis
    axis = None
    for one in axes:
        if isinstance(one, ast.Constant) and one.value is None:
            continue
        if (axis := _AXES.get(_whole(one))) is None:
            return None
    unusual = [one for one in orders if not isinstance(one, ast.Constant) or one.value not in (2, "fro", None)]
    return Reduction(_REDUCTIONS[name], operands[0], axis, unusual[0] if unusual else None)


def is_reduction(name: str) -> bool:
    """Return whether a function of this name is a reduction, in some library."""
    return foreign.plain_name(name) in _REDUCTIONS


def _whole(node: ast.expr) -> int | None:
    """Return a whole number that is written out; None for anything else."""
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int(value)):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))):
            return -value
        case _:
            return None
