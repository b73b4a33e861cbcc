"""Give totals names: afterwards each stands alone on the right side of an assignment, over a name.

In: a Rule after passes/features.py. Out: the Rule in which `d = beta * d + total(dot(grad, s))` is three statements.
The operand is a number of each parameter; the total is a number of the host, which is known once every parameter has
come so far. Totals are in no branch (passes/check/totals.py). Must not know targets.
"""

from __future__ import annotations

from dataclasses import replace

from thetac.codegen.ir.nodes import Assign, Call, Expr, Ref, Rule, Stmt
from thetac.codegen.ir.totals import is_total, totals_in
from thetac.codegen.passes.analysis.kinds import infer
from thetac.codegen.passes.lift import LIFTED
from thetac.codegen.passes.naming import entry_name, unique


def name_totals(rule: Rule) -> Rule:
    """Return the rule with every total alone on a right side, over a name."""
    taken = set(infer(rule))

    def named(part: Expr, role: str, before: list[Stmt]) -> Ref:
        """Return the name of a part, which is assigned before the statement."""
        name = unique([entry_name(part, role, taken)], taken)
        taken.add(name)
        before.append(Assign(name, part, location=part.location, origin=LIFTED))
        return Ref(name, part.location)

    def simple(call: Call, role: str, before: list[Stmt]) -> Call:
        """Return a total over a name."""
        operand = without_totals(call.args[0], role, before)
        if not isinstance(operand, Ref):
            operand = named(operand, f"{role}_term", before)
        return replace(call, args=(operand,))

    def without_totals(part: Expr, role: str, before: list[Stmt]) -> Expr:
        """Return an expression with names in place of totals."""
        if not isinstance(part, Call):
            return part
        if is_total(part):
            return named(simple(part, role, before), f"{role}_total", before)
        return replace(part, args=tuple(without_totals(argument, role, before) for argument in part.args))

    body: list[Stmt] = []
    for statement in rule.body:
        if isinstance(statement, Assign) and any(totals_in(statement.value)):
            value = statement.value
            if isinstance(value, Call) and is_total(value) and rule.state(statement.target) is None:
                value = simple(value, statement.target, body)
            else:
                value = without_totals(value, statement.target, body)
            statement = replace(statement, value=value)
        body.append(statement)
    return replace(rule, body=tuple(body))
