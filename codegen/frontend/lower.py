"""Make Rules of specs: resolve `extends`, parse the texts, make the signatures.

In: all specs of a folder. Out: one Rule each, in the same order, and diagnostics. This module checks only what one
part of a spec says about another part or another spec; passes/check/rule.py checks what a rule means.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from thetac.codegen.errors import Location, Mistakes, quoted
from thetac.codegen.frontend.family import family_of, first, merged
from thetac.codegen.frontend.parse import NOTHING_READ, parse_expression, parse_statements
from thetac.codegen.frontend.signature import make_signature, order_group_keys
from thetac.codegen.frontend.spec import DecayEntry, Spec, StateEntry
from thetac.codegen.frontend.translate import Declared
from thetac.codegen.ir.nodes import (
    DECAY_READS,
    UNREADABLE,
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
)

MOST_HYPERPARAMETERS = 300  # and flags; a tuple counts as one
MOST_STATES = 60
MOST_REQUIREMENTS = 200
MOST_CASES = 60  # of weight decay


def lower_specs(
    specs: Sequence[Spec | None], mistakes: Mistakes, parents: Sequence[Spec | None] = ()
) -> tuple[Rule, ...]:
    """Return the rules of specs, in order.

    Args:
        specs: The specs; None for a file that cannot be read.
        mistakes: Gets a diagnostic for everything that does not fit together.
        parents: Further specs that may be extended; those among `specs` come first.
    """
    known = [spec for spec in specs if spec is not None]
    by_name: dict[str, Spec] = {}
    for spec in known:
        twin = by_name.setdefault(spec.name.lower(), spec)
        if twin is not spec:
            place = f"{twin.location.path}:{twin.location.line}"
            cause = f"two specs are named {quoted(spec.name)}"
            if twin.name != spec.name:
                cause = f"the names `{twin.name}` and `{spec.name}` differ in capitals only"
            mistakes.add(spec.location, cause, f"the other is in {place}: rename one of them")
    named = {spec.name: spec for spec in (*parents, *by_name.values()) if spec is not None}
    families = [family_of(spec, named, some_missing=None in specs, mistakes=mistakes) for spec in known]
    rules = [_rule(family, mistakes) for family in families if family]
    return tuple(rule for rule in rules if rule is not None)


def _rule(family: tuple[Spec, ...], mistakes: Mistakes) -> Rule | None:
    """Return the rule of a spec; None if it has more entries of some kind than are checked."""
    spec = family[0]
    declared = merged(family, lambda s: s.hyperparameters, lambda entry: entry.name)
    states = merged(family, lambda s: s.states, lambda entry: entry.name)
    hyperparameters = tuple(entry for entry in declared if isinstance(entry, Hyperparameter))
    flags = tuple(entry for entry in declared if isinstance(entry, Flag))
    requirements = merged(family, lambda s: s.requirements, lambda entry: entry.condition.text)
    decay = first(family, lambda s: s.decay) or ()
    before = len(mistakes)
    _check_number(
        [entry.location for entry in declared],
        MOST_HYPERPARAMETERS,
        ("hyperparameters and flags", "leave out what nobody changes"),
        mistakes,
    )
    _check_number(
        [entry.location for entry in states], MOST_STATES, ("states", "a step needs little of the one before"), mistakes
    )
    _check_number(
        [entry.condition.location for entry in requirements],
        MOST_REQUIREMENTS,
        ("requirements", "join conditions with `and`"),
        mistakes,
    )
    _check_number(
        [entry.location for entry in decay],
        MOST_CASES,
        ("cases of `weight_decay`", "join those of one style with `or`"),
        mistakes,
    )
    if len(mistakes) > before:
        return None
    positional, keyword_only = make_signature(spec, first(family, lambda s: s.signature), declared, mistakes)
    update = first(family, lambda s: s.update)
    _check_decay(decay, hyperparameters, spec, mistakes)
    known = Declared(
        {entry.name: entry.elements for entry in hyperparameters if entry.elements},
        tuple(entry.name for entry in states if entry.kind is StateKind.COUNTER),
        frozenset(
            (*(e.name for e in declared), *(n for e in hyperparameters for n in e.elements), *(s.name for s in states))
        ),
    )
    sparse_mode, sparse_error = _sparse(family)
    return Rule(
        name=spec.name,
        summary=spec.summary,
        references=tuple(dict.fromkeys(reference for s in family for reference in s.references or ())),
        notes=first(family, lambda s: s.notes) or (),
        source=PurePath(spec.path).name,
        hyperparameters=hyperparameters,
        flags=flags,
        states=tuple(_state(entry, known, mistakes) for entry in states),
        positional=positional,
        keyword_only=keyword_only,
        requirements=tuple(
            Requirement(parse_expression(entry.condition, mistakes, known), entry.message, entry.condition.location)
            for entry in requirements
        ),
        decay=_decay(decay, known, mistakes),
        complex_mode=first(family, lambda s: s.complex_mode) or ComplexMode.PAIRS,
        half_precision=first(family, lambda s: s.half_precision) or HalfPrecision.FLOAT32,
        sparse_mode=sparse_mode,
        sparse_error=sparse_error,
        state_at_construction=first(family, lambda s: s.state_at_construction) or False,
        body=parse_statements(update, mistakes, known) if update is not None else NOTHING_READ,
        group_keys=order_group_keys(first(family, lambda s: s.group_keys) or (), declared, mistakes),
        location=spec.location,
    )


def _check_number(locations: Sequence[Location], most: int, what: tuple[str, str], mistakes: Mistakes) -> None:
    """Note an error if there are more than `most` of something.

    Args:
        locations: Where they are.
        most: How many are allowed.
        what: Their name, and the remedy.
        mistakes: Gets the diagnostic.
    """
    if len(locations) > most:
        mistakes.add(locations[most], f"more than {most} {what[0]}", what[1])


def _state(entry: StateEntry, known: Declared, mistakes: Mistakes) -> State:
    init = Const(0) if entry.init is None else parse_expression(entry.init, mistakes, known)
    when = None if entry.when is None else parse_expression(entry.when, mistakes, known)
    return State(
        entry.name,
        entry.kind,
        init,
        when,
        entry.on_param_device,
        entry.symbol,
        entry.doc,
        entry.location,
    )


def _check_decay(
    entries: tuple[DecayEntry, ...], hyperparameters: tuple[Hyperparameter, ...], spec: Spec, mistakes: Mistakes
) -> None:
    """Note an error where a style of decay reads a hyperparameter that is missing or is now a tuple."""
    single = {hyperparameter.name for hyperparameter in hyperparameters if not hyperparameter.elements}
    for entry in entries:
        for name in DECAY_READS[entry.style]:
            if name not in single and UNREADABLE not in single:
                cause = f"weight decay `{entry.style.value}` needs a hyperparameter `{name}`"
                if spec.decay is None:
                    mistakes.add(spec.location, cause, "declare it as a number, or say `weight_decay: none` here")
                else:
                    mistakes.add(entry.location, cause, "declare it, or choose another style")


def _decay(
    entries: tuple[DecayEntry, ...], known: Declared, mistakes: Mistakes
) -> tuple[tuple[Expr | None, DecayStyle], ...]:
    return tuple(
        (None if entry.condition is None else parse_expression(entry.condition, mistakes, known), entry.style)
        for entry in entries
    )


def _sparse(family: tuple[Spec, ...]) -> tuple[SparseMode, str]:
    mode = first(family, lambda s: s.sparse_mode) or SparseMode.UNSUPPORTED
    if mode is not SparseMode.UNSUPPORTED:
        return mode, "weight_decay option is not compatible with sparse gradients"
    return mode, first(family, lambda s: s.sparse_error) or f"{family[0].name} does not support sparse gradients"
