"""Whether a rule may run on complex numbers as they are (`complex: native`): only if it is linear in its elements.

In: a checked Rule. Out: a mistake for each product, quotient or function of elements that is not linear.
"""

from __future__ import annotations

from thetac.codegen.errors import Mistakes
from thetac.codegen.ir.nodes import Assign, Call, Expr, Rule, walk_statements
from thetac.codegen.ir.ops import OPS
from thetac.codegen.passes.kinds import Kinds, infer, on_host


def check_linear(rule: Rule, mistakes: Mistakes) -> None:
    """Notes what is not linear in param, grad and states."""
    kinds = infer(rule)
    for statement in walk_statements(rule.body):
        if isinstance(statement, Assign):
            _check(statement.value, kinds, mistakes)


def _check(expression: Expr, kinds: Kinds, mistakes: Mistakes) -> None:
    if not isinstance(expression, Call):
        return
    if not _linear(expression, kinds):
        remedy = "`complex: pairs` computes with real and imaginary parts"
        mistakes.add(expression.location, "`complex: native` needs a rule that is linear in its elements", remedy)
        return
    for argument in expression.args:
        _check(argument, kinds, mistakes)


def _linear(call: Call, kinds: Kinds) -> bool:
    if call.op in ("first", "is_tensor") or on_host(call, kinds):
        return True
    elements = [not on_host(argument, kinds) for argument in call.args]
    match call.op:
        case "mul":
            return elements.count(True) == 1
        case "div" | "lerp":
            return not elements[-1]  # the divisor or the weight
        case "where":
            return not elements[0]  # a choice between numbers of the host
        case op:
            return OPS[op].linear
