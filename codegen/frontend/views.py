"""Read texts of a spec that sees a parameter as a matrix, with one row for each index of the parameter's first axis.

In: expressions and statements as they are parsed, whose axes and numbers of rows and columns are those of the last two
axes. Out: the same with those of the matrix. Must not know where the texts stand in a spec.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import assert_never

from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, Hyperparameter, If, Ref, Stmt
from thetac.codegen.ir.reductions import AXES_OF_MATRIX, along, is_reduction, split_axis
from thetac.shape_numbers import OF_MATRIX


class View(Enum):
    """What rows and columns of a parameter are in the texts of a spec."""

    LAST_AXES = "last_axes"  # its last two axes; those before them count matrices
    MATRIX = "matrix"  # all of it is one matrix: its first axis, and all others together

    def expression(self, expression: Expr) -> Expr:
        """Return an expression whose axes and numbers are those of the view."""
        return _as_matrix(expression) if self is View.MATRIX else expression

    def body(self, body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
        """Return statements whose axes and numbers are those of the view."""
        return tuple(map(_statement, body)) if self is View.MATRIX else body

    def hyperparameter(self, given: Hyperparameter) -> Hyperparameter:
        """Return a hyperparameter whose None stands for what it is in the view."""
        return replace(given, none=tuple(None if none is None else self.expression(none) for none in given.none))


def _statement(statement: Stmt) -> Stmt:
    match statement:
        case Assign(value=value):
            return replace(statement, value=_as_matrix(value))
        case If(condition=condition, then=then, orelse=orelse):
            sides = [tuple(map(_statement, side)) for side in (then, orelse)]
            return replace(statement, condition=_as_matrix(condition), then=sides[0], orelse=sides[1])
        case _:
            assert_never(statement)


def _as_matrix(expression: Expr) -> Expr:
    match expression:
        case Call(op=op, args=(Ref(name="param"),), location=here) if op in OF_MATRIX:
            return Call(OF_MATRIX[op], expression.args, here)
        case Call(op=op, location=here) if is_reduction(expression):
            operands, axis = split_axis(expression)
            seen = Call(op, tuple(map(_as_matrix, operands)), here)
            return along(seen, None if axis is None else AXES_OF_MATRIX[axis])
        case Call(op=op, args=args, location=here):
            return Call(op, tuple(map(_as_matrix, args)), here)
        case Const() | Ref():
            return expression
        case _:
            assert_never(expression)
