"""Check what a rule says of the shapes of parameters: vectors among its states, and requirements.

In: a Rule whose expressions are right by themselves. Out: a diagnostic for each state that some parameter has no shape
for, and for each text that says something of a parameter where none is meant. Must not know the update.
"""

from __future__ import annotations

import re

from thetac.codegen.errors import Diagnostics, join_names
from thetac.codegen.ir.nodes import Call, Const, Expr, Requirement, Rule, SparseMode, State, StateKind, walk_expression
from thetac.codegen.ir.ops import OPS, Shape
from thetac.codegen.ir.value_kinds import COLUMN_VECTOR
from thetac.codegen.passes.check.body import conjuncts, negation

PLACEHOLDERS = ("{shape}", "{index}", "{indices}")  # in the text of a requirement: of the parameters that break it

_MIRRORED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq"}


def check_shapes(rule: Rule, diagnostics: Diagnostics) -> None:
    """Note an error for states and requirements that do not fit the shapes that parameters may have."""
    for state in rule.states:
        if state.kind is StateKind.TENSOR and not state.is_like_param:
            _check_vector(rule, state, diagnostics)
    for requirement in rule.requirements:
        _check_text(requirement, diagnostics)


def reads_shape(condition: Expr) -> bool:
    """Return whether a condition asks for a number of the parameter."""
    return any(isinstance(e, Call) and OPS[e.op].shape is Shape.OF_PARAM for e in walk_expression(condition))


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
    if not any(_says_two_axes(part) for condition in known for part in conjuncts(condition)):
        diagnostics.add(
            state.location,
            f"state `{state.name}` has one number per column, but a parameter may have less than two axes",
            f"write `{state.name}: {{..., when: rank(param) > 1}}`, or require it",
        )


def _says_two_axes(condition: Expr) -> bool:
    """Return whether a parameter has two axes or more where a condition holds."""
    match condition:
        case Call(op="not", args=(inner,)) if (turned := negation(inner)) != condition:
            return _says_two_axes(turned)
        case Call(op=op, args=(Const() as number, right)) if op in _MIRRORED:
            return _says_two_axes(Call(_MIRRORED[op], (right, number)))
        case Call(op="gt", args=(Call(op="rank"), Const(value=number))):
            return number >= 1
        case Call(op="ge" | "eq", args=(Call(op="rank"), Const(value=number))):
            return number > 1
        case _:
            return False


def _check_text(requirement: Requirement, diagnostics: Diagnostics) -> None:
    braces = set(re.findall(r"\{\w*\}", requirement.message))
    if not reads_shape(requirement.condition):
        if braces & set(PLACEHOLDERS):
            remedy = "only a requirement that reads its shape, such as `rank(param) == 2`, is checked for parameters"
            diagnostics.add(requirement.location, "the text of this requirement names a parameter", remedy)
    elif unknown := braces - set(PLACEHOLDERS):
        cause = f"braces in the text of a requirement that stand for no value: `{min(unknown)}`"
        diagnostics.add(requirement.location, cause, f"{join_names(PLACEHOLDERS, 'and')} stand for the parameters")
