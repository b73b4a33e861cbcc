"""Reductions in the IR: a call has the axis as a constant behind its operands, or is over all of the parameter.

In: a Call of a reduction. Out: its parts, or the Call of parts. Must not know what reductions mean (`ir/ops.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, Stmt, walk_expression, walk_statements
from thetac.codegen.ir.ops import OPS, Shape

AXES = (-1, -2)  # as authors write them: the last axis of a parameter, and the last but one
# The same where a rule sees a parameter as a matrix: all axes but the first are its columns, the first one its rows.
AXES_OF_MATRIX = {-1: 1, -2: 0}  # either sort indexes the dimensions of a value kind
ALL_AXES = (*AXES, *AXES_OF_MATRIX.values())
OF_PAIRS = ("sum", "norm", "dot")  # of the pairs of complex numbers, too: neither a count nor an order is in them


def is_reduction(expression: Expr) -> bool:
    """Return whether an expression is a reduction: its operands are many numbers where it is one."""
    return isinstance(expression, Call) and OPS[expression.op].shape is Shape.REDUCTION


def stands_alone(expression: Expr) -> bool:
    """Return whether an expression is not computed number by number: a reduction, or a mean of blocks."""
    return is_reduction(expression) or is_of_blocks(expression)


def is_of_blocks(expression: Expr) -> bool:
    """Return whether an expression is a mean of blocks: one number per row gives one per row."""
    return isinstance(expression, Call) and OPS[expression.op].shape is Shape.BLOCKS


def blocks_in(body: tuple[Stmt, ...]) -> Iterator[Call]:
    """Yield the means of blocks in statements, branches included."""
    for one in walk_statements(body):
        for part in walk_expression(one.value) if isinstance(one, Assign) else ():
            if isinstance(part, Call) and is_of_blocks(part):
                yield part


def split_axis(call: Call) -> tuple[tuple[Expr, ...], int | None]:
    """Return the operands of a reduction and its axis, one of `ALL_AXES`; None if it is over all of the parameter."""
    arity = OPS[call.op].arity
    match call.args[arity:]:
        case ():
            return call.args, None
        case (Const(value=int() as axis),) if axis in ALL_AXES:
            return call.args[:arity], int(axis)
        case _:
            raise AssertionError(f"{call.op} along {call.args[arity:]}")


def along(call: Call, axis: int | None) -> Call:
    """Return a reduction over all of the parameter as one along an axis; the same one if the axis is None."""
    return call if axis is None else Call(call.op, (*call.args, Const(axis, call.location)), call.location)


def is_of_matrix(axis: int) -> bool:
    """Return whether an axis is one of a parameter that is seen as a matrix."""
    return axis >= 0


def written_axis(axis: int) -> int:
    """Return the axis as authors write it."""
    return axis - 2 if is_of_matrix(axis) else axis


def reductions_in(expression: Expr) -> Iterator[Call]:
    """Yield the reductions in an expression, outermost first, left to right."""
    return (part for part in walk_expression(expression) if isinstance(part, Call) and is_reduction(part))


def has_reductions(body: tuple[Stmt, ...]) -> bool:
    """Return whether some statement, branches included, has a reduction. Conditions never have one."""
    return any(any(reductions_in(one.value)) for one in walk_statements(body) if isinstance(one, Assign))


def axes_in(body: tuple[Stmt, ...]) -> frozenset[int]:
    """Return the axes along which statements reduce, branches included."""
    assigned = (one.value for one in walk_statements(body) if isinstance(one, Assign))
    found = (split_axis(call)[1] for value in assigned for call in reductions_in(value))
    return frozenset(axis for axis in found if axis is not None)


def refuses_pairs(body: tuple[Stmt, ...]) -> Iterator[Call]:
    """Yield the reductions that have no meaning where each number is a pair of real ones: a mean, an order, an axis."""
    assigned = (one.value for one in walk_statements(body) if isinstance(one, Assign))
    reductions = (call for value in assigned for call in reductions_in(value))
    return (call for call in reductions if call.op not in OF_PAIRS or split_axis(call)[1] is not None)
