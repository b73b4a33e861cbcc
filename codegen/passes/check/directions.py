"""Check what is special of rules whose pieces see all parameters as one vector, and of their histories.

In: a Rule whose statements are checked already. Out: diagnostics. Other checks know value kinds; this one knows what a
vector that stands for many parameters does not have, and what its driver needs.
"""

from __future__ import annotations

from collections.abc import Iterator

from thetac.codegen.errors import Diagnostics, Location, join_names, quote
from thetac.codegen.ir.nodes import (
    Assign,
    Call,
    Expr,
    Piece,
    Ref,
    Rule,
    State,
    StateKind,
    expression_of,
    names_of,
    walk_expression,
    walk_statements,
)
from thetac.codegen.ir.ops import OPS, Shape
from thetac.codegen.ir.reductions import is_reduction, split_axis
from thetac.drivers import DRIVERS, PIECES


def check_directions(rule: Rule, diagnostics: Diagnostics) -> None:
    """Note an error for what a flat piece cannot use, what its driver lacks, and histories that it does not see.

    Args:
        rule: The rule.
        diagnostics: Gets the errors.
    """
    histories = [state for state in rule.states if state.kind is StateKind.HISTORY]
    flat = [piece for piece in rule.pieces if PIECES[piece.name].is_flat]
    if not flat:
        for state in histories:
            cause = f"history {quote(state.name)} where no piece sees all parameters as one vector"
            diagnostics.add(state.location, cause, "keep `{init: zeros}`, or write a `direction`")
        return
    for state in histories[1:]:
        cause = f"a second history, beside {quote(histories[0].name)}"
        diagnostics.add(state.location, cause, "checkpoints have keys for one")
    for piece in flat:
        _check_names(rule, piece, diagnostics)
        _check_body(piece, diagnostics)
    for state in rule.states:
        _check_state(state, flat[0].name, diagnostics)
    if rule.driver:
        _check_rule(rule, diagnostics)


def _check_rule(rule: Rule, diagnostics: Diagnostics) -> None:
    """Note an error where the driver lacks a hyperparameter, or where something applies to an update."""
    declared = names_of(rule.hyperparameters, rule.choices)
    if missing := [name for name in DRIVERS[rule.driver].needs if name not in declared]:
        cause = f"`driver: {rule.driver}` reads {join_names(missing, 'and')}"
        diagnostics.add(rule.location, cause, "declare them, as `thetac language` shows")
    what = "weight decay" if rule.decay else f"feature `{rule.features[0].name}`" if rule.features else ""
    if what:
        diagnostics.add(rule.location, f"{what} of a rule without an update", "add it to the loss")


def _check_names(rule: Rule, piece: Piece, diagnostics: Diagnostics) -> None:
    kind = PIECES[piece.name]
    declared = [(name, h.location) for h in rule.hyperparameters for name in h.value_names]
    declared += [(one.name, one.location) for one in (*rule.flags, *rule.choices, *rule.kept)]
    for name, location in declared:
        if name in (*kind.vectors, *kind.numbers):
            cause = f"{quote(name)} is what `{piece.name}` finds there already"
            diagnostics.add(location, cause, "choose another name")


def _check_state(state: State, piece: str, diagnostics: Diagnostics) -> None:
    if isinstance(state.init, Ref) and state.init.name in ("grad", "param"):
        remedy = "start from a number"
        diagnostics.add(state.location, f"`{piece}` has no `{state.init.name}` that a state starts from", remedy)
    elif state.kind is StateKind.TENSOR and not state.is_like_param:
        diagnostics.add(state.location, f"a vector has no rows, so `{state.name}` has no `shape`", "delete `shape`")
    elif state.when is not None:
        diagnostics.add(state.location, f"`{state.name}` is there in every step", "delete `when`")


def _check_body(piece: Piece, diagnostics: Diagnostics) -> None:
    reported: set[str] = set()
    for cause, remedy, location in _mistakes(piece):
        if cause not in reported:
            reported.add(cause)
            diagnostics.add(location, cause, remedy)


def _mistakes(piece: Piece) -> Iterator[tuple[str, str, Location]]:
    """Yield causes, remedies and locations of what a vector that stands for many parameters does not have."""
    no_param = f"`{piece.name}` has no `param`", "it moves along `d`, which it assigns"
    for statement in walk_statements(piece.body):
        if isinstance(statement, Assign) and statement.target == "param":
            yield *no_param, statement.location
        parts = [*walk_expression(expression_of(statement))]
        asked = {
            id(argument)
            for part in parts
            if isinstance(part, Call) and OPS[part.op].shape is Shape.OF_PARAM
            for argument in part.args
        }
        for part in (part for part in parts if id(part) not in asked):
            yield from ((*found, part.location) for found in _mistakes_of(part, no_param))


def _mistakes_of(part: Expr, no_param: tuple[str, str]) -> Iterator[tuple[str, str]]:
    match part:
        case Ref(name="param"):
            yield no_param
        case Call(op=op) if OPS[op].shape is Shape.TOTAL:
            yield f"`{op}` where all parameters are one vector", "`sum` is over all of them"
        case Call(op=op) if OPS[op].shape is Shape.OF_PARAM:
            yield f"`{op}` where all parameters are one vector", "write a number"
        case Call(op=op) if is_reduction(part) and split_axis(part)[1] is not None:
            yield f"`{op}` along an axis of a vector", "delete `axis`: it is over all of it"
        case Call(op=op) if OPS[op].shape is Shape.BLOCKS:
            yield f"`{op}` where all parameters are one vector", "it takes one number per row"
        case _:
            pass
