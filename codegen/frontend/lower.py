"""Specs as Rules: `extends` resolved, texts parsed, signatures made.

In: all specs of a folder. Out: one Rule each, in the same order, and mistakes. What a rule means is checked by
passes/check/rule.py; here it is only what one part of a spec says about another part or another spec.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import TypeVar

from thetac.codegen.errors import Location, Mistakes, did_you_mean, listed, quoted
from thetac.codegen.frontend.parse import NOTHING_READ, parse_expression, parse_statements
from thetac.codegen.frontend.spec import DecayEntry, Spec, StateEntry
from thetac.codegen.frontend.translate import Declared
from thetac.codegen.frontend.yaml_tree import Scalar
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
from thetac.options import OPTIONS

DEEPEST_FAMILY = 8  # specs that extend each other in a row
MOST_HYPERPARAMETERS = 300  # and flags; a tuple counts as one
MOST_STATES = 60
MOST_REQUIREMENTS = 200
MOST_CASES = 60  # of weight decay

T = TypeVar("T")


def lower_specs(
    specs: Sequence[Spec | None], mistakes: Mistakes, parents: Sequence[Spec | None] = ()
) -> tuple[Rule, ...]:
    """The rules of the specs, in order; `extends` is looked up among them, then among the parents.

    None stands for an unreadable file.
    """
    known = [spec for spec in specs if spec is not None]
    by_name: dict[str, Spec] = {}
    for spec in known:
        twin = by_name.setdefault(spec.name.lower(), spec)
        if twin is not spec:
            first = f"{twin.location.path}:{twin.location.line}"
            cause = f"two specs are named {quoted(spec.name)}"
            if twin.name != spec.name:
                cause = f"the names `{twin.name}` and `{spec.name}` differ in capitals only"
            mistakes.add(spec.location, cause, f"the other is in {first}: rename one of them")
    named = {spec.name: spec for spec in (*parents, *by_name.values()) if spec is not None}
    families = [_family(spec, named, None in specs, mistakes) for spec in known]
    rules = [_rule(family, mistakes) for family in families if family]
    return tuple(rule for rule in rules if rule is not None)


def _family(spec: Spec, named: dict[str, Spec], some_missing: bool, mistakes: Mistakes) -> tuple[Spec, ...]:
    """The spec and those it extends, nearest first; empty if one of them is unknown."""
    family = [spec]
    while (extends := family[-1].extends) is not None:
        parent = named.get(extends.text)
        if parent is None and some_missing:
            return ()  # it may be in the file that cannot be read, of which enough has been said
        if parent is None:
            others = [name for name in named if name != spec.name]
            remedy = did_you_mean(
                extends.text.rpartition(".")[2],
                others,
                f"there are {listed(others, 'and')}" if 0 < len(others) < 10 else "no spec has that name",
            )
            mistakes.add(extends.location, f"unknown spec {quoted(extends.text)}", remedy)
            return ()
        if parent in family:
            mistakes.add(spec.location, f"`{spec.name}` extends itself", "a spec extends another one")
            return ()
        if len(family) == DEEPEST_FAMILY:
            mistakes.add(
                extends.location,
                f"more than {DEEPEST_FAMILY} specs extend each other in a row",
                "extend one further up",
            )
            return ()
        family.append(parent)
    return tuple(family)


def _rule(family: tuple[Spec, ...], mistakes: Mistakes) -> Rule | None:
    """The rule of a spec; None if it has too much of anything to be looked at."""
    spec = family[0]
    declared = _merged(family, lambda s: s.hyperparameters, lambda entry: entry.name)
    states = _merged(family, lambda s: s.states, lambda entry: entry.name)
    hyperparameters = tuple(entry for entry in declared if isinstance(entry, Hyperparameter))
    flags = tuple(entry for entry in declared if isinstance(entry, Flag))
    requirements = _merged(family, lambda s: s.requirements, lambda entry: entry.condition.text)
    decay = _first(family, lambda s: s.decay) or ()
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
    positional, keyword_only = _signature(spec, _first(family, lambda s: s.signature), declared, mistakes)
    update = _first(family, lambda s: s.update)
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
        notes=_first(family, lambda s: s.notes) or (),
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
        complex_mode=_first(family, lambda s: s.complex_mode) or ComplexMode.PAIRS,
        half_precision=_first(family, lambda s: s.half_precision) or HalfPrecision.FLOAT32,
        sparse_mode=sparse_mode,
        sparse_error=sparse_error,
        state_at_construction=_first(family, lambda s: s.state_at_construction) or False,
        body=parse_statements(update, mistakes, known) if update is not None else NOTHING_READ,
        group_keys=_group_keys(_first(family, lambda s: s.group_keys) or (), declared, mistakes),
        location=spec.location,
    )


def _check_number(places: Sequence[Location], most: int, what: tuple[str, str], mistakes: Mistakes) -> None:
    """Note where there are too many of something: what, and what to do about it."""
    if len(places) > most:
        mistakes.add(places[most], f"more than {most} {what[0]}", what[1])


def _first(family: tuple[Spec, ...], get: Callable[[Spec], T | None]) -> T | None:
    """What the nearest spec of the family says that says anything."""
    return next((value for spec in family if (value := get(spec)) is not None), None)


def _merged(family: tuple[Spec, ...], get: Callable[[Spec], tuple[T, ...]], key: Callable[[T], str]) -> tuple[T, ...]:
    """The entries of all, an entry of a nearer spec in the place of the one it replaces."""
    entries: dict[str, T] = {}
    for spec in reversed(family):
        entries |= {key(entry): entry for entry in get(spec)}
    return tuple(entries.values())


def _signature(
    spec: Spec, written: tuple[Scalar, ...] | None, declared: tuple[Hyperparameter | Flag, ...], mistakes: Mistakes
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The constructor's arguments: those that may be positional, and those by keyword only."""
    inherited = written is not None and spec.signature is None
    readable = all(entry.name != UNREADABLE for entry in declared)
    free = [entry.name for entry in declared if not entry.fixed and entry.name != UNREADABLE]
    if written is None:
        return tuple(free), tuple(OPTIONS)
    seen: dict[str, Location] = {}
    fixed = {entry.name for entry in declared if entry.fixed}
    for text in written:
        name, here = text.text, spec.location if inherited else text.location
        if name in seen:
            mistakes.add(here, f"{quoted(name)} is twice in the signature", "delete one of them")
        elif name in fixed:
            remedy = "give this spec a signature without it" if inherited else "delete it here, or delete `fixed`"
            mistakes.add(here, f"`{name}` is fixed and no argument", remedy)
        elif name not in free and name not in OPTIONS and name != "*" and readable:
            remedy = did_you_mean(
                name, [*free, *OPTIONS], "hyperparameters, flags, `*` and the options of every optimizer stand here"
            )
            mistakes.add(here, f"unknown argument {quoted(name)} in the signature", remedy)
        seen.setdefault(name, here)
    where = spec.location if inherited or not written else written[0].location
    for name in free:
        if name not in seen:
            remedy = "every hyperparameter and flag is an argument, or `fixed`"
            if inherited:
                remedy = "write a signature here: the inherited one does not know it"
            mistakes.add(where, f"`{name}` is missing from the signature", remedy)
    arguments = list(seen)
    _check_order(seen, declared, mistakes)
    if "*" not in arguments:
        return tuple(arguments), ()
    star = arguments.index("*")
    if star == len(arguments) - 1:
        mistakes.add(
            seen["*"], "nothing follows the `*` of the signature", "arguments behind it are passed by keyword only"
        )
    return tuple(arguments[:star]), tuple(arguments[star + 1 :])


def _group_keys(
    written: tuple[Scalar, ...], declared: tuple[Hyperparameter | Flag, ...], mistakes: Mistakes
) -> tuple[str, ...]:
    """The keys of a parameter group in order: those that are written, then the others in the usual order."""
    usual = (*(entry.name for entry in declared), *OPTIONS)
    seen: list[str] = []
    for text in written:
        if text.text in seen:
            mistakes.add(text.location, f"{quoted(text.text)} is twice in `group_keys`", "delete one of them")
        elif text.text not in usual and UNREADABLE not in usual:
            remedy = did_you_mean(
                text.text, usual, "hyperparameters, flags and the options of every optimizer stand here"
            )
            mistakes.add(text.location, f"unknown key {quoted(text.text)} in `group_keys`", remedy)
        seen.append(text.text)
    return (*seen, *(name for name in usual if name not in seen))


def _check_order(seen: dict[str, Location], declared: tuple[Hyperparameter | Flag, ...], mistakes: Mistakes) -> None:
    """An argument without a default cannot follow one that has one, unless it is passed by keyword."""
    required = {entry.name for entry in declared if isinstance(entry, Hyperparameter) and entry.required}
    optional_before = ""
    for name, location in seen.items():
        if name == "*":
            return
        if name in required and optional_before:
            mistakes.add(
                location,
                f"`{name}` is required, but follows `{optional_before}`, which has a default",
                "required ones come first",
            )
        if name not in required:
            optional_before = name


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
    """Every style reads hyperparameters of fixed names, which an heir may have made something else."""
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
    mode = _first(family, lambda s: s.sparse_mode) or SparseMode.UNSUPPORTED
    if mode is not SparseMode.UNSUPPORTED:
        return mode, "weight_decay option is not compatible with sparse gradients"
    return mode, _first(family, lambda s: s.sparse_error) or f"{family[0].name} does not support sparse gradients"
