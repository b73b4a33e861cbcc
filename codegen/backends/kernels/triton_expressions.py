"""Write expressions and statements of sweeps and tensor programs in Triton.

In: statements of a `Fused` and what is known of its names. Out: lines of a kernel in which `math` is the dtype of the
arithmetic. Must not know kernels: which values they load, and where from.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import assert_never

from thetac.codegen.backends.eager.lines import comment_lines, else_lines, indent
from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt
from thetac.codegen.ir.nodes import Call, Const, Expr, Ref
from thetac.codegen.ir.ops import ELEMENT_FUNCTIONS
from thetac.codegen.ir.printer import OPERATORS, Precedence, Row, Table, expression_text, function, functions
from thetac.codegen.passes.naming import safe

INDENT = "    "

# Elements. A function of the language is the one of that name in runtime/triton_ops.py (`ops`), which says why the
# plain operation is not enough. The exceptions are operators, and functions of Triton's that are exact already.
TRITON: Table = {
    **{op: OPERATORS[op] for op in ("add", "sub", "mul", "gt", "ge", "lt", "le", "eq", "ne")},
    **functions("ops.", ELEMENT_FUNCTIONS),
    "div": function("ops.divide", 2),
    "pow": function("ops.power", 2),
    "neg": function("ops.negative", 1),
    "abs": function("tl.abs", 1),
    "where": function("tl.where", 3),
    "and": Row("{0} & {1}", Precedence.COMPARISON, (Precedence.SUM, Precedence.SUM)),
    "or": Row("{0} | {1}", Precedence.COMPARISON, (Precedence.SUM, Precedence.SUM)),
    "not": Row("{0} == 0", Precedence.COMPARISON, (Precedence.SUM,)),
    "number": Row(
        "tl.full((), {0}, math)", Precedence.ATOM, (Precedence.CONDITIONAL,)
    ),  # a constant, as `lower` returns it
}
_TAKE_LITERALS = ("where", "maximum", "minimum", "clamp")


def condition_text(condition: Expr) -> str:
    """Return a condition on specialisations, which are Python's truth values when a kernel is compiled."""
    return expression_text(condition, OPERATORS)


def block(body: Sequence[ElementStmt], truths: frozenset[str]) -> list[str]:
    """Return the lines of statements.

    Args:
        body: the statements.
        truths: the entries of the row that are truth values, which are 1 or 0 there.
    """
    lines: list[str] = []
    for statement in body:
        match statement:
            case ElementAssign(target=target, value=value):
                line = f"{safe(target)} = {text(value, truths)}"
                lines += [*comment_lines(statement.source, [line]), line]
            case ElementIf(condition=condition, static=static, then=then, orelse=orelse):
                when = condition_text(condition) if static else text(condition, truths)
                if then:
                    lines += [f"if {when}:", *indent(block(then, truths))]
                    lines += else_lines(block(orelse, truths)) if orelse else []
                else:
                    lines += [f"if not ({when}):", *indent(block(orelse, truths))]
            case _:
                assert_never(statement)
    return lines


def text(expression: Expr, truths: frozenset[str]) -> str:
    """Return an expression as text; `truths` as for `block`."""
    return expression_text(_lower(expression, truths), TRITON, safe)


def typed_text(expression: Expr, truths: frozenset[str]) -> str:
    """Return an expression as text; a constant has the dtype of the arithmetic, where `text` leaves it bare."""
    if isinstance(expression, Const) and not isinstance(expression.value, bool):
        return expression_text(_number(expression, bare=False), TRITON, safe)
    return text(expression, truths)


def conditional_lines(lines: Sequence[tuple[str, Expr]]) -> list[str]:
    """Return lines, each where its condition on specialisations holds, those under one condition together."""
    found: list[str] = []
    last: Expr = Const(True)
    for line, condition in lines:
        if condition == Const(False):
            continue
        if condition == Const(True):
            found.append(line)
        else:
            if condition != last:
                found.append(f"if {condition_text(condition)}:")
            found.append(INDENT + line)
        last = condition
    return found


def _lower(expression: Expr, truths: frozenset[str]) -> Expr:
    """Return the expression in operations of the table; constants have the dtype of the arithmetic."""
    match expression:
        case Const():
            return expression
        case Ref(name=name):
            return Call("ne", (expression, Const(0))) if name in truths else expression
        case Call(op=op, args=args):
            lowered = tuple(_lower(argument, truths) for argument in args)
            return Call(
                op, lowered if op in OPERATORS and op not in ("div", "neg", "pow") else _type_constants(op, lowered)
            )
        case _:
            assert_never(expression)


def _type_constants(op: str, args: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """Return the arguments of a function with constants that have the dtype of the arithmetic.

    A bare constant would be float32.
    """
    bare = op in _TAKE_LITERALS and not all(isinstance(argument, Const) for argument in args[-2:])
    return tuple(_number(a, bare=bare) if isinstance(a, Const) and not isinstance(a.value, bool) else a for a in args)


def _number(constant: Const, *, bare: bool) -> Expr:
    """Return a constant with the dtype of the arithmetic, or bare where that is allowed and exact."""
    value = float(constant.value)
    exact = abs(value) < 2**128 and struct.unpack("f", struct.pack("f", value)) == (value,)
    return Const(value) if bare and exact else Call("number", (Const(value),))
