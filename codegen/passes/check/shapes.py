"""Check what a rule says of the shapes of parameters: vectors among its states, and requirements.

In: a Rule whose expressions are right by themselves. Out: a diagnostic for each state that some parameter has no shape
for, for each text that says something of a parameter where none is meant, and for what a group decides by a number of a
parameter. Must not know the update.
"""

from __future__ import annotations

import re

from thetac.codegen.errors import Diagnostics, join_names, quote
from thetac.codegen.ir.nodes import (
    Call,
    Expr,
    Ref,
    Requirement,
    Rule,
    SparseMode,
    State,
    StateKind,
    names_read,
    walk_expression,
)
from thetac.codegen.ir.ops import OPS, Shape
from thetac.codegen.ir.printer import expression_text
from thetac.codegen.ir.reductions import blocks_in
from thetac.codegen.ir.value_kinds import COLUMN_VECTOR
from thetac.codegen.passes.check.body import conjuncts, means_two_axes
from thetac.shape_numbers import PARAM_FACTS

# In the text of a requirement: of the parameters that break it.
PLACEHOLDERS = ("{shape}", "{index}", "{indices}", "{places}")


def check_shapes(rule: Rule, diagnostics: Diagnostics) -> None:
    """Note an error for states and requirements that do not fit the shapes that parameters may have."""
    for state in rule.states:
        if state.kind is StateKind.TENSOR and not state.is_like_param:
            _check_vector(rule, state, diagnostics)
    for call in blocks_in(rule.body):
        _check_blocks(rule, call, diagnostics)
    for requirement in rule.requirements:
        _check_text(requirement, diagnostics)
    _check_none(rule, diagnostics)


def reads_shape(condition: Expr) -> bool:
    """Return whether a condition asks something of the parameter."""
    calls = (e for e in walk_expression(condition) if isinstance(e, Call))
    return any(call.op in PARAM_FACTS or OPS[call.op].shape is Shape.OF_PARAM for call in calls)


def _check_vector(rule: Rule, state: State, diagnostics: Diagnostics) -> None:
    if rule.sparse_mode is not SparseMode.UNSUPPORTED:
        diagnostics.add(
            state.location,
            f"state `{state.name}` has one number per {'column' if state.dims == COLUMN_VECTOR else 'row'}, which "
            f"`sparse: {rule.sparse_mode.value}` cannot update",
            "delete `sparse`, or keep one number per element",
        )
    if state.dims != COLUMN_VECTOR:
        return
    known = [one.condition for one in rule.requirements]
    known += [] if state.when is None else [state.when]
    if not any(means_two_axes(part) for condition in known for part in conjuncts(condition)):
        diagnostics.add(
            state.location,
            f"state `{state.name}` has one number per column, but a parameter may have less than two axes",
            f"write `{state.name}: {{..., when: rank(param) > 1}}`, or require it",
        )


def _check_blocks(rule: Rule, call: Call, diagnostics: Diagnostics) -> None:
    """Note an error unless the number of blocks is a hyperparameter that is a whole number."""
    whole = [h.name for h in rule.hyperparameters if h.integer and not h.elements]
    if not isinstance(call.args[1], Ref) or call.args[1].name not in whole:
        remedy = "name a hyperparameter with `integer: true`"
        diagnostics.add(call.args[1].location, "the number of blocks may be no whole number", remedy)


def _check_none(rule: Rule, diagnostics: Diagnostics) -> None:
    """Note an error where all parameters of a group share what None stands for, and it is a number of each."""
    meanings = {n: m for h in rule.hyperparameters for n, m in zip(h.value_names, h.none, strict=False)}
    of_param = {name: none for name, none in meanings.items() if none is not None and reads_shape(none)}
    shared = [(f"the initial value of `{state.name}`", state.init) for state in rule.states]
    shared += [("a case of `weight_decay`", condition) for condition, _ in rule.decay if condition is not None]
    for what, expression in shared:
        for name in names_read(expression):
            if name in of_param:
                cause = f"{what} reads `{name}`, for which None is {quote(expression_text(of_param[name]))}"
                remedy = "it is the same for all parameters of a group: read what does not ask for the parameter"
                diagnostics.add(expression.location, cause, remedy)


def _check_text(requirement: Requirement, diagnostics: Diagnostics) -> None:
    braces = set(re.findall(r"\{\w*\}", requirement.message))
    if not reads_shape(requirement.condition):
        if braces & set(PLACEHOLDERS):
            remedy = "only a requirement that reads its shape, such as `rank(param) == 2`, is checked for parameters"
            diagnostics.add(requirement.location, "the text of this requirement names a parameter", remedy)
    elif unknown := braces - set(PLACEHOLDERS):
        cause = f"braces in the text of a requirement that stand for no value: `{min(unknown)}`"
        diagnostics.add(requirement.location, cause, f"{join_names(PLACEHOLDERS, 'and')} stand for the parameters")
