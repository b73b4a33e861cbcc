"""Check that computations on complex numbers mean something.

They are linear in their elements: everything under `complex: native`, and the updates of `param` under
`complex: pairs_except_param`. Reductions are sums of squares or products, unless there are no complex numbers.
In: a checked Rule. Out: a diagnostic for each product, quotient or function of elements that is not linear, for each
expression in which a complex `param` would meet pairs of numbers, and for a reduction that pairs do not have.
"""

from __future__ import annotations

from thetac.codegen.errors import Diagnostics
from thetac.codegen.ir.nodes import Assign, Call, Expr, Ref, Rule, walk_expression, walk_statements
from thetac.codegen.ir.ops import OPS
from thetac.codegen.ir.reductions import refuses_pairs, split_axis
from thetac.codegen.passes.analysis.kinds import Kinds, infer, is_on_host

_REMEDY = "`complex: pairs` computes with real and imaginary parts"


def check_linear(rule: Rule, diagnostics: Diagnostics) -> None:
    """Note an error for each expression that is not linear in param, grad and states."""
    kinds = infer(rule)
    for statement in walk_statements(rule.body):
        if isinstance(statement, Assign):
            _check(statement.value, kinds, "`complex: native` needs a rule", diagnostics)


def check_complex_param(rule: Rule, diagnostics: Diagnostics) -> None:
    """Note an error for each use of a complex `param` that pairs of all other tensors do not allow."""
    kinds = infer(rule)
    for statement in walk_statements(rule.body):
        if isinstance(statement, Assign) and statement.target == "param":
            _check(statement.value, kinds, "`complex: pairs_except_param` needs an update of `param`", diagnostics)
        elif isinstance(statement, Assign):
            _check_without_param(statement.value, diagnostics)
    for state in rule.states:
        _check_without_param(state.init, diagnostics)


def check_reductions_of_complex(rule: Rule, diagnostics: Diagnostics) -> None:
    """Note an error for the first reduction of an update that has no meaning of complex parameters."""
    for call in refuses_pairs(rule.body):
        what = f"`{call.op}`" if split_axis(call)[1] is None else f"`{call.op}` along an axis"
        diagnostics.add(call.location, f"{what} has no meaning of complex parameters", "say `complex: unsupported`")
        return


def _check_without_param(expression: Expr, diagnostics: Diagnostics) -> None:
    for part in walk_expression(expression):
        if isinstance(part, Ref) and part.name == "param":
            cause = "`complex: pairs_except_param` has `param` in the assignments to `param` only"
            diagnostics.add(part.location, cause, _REMEDY)


def _check(expression: Expr, kinds: Kinds, what: str, diagnostics: Diagnostics) -> None:
    if not isinstance(expression, Call):
        return
    if not _is_linear(expression, kinds):
        diagnostics.add(expression.location, f"{what} that is linear in its elements", _REMEDY)
        return
    for argument in expression.args:
        _check(argument, kinds, what, diagnostics)


def _is_linear(call: Call, kinds: Kinds) -> bool:
    if call.op in ("first", "is_tensor") or is_on_host(call, kinds):
        return True
    elements = [not is_on_host(argument, kinds) for argument in call.args]
    match call.op:
        case "mul":
            return elements.count(True) == 1
        case "div" | "lerp":
            return not elements[-1]  # the divisor or the weight
        case "where":
            return not elements[0]  # a choice between numbers of the host
        case op:
            return OPS[op].linear
