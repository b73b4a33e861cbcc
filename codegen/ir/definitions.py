"""Composed operations: what the definition of a row in `ir/ops.py` says, as an expression.

In: a row with `defined`, or a Call of it. Out: an Expr of other operations, or a function that computes it. The syntax
of operators is Python's, as everywhere in the language; the front end reads specs with the same tables.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import cache
from typing import TypeVar, assert_never

from thetac.codegen.ir.nodes import Call, Const, Expr, Ref
from thetac.codegen.ir.ops import FUNCTIONS, OPS, Op, Shape
from thetac.codegen.ir.reductions import along, is_reduction, split_axis

Value = TypeVar("Value")

BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.Mod: "mod",
    ast.Pow: "pow",
}
COMPARE: dict[type[ast.cmpop], str] = {
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Eq: "eq",
    ast.NotEq: "ne",
}


def expanded(call: Call) -> Expr:
    """Return the definition of a composed operation with the arguments of the call in it."""
    op = OPS[call.op]
    operands, axis = split_axis(call) if op.shape is Shape.REDUCTION else (call.args, None)
    return _filled(_definition(op.name), dict(zip(op.parameters, operands, strict=True)), call, axis)


def composed(op: Op, operations: Mapping[str, Callable[..., Value]]) -> Callable[..., Value]:
    """Return a function that computes a composed operation.

    Args:
        op: the operation.
        operations: how to compute those that its definition names; looked up when the function is called.
    """

    def compute(*arguments: Value) -> Value:
        """Compute the operation by its definition."""
        return _computed(_definition(op.name), dict(zip(op.parameters, arguments, strict=True)), operations)

    return compute


@cache
def _definition(name: str) -> Expr:
    """Return the definition of an operation over the names of its arguments."""
    return _read(ast.parse(OPS[name].defined, mode="eval").body)


def _read(node: ast.expr) -> Expr:
    match node:
        case ast.Constant(value=bool() | int() | float() as value):
            return Const(value)
        case ast.Name(id=name):
            return Ref(name)
        case ast.BinOp(left=left, op=operator, right=right):
            return Call(BINARY[type(operator)], (_read(left), _read(right)))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return Call("neg", (_read(operand),))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return Call("not", (_read(operand),))
        case ast.BoolOp(op=operator, values=[left, right]):
            return Call("and" if isinstance(operator, ast.And) else "or", (_read(left), _read(right)))
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            return Call(COMPARE[type(operator)], (_read(left), _read(right)))
        case ast.Call(func=ast.Name(id=name), args=args) if name in FUNCTIONS:
            return Call(name, tuple(map(_read, args)))
        case _:
            raise AssertionError(f"a definition has {ast.unparse(node)}, which is no part of the language")


def _filled(definition: Expr, arguments: Mapping[str, Expr], call: Call, axis: int | None) -> Expr:
    """Return a definition with the arguments of a call in it; its reductions are along the axis of the call."""
    match definition:
        case Ref(name=name):
            return arguments[name]
        case Const(value=value):
            return Const(value, call.location)
        case Call(op=op, args=args):
            filled = Call(op, tuple(_filled(argument, arguments, call, axis) for argument in args), call.location)
            return along(filled, axis) if is_reduction(filled) else filled
        case _:
            assert_never(definition)


def _computed(
    definition: Expr, arguments: Mapping[str, Value], operations: Mapping[str, Callable[..., Value]]
) -> Value:
    match definition:
        case Ref(name=name):
            return arguments[name]
        case Const(value=value):
            return value if isinstance(value, bool) else float(value)  # type: ignore[return-value]  # a number of any kind
        case Call(op=op, args=args):
            return operations[op](*(_computed(argument, arguments, operations) for argument in args))
        case _:
            assert_never(definition)
