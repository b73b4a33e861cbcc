"""Make Rules of specs: resolve `extends`, parse the texts, make the signatures.

In: all specs of a folder. Out: one Rule each, in the same order, and diagnostics. This module checks only what one
part of a spec says about another part or another spec; passes/check/rule.py checks what a rule means.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from thetac.codegen.errors import Diagnostics, Location, did_you_mean, quote
from thetac.codegen.frontend.family import family_of, merge, nearest
from thetac.codegen.frontend.parse import NOTHING_READ, parse_expression, parse_statements
from thetac.codegen.frontend.signature import make_signature, order_group_keys
from thetac.codegen.frontend.spec import DecayEntry, Spec, StateEntry
from thetac.codegen.frontend.translate import Declared
from thetac.codegen.ir.nodes import (
    DECAY_READS,
    UNREADABLE,
    Choice,
    ComplexMode,
    Const,
    DecayStyle,
    Expr,
    Flag,
    HalfPrecision,
    Hyperparameter,
    Requirement,
    Rule,
    SparseMode,
    State,
    StateKind,
    Stmt,
    assigned,
)

MOST_HYPERPARAMETERS = 300  # and flags; a tuple counts as one
MOST_STATES = 60
MOST_REQUIREMENTS = 200
MOST_CASES = 60  # of weight decay


def lower_specs(
    specs: Sequence[Spec | None], diagnostics: Diagnostics, parents: Sequence[Spec | None] = ()
) -> tuple[Rule, ...]:
    """Return the rules of specs, in order.

    Args:
        specs: The specs; None for a file that cannot be read.
        diagnostics: Gets a diagnostic for everything that does not fit together.
        parents: Further specs that may be extended; those among `specs` come first.
    """
    known = [spec for spec in specs if spec is not None]
    by_name: dict[str, Spec] = {}
    for spec in known:
        twin = by_name.setdefault(spec.name.lower(), spec)
        if twin is not spec:
            place = f"{twin.location.path}:{twin.location.line}"
            cause = f"two specs are named {quote(spec.name)}"
            if twin.name != spec.name:
                cause = f"the names `{twin.name}` and `{spec.name}` differ in capitals only"
            diagnostics.add(spec.location, cause, f"the other is in {place}: rename one of them")
    named = {spec.name: spec for spec in (*parents, *by_name.values()) if spec is not None}
    families = [family_of(spec, named, some_missing=None in specs, diagnostics=diagnostics) for spec in known]
    rules = [_rule(family, diagnostics) for family in families if family]
    return tuple(rule for rule in rules if rule is not None)


def _rule(family: tuple[Spec, ...], diagnostics: Diagnostics) -> Rule | None:
    """Return the rule of a spec; None if it has more entries of some kind than are checked."""
    spec = family[0]
    declared = merge(family, lambda s: s.hyperparameters, lambda entry: entry.name)
    states = merge(family, lambda s: s.states, lambda entry: entry.name)
    hyperparameters = tuple(entry for entry in declared if isinstance(entry, Hyperparameter))
    flags = tuple(entry for entry in declared if isinstance(entry, Flag))
    choices = tuple(entry for entry in declared if isinstance(entry, Choice))
    requirements = merge(family, lambda s: s.requirements, lambda entry: entry.condition.text)
    decay = nearest(family, lambda s: s.decay) or ()
    before = len(diagnostics)
    _check_number(
        [entry.location for entry in declared],
        MOST_HYPERPARAMETERS,
        ("hyperparameters and flags", "leave out what nobody changes"),
        diagnostics,
    )
    _check_number(
        [entry.location for entry in states],
        MOST_STATES,
        ("states", "a step needs little of the one before"),
        diagnostics,
    )
    _check_number(
        [entry.condition.location for entry in requirements],
        MOST_REQUIREMENTS,
        ("requirements", "join conditions with `and`"),
        diagnostics,
    )
    _check_number(
        [entry.location for entry in decay],
        MOST_CASES,
        ("cases of `weight_decay`", "join those of one style with `or`"),
        diagnostics,
    )
    if len(diagnostics) > before:
        return None
    positional, keyword_only = make_signature(spec, nearest(family, lambda s: s.signature), declared, diagnostics)
    update = nearest(family, lambda s: s.update)
    _check_decay(decay, hyperparameters, spec, diagnostics)
    known = Declared(
        {entry.name: entry.elements for entry in hyperparameters if entry.elements},
        tuple(entry.name for entry in states if entry.kind is StateKind.COUNTER),
        frozenset(
            (*(e.name for e in declared), *(n for e in hyperparameters for n in e.elements), *(s.name for s in states))
        ),
    )
    sparse_mode, sparse_error = _sparse(family)
    body = parse_statements(update, diagnostics, known) if update is not None else NOTHING_READ
    return Rule(
        name=spec.name,
        summary=spec.summary,
        references=tuple(dict.fromkeys(reference for s in family for reference in s.references or ())),
        notes=nearest(family, lambda s: s.notes) or (),
        source=PurePath(spec.path).name,
        hyperparameters=hyperparameters,
        flags=flags,
        states=tuple(_state(entry, known, diagnostics) for entry in states),
        positional=positional,
        keyword_only=keyword_only,
        requirements=tuple(
            Requirement(parse_expression(entry.condition, diagnostics, known), entry.message, entry.condition.location)
            for entry in requirements
        ),
        decay=_decay(decay, known, diagnostics),
        complex_mode=nearest(family, lambda s: s.complex_mode) or ComplexMode.PAIRS,
        half_precision=nearest(family, lambda s: s.half_precision) or HalfPrecision.FLOAT32,
        sparse_mode=sparse_mode,
        sparse_error=sparse_error,
        state_at_construction=nearest(family, lambda s: s.state_at_construction) or False,
        body=body,
        group_keys=order_group_keys(nearest(family, lambda s: s.group_keys) or (), declared, diagnostics),
        location=spec.location,
        choices=choices,
        symbols=_symbols(family, body, known.names, diagnostics),
    )


def _symbols(
    family: tuple[Spec, ...], body: tuple[Stmt, ...], declared: frozenset[str], diagnostics: Diagnostics
) -> tuple[tuple[str, str], ...]:
    """Return the symbols of the locals of an update; note an error for a symbol of the spec's own that is of no local.

    An inherited symbol of a local that an update of the spec's own does not have is left out.
    """
    locals_ = [name for name in assigned(body) if name not in declared and name != "param"]
    for text, _ in family[0].symbols if UNREADABLE not in locals_ else ():
        if text.text in declared:
            remedy = f"write it where {quote(text.text)} is declared: `symbol: ...`"
            diagnostics.add(text.location, f"`{text.text}` is no local", remedy)
        elif text.text not in locals_:
            remedy = did_you_mean(text.text, locals_, "only names that the update assigns have symbols here")
            diagnostics.add(text.location, f"a symbol of the unknown name {quote(text.text)}", remedy)
    symbols = {text.text: symbol for spec in reversed(family) for text, symbol in spec.symbols}
    return tuple((name, symbols[name]) for name in locals_ if name in symbols)


def _check_number(locations: Sequence[Location], most: int, what: tuple[str, str], diagnostics: Diagnostics) -> None:
    """Note an error if there are more than `most` of something.

    Args:
        locations: Where they are.
        most: How many are allowed.
        what: Their name, and the remedy.
        diagnostics: Gets the diagnostic.
    """
    if len(locations) > most:
        diagnostics.add(locations[most], f"more than {most} {what[0]}", what[1])


def _state(entry: StateEntry, known: Declared, diagnostics: Diagnostics) -> State:
    init = Const(0) if entry.init is None else parse_expression(entry.init, diagnostics, known)
    when = None if entry.when is None else parse_expression(entry.when, diagnostics, known)
    return State(
        entry.name,
        entry.kind,
        init,
        when,
        entry.on_param_device,
        entry.symbol,
        entry.doc,
        entry.location,
        entry.dims,
        entry.float64,
        entry.integer,
    )


def _check_decay(
    entries: tuple[DecayEntry, ...], hyperparameters: tuple[Hyperparameter, ...], spec: Spec, diagnostics: Diagnostics
) -> None:
    """Note an error where a style of decay reads a hyperparameter that is missing or is now a tuple."""
    single = {hyperparameter.name for hyperparameter in hyperparameters if not hyperparameter.elements}
    for entry in entries:
        for name in DECAY_READS[entry.style]:
            if name not in single and UNREADABLE not in single:
                cause = f"weight decay `{entry.style.value}` needs a hyperparameter `{name}`"
                if spec.decay is None:
                    diagnostics.add(spec.location, cause, "declare it as a number, or say `weight_decay: none` here")
                else:
                    diagnostics.add(entry.location, cause, "declare it, or choose another style")


def _decay(
    entries: tuple[DecayEntry, ...], known: Declared, diagnostics: Diagnostics
) -> tuple[tuple[Expr | None, DecayStyle], ...]:
    return tuple(
        (None if entry.condition is None else parse_expression(entry.condition, diagnostics, known), entry.style)
        for entry in entries
    )


def _sparse(family: tuple[Spec, ...]) -> tuple[SparseMode, str]:
    mode = nearest(family, lambda s: s.sparse_mode) or SparseMode.UNSUPPORTED
    if mode is not SparseMode.UNSUPPORTED:
        return mode, "weight_decay option is not compatible with sparse gradients"
    return mode, nearest(family, lambda s: s.sparse_error) or f"{family[0].name} does not support sparse gradients"
