"""Flags that nobody can set, put in: what a reader has no choice about is not shown as a choice.

In: a Rule, before features. Out: the Rule without its fixed flags. For documentation only: implementations keep them,
because they live in parameter groups and checkpoints.
"""

from __future__ import annotations

from dataclasses import replace

from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, If, Ref, Rule, Stmt


def decide_fixed_flags(rule: Rule) -> Rule:
    """The rule with the flags that nobody can set decided."""
    values = {flag.name: flag.default for flag in rule.flags if flag.fixed}
    if not values:
        return rule
    decay = tuple((_decided(c, values) if c is not None else None, style) for c, style in rule.decay)
    return replace(
        rule,
        flags=tuple(flag for flag in rule.flags if not flag.fixed),
        decay=tuple((None if c == Const(True) else c, style) for c, style in decay if c != Const(False)),
        body=_decide(rule.body, values),
    )


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
