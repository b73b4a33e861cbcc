"""Check what is special of the pieces of a rule: names that have no meaning there, and what a piece is for.

In: a Rule and one of its pieces, whose statements are checked already. Out: diagnostics.
"""

from __future__ import annotations

from collections.abc import Iterator

from thetac.codegen.errors import Diagnostics, Location
from thetac.codegen.ir.nodes import (
    UNREADABLE,
    Assign,
    Call,
    Expr,
    Piece,
    Ref,
    Rule,
    StateKind,
    Stmt,
    assigned,
    expression_of,
    names_of,
    walk_expression,
    walk_statements,
)
from thetac.drivers import DRIVERS, PIECES


def check_piece(rule: Rule, piece: Piece, diagnostics: Diagnostics) -> None:
    """Note an error for each name that a piece may not use, and where it does not do what it is there for.

    Args:
        rule: The rule.
        piece: One of its pieces.
        diagnostics: Gets the errors.
    """
    kind = PIECES[piece.name]
    counters, shared = rule.names_of(StateKind.COUNTER), names_of(rule.shared)
    reported: set[str] = set()
    for name, here in _names(piece.body):
        if name in reported:
            continue
        reported.add(name)
        if name in counters:
            remedy = "use it in the update, which counts, and keep what the piece needs in a state"
            diagnostics.add(here, f"`{name}` counts the steps of the update, and `{piece.name}` is none", remedy)
        elif name in shared:
            remedy = "use it in the update, and keep what the piece needs in a state"
            diagnostics.add(here, f"`{name}` is a number that parameters share, which only the update knows", remedy)
        elif name == "grad" and not kind.takes_grad:
            diagnostics.add(here, f"`{piece.name}` has no gradient", "it reads the parameter and states")
    for expression in _expressions(piece.body):
        if isinstance(expression, Call) and expression.op == "first":
            remedy = "a piece finds all states made"
            diagnostics.add(expression.location, "`first` has no answer in a piece", remedy)
    written = assigned(piece.body)
    if UNREADABLE in written:
        return
    if kind.must_assign and kind.must_assign not in written:
        remedy = f"it {kind.doc}"
        diagnostics.add(piece.location, f"`{piece.name}` never assigns `{kind.must_assign}`", remedy)
    elif not kind.must_assign and not {state.name for state in rule.states} & {*written}:
        diagnostics.add(piece.location, f"`{piece.name}` assigns no state", f"it {kind.doc}")
    if kind.takes_grad and {state.name for state in rule.states} & {
        *written,
        *(name for name, _ in _names(piece.body)),
    }:
        _check_first(rule, piece, diagnostics)


def check_driver(rule: Rule, diagnostics: Diagnostics) -> frozenset[str]:
    """Return the hyperparameters that the driver of a rule reads; note an error for each that is not declared for it.

    Args:
        rule: The rule.
        diagnostics: Gets the errors.
    """
    if not rule.driver:
        return frozenset()
    declared = {one.name: one for one in rule.hyperparameters}
    for name in DRIVERS[rule.driver].reads:
        remedy = f'such as `{name}: {{default: 1, integer: true, range: "[1, inf)", doc: ...}}`'
        if name not in declared:
            cause = f"`driver: {rule.driver}` reads the hyperparameter `{name}`, and there is none"
            diagnostics.add(rule.location, cause, f"declare it, {remedy}")
        elif not declared[name].integer:
            cause = f"`driver: {rule.driver}` reads `{name}`, which is no integer"
            diagnostics.add(declared[name].location, cause, f"say `integer: true`, {remedy}")
    return frozenset(DRIVERS[rule.driver].reads)


def _check_first(rule: Rule, piece: Piece, diagnostics: Diagnostics) -> None:
    """Note an error if the update asks what is new: a piece that comes before the first step has all states made."""
    remedy = "start from a number, or count steps"
    for expression in _expressions(rule.body):
        if isinstance(expression, Call) and expression.op == "first":
            cause = f"`first` has no answer where `{piece.name}` may come before the first step"
            diagnostics.add(expression.location, cause, remedy)
    for state in rule.states:
        if isinstance(state.init, Ref) and state.init.name == "grad":
            cause = f"`{state.name}` starts from the first gradient, and `{piece.name}` may come before it"
            diagnostics.add(state.location, cause, remedy)


def _names(body: tuple[Stmt, ...]) -> Iterator[tuple[str, Location]]:
    """Yield every name that statements read or assign, with its location, in order."""
    for statement in walk_statements(body):
        if isinstance(statement, Assign):
            yield statement.target, statement.location
        value = expression_of(statement)
        yield from ((part.name, part.location) for part in walk_expression(value) if isinstance(part, Ref))


def _expressions(body: tuple[Stmt, ...]) -> Iterator[Expr]:
    for statement in walk_statements(body):
        yield from walk_expression(expression_of(statement))
