"""Give names in statements and expressions other names.

In: parts of a body, and the new names by the old ones. Out: the same parts. Must not know what a name stands for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, If, Ref, Stmt


def rename(body: tuple[Stmt, ...], names: Mapping[str, str]) -> tuple[Stmt, ...]:
    """Return statements in which each name of the mapping is its value."""
    return tuple(_statement(statement, names) for statement in body)


def rename_in(expression: Expr, names: Mapping[str, str]) -> Expr:
    """Return an expression in which each name of the mapping is its value."""
    match expression:
        case Ref(name=name, location=here):
            return Ref(names[name], here) if name in names else expression
        case Call(args=args):
            return replace(expression, args=tuple(rename_in(argument, names) for argument in args))
        case Const():
            return expression
        case _:
            assert_never(expression)


def _statement(statement: Stmt, names: Mapping[str, str]) -> Stmt:
    match statement:
        case Assign(target=target, value=value):
            return replace(statement, target=names.get(target, target), value=rename_in(value, names))
        case If(condition=condition, then=then, orelse=orelse):
            condition, then, orelse = rename_in(condition, names), rename(then, names), rename(orelse, names)
            return replace(statement, condition=condition, then=then, orelse=orelse)
        case _:
            assert_never(statement)
