"""Remove branches that the branches around them rule out.

In: a Rule after passes/lift.py. Out: the Rule with the same meaning, in which what a group fixes is asked once on every
path: of `if flag: if not flag: ...` nothing is left. Otherwise kernels would assign states that no pass ever stores.
Must not know targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, If, Ref, Rule, Stmt
from thetac.codegen.ir.printer import expression_text
from thetac.codegen.passes.analysis import boolean_algebra
from thetac.codegen.passes.analysis.boolean_algebra import ALWAYS, NEVER, Condition
from thetac.codegen.passes.analysis.kinds import is_static


def reachable(rule: Rule) -> Rule:
    """Return the rule without branches that no values of a group can reach."""
    return replace(rule, body=_reached(rule.body, ALWAYS, rule))


def _reached(body: Sequence[Stmt], known: Condition, rule: Rule) -> tuple[Stmt, ...]:
    """Return what is left of statements that are reached where a condition holds."""
    kept: list[Stmt] = []
    for statement in body:
        match statement:
            case Assign():
                kept.append(statement)
            case If(condition=condition, then=then, orelse=orelse):
                holds = boolean_algebra.condition(_of_names(condition)) if is_static(condition, rule) else None
                sides = [known, known]
                if holds is not None:
                    sides = [boolean_algebra.both(known, one) for one in (holds, boolean_algebra.negation(holds))]
                if NEVER in sides:
                    kept += _reached(orelse if sides[0] == NEVER else then, known, rule)
                    continue
                then, orelse = _reached(then, sides[0], rule), _reached(orelse, sides[1], rule)
                if then or orelse:
                    kept.append(replace(statement, then=then, orelse=orelse))
            case _:
                assert_never(statement)
    return tuple(kept)


def _of_names(condition: Expr) -> Expr:
    """Return a condition with a name in place of each part that is no `and`, `or` or `not`."""
    match condition:
        case Call(op="and" | "or" | "not" as op, args=args):
            return Call(op, tuple(map(_of_names, args)))
        case Const():
            return condition
        case Ref() | Call():
            return Ref(expression_text(condition))
        case _:
            assert_never(condition)
