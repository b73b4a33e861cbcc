"""The printer of expressions: aware of precedence, and driven by a table of how each operation is written.

In: an Expr and a table. Out: text with no more parentheses than the order of evaluation needs. `SPEC` writes an
expression as a spec does; backends have tables of their own. Must not know any target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import assert_never

from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, Ref, compared
from thetac.codegen.ir.ops import CONSTANTS, FUNCTIONS, OPS, Op, Shape
from thetac.codegen.ir.reductions import ALL_AXES, is_reduction, split_axis, written_axis


class Precedence(IntEnum):
    """How tightly operators bind in Python, from the loosest."""

    CONDITIONAL = 0
    OR = 1
    AND = 2
    NOT = 3
    COMPARISON = 4
    SUM = 6
    PRODUCT = 7
    SIGN = 8
    POWER = 9
    ATOM = 10


@dataclass(frozen=True, slots=True)
class Row:
    """How one operation is written. A reduction along an axis has a row of its own: see `row_of`."""

    template: str  # with {0}, {1}, ... for its arguments
    precedence: Precedence  # of the whole
    needs: tuple[Precedence, ...]  # each argument is parenthesised if it binds looser


Table = Mapping[str, Row]
Name = Callable[[str], str]  # how a name of the spec is written


def function(name: str, arity: int) -> Row:
    """Return the row of a call, `name(a, b)`, whose arguments need no parentheses."""
    arguments = ", ".join(f"{{{i}}}" for i in range(arity))
    return Row(f"{name}({arguments})", Precedence.ATOM, (Precedence.CONDITIONAL,) * arity)


def functions(module: str, ops: Iterable[Op]) -> dict[str, Row]:
    """Return the rows of operations that a target has as functions of the same name.

    Args:
        module: the prefix of each name, such as `ops.`; empty where names are imported.
        ops: the operations.
    """
    return {op.name: function(f"{module}{op.name}", op.arity) for op in ops}


def row_along(op: Op, axis: int) -> str:
    """Return the key of the row of a reduction along an axis. Its template has no place for the axis."""
    return f"{op.name} along {axis}"


def row_of(call: Call, table: Table) -> Row:
    """Return how a call is written; raise KeyError if the table has no row for it."""
    if call.op not in OPS or not is_reduction(call):  # tables have rows beside those of operations of the language
        return table[call.op]
    _, axis = split_axis(call)
    return table[call.op if axis is None else row_along(OPS[call.op], axis)]


def _with_axis(op: Op, axis: int) -> Row:
    arguments = ", ".join(f"{{{i}}}" for i in range(op.arity))
    text = f"{op.name}({arguments}, axis={written_axis(axis)})"
    return Row(text, Precedence.ATOM, (Precedence.CONDITIONAL,) * op.arity)


def _binary(operator: str, precedence: Precedence, left: Precedence, right: Precedence) -> Row:
    return Row(f"{{0}} {operator} {{1}}", precedence, (left, right))


def _comparison(operator: str) -> Row:
    return _binary(operator, Precedence.COMPARISON, Precedence.SUM, Precedence.SUM)


OPERATORS: Table = {
    "add": _binary("+", Precedence.SUM, Precedence.SUM, Precedence.PRODUCT),
    "sub": _binary("-", Precedence.SUM, Precedence.SUM, Precedence.PRODUCT),
    "mul": _binary("*", Precedence.PRODUCT, Precedence.PRODUCT, Precedence.SIGN),
    "div": _binary("/", Precedence.PRODUCT, Precedence.PRODUCT, Precedence.SIGN),
    "mod": _binary("%", Precedence.PRODUCT, Precedence.PRODUCT, Precedence.SIGN),
    "pow": _binary("**", Precedence.POWER, Precedence.ATOM, Precedence.SIGN),
    "neg": Row("-{0}", Precedence.SIGN, (Precedence.SIGN,)),
    "gt": _comparison(">"),
    "ge": _comparison(">="),
    "lt": _comparison("<"),
    "le": _comparison("<="),
    "eq": _comparison("=="),
    "ne": _comparison("!="),
    "and": _binary("and", Precedence.AND, Precedence.AND, Precedence.AND),
    "or": _binary("or", Precedence.OR, Precedence.OR, Precedence.OR),
    "not": Row("not {0}", Precedence.NOT, (Precedence.NOT,)),
}

SPEC: Table = {
    **OPERATORS,
    **functions("", FUNCTIONS.values()),
    **{op.name: function(op.syntax.partition("(")[0], op.arity) for op in OPS.values() if op.shape is Shape.OF_PARAM},
    **{
        row_along(op, axis): _with_axis(op, axis)
        for op in FUNCTIONS.values()
        if op.shape is Shape.REDUCTION
        for axis in ALL_AXES
    },
    **{name: Row(name, Precedence.ATOM, ()) for name in CONSTANTS},
}
_CONSTANTS = {value: name for name, value in CONSTANTS.items()}


def expression_text(
    expression: Expr, table: Table = SPEC, name: Name = str, at_least: Precedence = Precedence.CONDITIONAL
) -> str:
    """Return an expression as text.

    Args:
        expression: what to print.
        table: how each operation is written; a constant that it names is written by that name.
        name: gives the text of a name of the spec.
        at_least: the text is put in parentheses if it binds looser.

    Raises:
        KeyError: the table has no row for an operation.
    """
    text, precedence = _expression(expression, table, name)
    return text if precedence >= at_least else f"({text})"


def _expression(expression: Expr, table: Table, name: Name) -> tuple[str, Precedence]:
    match expression:
        case Const(value=value) if _CONSTANTS.get(value) in table:
            return _CONSTANTS[value], Precedence.ATOM
        case Const(value=value):
            return number(value), Precedence.SIGN if value < 0 else Precedence.ATOM
        case Ref(name=ref):
            return name(ref), Precedence.ATOM if compared(ref) == ref else Precedence.COMPARISON
        case Call(op="not", args=(Ref(name=ref),)) if compared(ref) != ref:
            return name(ref).replace(" == ", " != ", 1), Precedence.COMPARISON
        case Call(args=args):
            row = row_of(expression, table)
            if expression.op in OPS and is_reduction(expression):
                args, _ = split_axis(expression)
            arguments = [expression_text(a, table, name, need) for a, need in zip(args, row.needs, strict=True)]
            return row.template.format(*arguments), row.precedence
        case _:
            assert_never(expression)


def number(value: float | int | bool) -> str:
    """Return a number as Python reads it back, infinities and NaN included."""
    text = repr(value)
    return f'float("{text}")' if text in ("inf", "-inf", "nan") else text


def assignment_text(statement: Assign) -> str:
    """Return an assignment as a spec would write it, without its comment."""
    return f"{statement.target} = {expression_text(statement.value)}"
