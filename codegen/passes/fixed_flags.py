"""Flags that nobody can set, put in: what a reader has no choice about is not shown as a choice.

In: a Rule, before features. Out: the Rule without its fixed flags. For documentation only: implementations keep them,
because they live in parameter groups and checkpoints.
"""

from __future__ import annotations

from dataclasses import replace

from thetac.codegen.ir.nodes import Assign, Call, Const, DecayStyle, Expr, If, Ref, Rule, Stmt

DecayCases = tuple[tuple[Expr | None, DecayStyle], ...]


def decide_fixed_flags(rule: Rule) -> Rule:
    """The rule with the flags that nobody can set decided."""
    values = {flag.name: flag.default for flag in rule.flags if flag.fixed}
    if not values:
        return rule
    return replace(
        rule,
        flags=tuple(flag for flag in rule.flags if not flag.fixed),
        decay=_decide_cases(rule.decay, values),
        body=_decide(rule.body, values),
    )


def _decide_cases(cases: DecayCases, values: dict[str, bool]) -> DecayCases:
    """The cases that are left, up to the first one that always holds."""
    left: list[tuple[Expr | None, DecayStyle]] = []
    for condition, style in cases:
        decided = Const(True) if condition is None else _decided(condition, values)
        if decided == Const(True):
            return (*left, (None, style))
        if decided != Const(False):
            left.append((decided, style))
    return tuple(left)


def _decide(statements: tuple[Stmt, ...], values: dict[str, bool]) -> tuple[Stmt, ...]:
    decided: list[Stmt] = []
    for statement in statements:
        match statement:
            case If(condition=condition, then=then, orelse=orelse):
                condition = _decided(condition, values)
                then, orelse = _decide(then, values), _decide(orelse, values)
                if isinstance(condition, Const):
                    decided += then if condition.value else orelse
                else:
                    decided.append(replace(statement, condition=condition, then=then, orelse=orelse))
            case Assign():
                decided.append(statement)
    return tuple(decided)


def _decided(condition: Expr, values: dict[str, bool]) -> Expr:
    """A condition with known flags put in and what follows from them."""
    match condition:
        case Ref(name=name) if name in values:
            return Const(values[name])
        case Call(op="not", args=(inner,)):
            inner = _decided(inner, values)
            return Const(not inner.value) if isinstance(inner, Const) else Call("not", (inner,))
        case Call(op="and" | "or" as op, args=args):
            neutral = op == "and"
            left, right = (_decided(argument, values) for argument in args)
            if Const(not neutral) in (left, right):
                return Const(not neutral)
            if left == Const(neutral):
                return right
            return left if right == Const(neutral) else Call(op, (left, right))
        case _:
            return condition
