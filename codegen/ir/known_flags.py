"""Replace flags by values that are known, and leave out what only their other value would reach.

In: parts of a Rule, and the values. Out: the same parts without these flags. Must not know why a value is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from thetac.codegen.ir.nodes import Assign, Call, Const, DecayStyle, Expr, If, Ref, Requirement, State, Stmt

Values = Mapping[str, bool]  # of flags
DecayCases = tuple[tuple[Expr | None, DecayStyle], ...]

_FALSE, _TRUE = Const(False), Const(True)


def decide_states(states: tuple[State, ...], values: Values) -> tuple[State, ...]:
    """Return the states that can exist."""
    left: list[State] = []
    for state in states:
        init = decide_expression(state.init, values)
        when = _TRUE if state.when is None else decide_expression(state.when, values)
        if when != _FALSE:
            left.append(replace(state, init=init, when=None if when == _TRUE else when))
    return tuple(left)


def decide_requirements(requirements: tuple[Requirement, ...], values: Values) -> tuple[Requirement, ...]:
    """Return the requirements that do not always hold."""
    decided = (replace(one, condition=decide_expression(one.condition, values)) for one in requirements)
    return tuple(one for one in decided if one.condition != _TRUE)


def decide_cases(cases: DecayCases, values: Values) -> DecayCases:
    """Return the cases that are left, up to the first one that always holds."""
    left: list[tuple[Expr | None, DecayStyle]] = []
    for condition, style in cases:
        decided = _TRUE if condition is None else decide_expression(condition, values)
        if decided == _TRUE:
            return (*left, (None, style))
        if decided != _FALSE:
            left.append((decided, style))
    return tuple(left)


def decide(statements: tuple[Stmt, ...], values: Values) -> tuple[Stmt, ...]:
    """Return the statements that can be reached."""
    decided: list[Stmt] = []
    for statement in statements:
        match statement:
            case If(condition=condition, then=then, orelse=orelse):
                condition = decide_expression(condition, values)
                then, orelse = decide(then, values), decide(orelse, values)
                if isinstance(condition, Const):
                    decided += then if condition.value else orelse
                else:
                    decided.append(replace(statement, condition=condition, then=then, orelse=orelse))
            case Assign(value=value):
                decided.append(replace(statement, value=decide_expression(value, values)))
            case _:
                assert_never(statement)
    return tuple(decided)


def decide_expression(expression: Expr, values: Values) -> Expr:
    """Return an expression with the values of known flags, simplified."""
    match expression:
        case Ref(name=name, location=here):
            return Const(values[name], here) if name in values else expression
        case Call(args=args):
            return _simplify(replace(expression, args=tuple(decide_expression(argument, values) for argument in args)))
        case Const():
            return expression
        case _:
            assert_never(expression)


def _simplify(call: Call) -> Expr:
    """Return a call, simplified by those arguments that are known truth values."""
    match call:
        case Call(op="not", args=(Const(value=bool() as inner),), location=here):
            return Const(not inner, here)
        case Call(op="and" | "or" as op, args=(left, right), location=here):
            neutral = Const(op == "and")
            if Const(op == "or") in (left, right):
                return Const(op == "or", here)
            return right if left == neutral else left if right == neutral else call
        case Call(op="where", args=(Const(value=bool() as holds), chosen, other)):
            return chosen if holds else other
        case Call(op="eq" | "ne" as op, args=(left, right), location=here):
            for one, other in ((left, right), (right, left)):
                if isinstance(one, Const) and isinstance(one.value, bool):
                    return other if one.value == (op == "eq") else _simplify(Call("not", (other,), here))
            return call
        case _:
            return call
