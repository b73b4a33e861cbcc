"""Check that computations on complex numbers mean something.

They are linear in their elements: everything under `complex: native`, and the updates of `param` under
`complex: pairs_except_param`. Reductions are sums of squares or products, unless there are no complex numbers: a sum of
elements would add real to imaginary parts.
In: a checked Rule. Out: a diagnostic for each product, quotient or function of elements that is not linear, for each
expression in which a complex `param` would meet pairs of numbers, and for a reduction that is not one of pairs.
"""

from __future__ import annotations

from thetac.codegen.errors import Diagnostics
from thetac.codegen.ir.nodes import Assign, Call, Expr, Ref, Rule, walk_expression, walk_statements
from thetac.codegen.ir.ops import OPS
from thetac.codegen.ir.reductions import reductions_in, refuses_pairs, split_axis
from thetac.codegen.passes.analysis.kinds import Kinds, infer, is_on_host
from thetac.codegen.passes.analysis.parity import Parities, Parity, parities, parity_of, product

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
    assigned = (one.value for one in walk_statements(rule.body) if isinstance(one, Assign))
    calls = [call for value in assigned for call in reductions_in(value)]
    known = parities(rule) if calls else {}
    for call in calls:
        if _adds_parts(call, known):
            cause = f"`{call.op}` adds real to imaginary parts of complex parameters"
            diagnostics.add(call.location, cause, "say `complex: unsupported`, or add up squares or products of two")
            return


def _adds_parts(call: Call, known: Parities) -> bool:
    """Return whether a reduction over everything adds up values that change sign with their elements."""
    match call:
        case Call(op="sum", args=(operand,)):
            return parity_of(operand, known) is Parity.ODD
        case Call(op="dot", args=(left, right)):
            return product(parity_of(left, known), parity_of(right, known)) is Parity.ODD
        case _:
            return False


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
