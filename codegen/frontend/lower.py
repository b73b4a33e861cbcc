"""Make Rules of specs: resolve `extends`, parse the texts, make the signatures.

In: all specs of a folder. Out: one Rule each, in the same order, and diagnostics. This module checks only what one
part of a spec says about another part or another spec; passes/check/rule.py checks what a rule means.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath

from thetac.codegen.errors import Diagnostics, did_you_mean, quote
from thetac.codegen.frontend.defaults import with_starts
from thetac.codegen.frontend.family import family_of, nearest
from thetac.codegen.frontend.features import declare_features
from thetac.codegen.frontend.fit import check_blocks, check_decay, check_decay_of_complex, check_needs, check_number
from thetac.codegen.frontend.inheritance import Inheritance, ParentUpdate
from thetac.codegen.frontend.merged_entries import MergedEntries
from thetac.codegen.frontend.parse import NOTHING_READ, parse_expression, parse_statements
from thetac.codegen.frontend.piece_use import check_pieces
from thetac.codegen.frontend.signature import make_signature, order_group_keys
from thetac.codegen.frontend.spec import DecayEntry, RequireEntry, Spec, StateEntry
from thetac.codegen.frontend.translate import Declared
from thetac.codegen.frontend.views import View
from thetac.codegen.frontend.yaml_tree import Scalar
from thetac.codegen.ir.nodes import (
    UNREADABLE,
    Choice,
    ComplexMode,
    Const,
    DecayStyle,
    Expr,
    Flag,
    HalfPrecision,
    Hyperparameter,
    Piece,
    Requirement,
    Rule,
    Scope,
    Shared,
    SparseMode,
    State,
    StateKind,
    Stmt,
    assigned,
)
from thetac.drivers import DRIVERS, PIECES

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
    merged = MergedEntries(family, diagnostics)
    declared, states, requirements = merged.declared, merged.states, merged.requirements
    hyperparameters = with_starts([entry for entry in declared if isinstance(entry, Hyperparameter)], diagnostics)
    flags = tuple(entry for entry in declared if isinstance(entry, Flag))
    choices = tuple(entry for entry in declared if isinstance(entry, Choice))
    decay = nearest(family, lambda s: s.decay) or ()
    before = len(diagnostics)
    check_number(
        [entry.location for entry in declared],
        MOST_HYPERPARAMETERS,
        ("hyperparameters and flags", "leave out what nobody changes"),
        diagnostics,
    )
    check_number(
        [entry.location for entry in states],
        MOST_STATES,
        ("states", "a step needs little of the one before"),
        diagnostics,
    )
    check_number(
        [entry.condition.location for entry in requirements],
        MOST_REQUIREMENTS,
        ("requirements", "join conditions with `and`"),
        diagnostics,
    )
    check_number(
        [entry.location for entry in decay],
        MOST_CASES,
        ("cases of `weight_decay`", "join those of one style with `or`"),
        diagnostics,
    )
    if len(diagnostics) > before:
        return None
    heritage = Inheritance(family, merged.dropped, diagnostics)
    signature = _left(nearest(family, lambda s: s.signature), heritage)
    positional, keyword_only = make_signature(spec, signature, declared, diagnostics)
    added = declare_features(merged.features, diagnostics)
    check_needs(added, hyperparameters, spec, diagnostics)
    arguments = tuple(argument for one in added for argument in one.arguments)
    complex_mode = nearest(family, lambda s: s.complex_mode) or ComplexMode.PAIRS
    if added and complex_mode in (ComplexMode.NATIVE, ComplexMode.PAIRS_EXCEPT_PARAM):
        complex_mode = ComplexMode.PAIRS
    if not all(one.file.takes_complex for one in added):
        complex_mode = ComplexMode.UNSUPPORTED
    check_decay(decay, hyperparameters, spec, diagnostics)
    check_decay_of_complex(decay, complex_mode, spec, diagnostics)
    known = Declared(
        {entry.name: entry.elements for entry in hyperparameters if entry.elements},
        tuple(entry.name for entry in states if entry.kind is StateKind.COUNTER),
        frozenset(
            (*(e.name for e in declared), *(n for e in hyperparameters for n in e.elements), *(s.name for s in states))
        ),
    )
    view = nearest(family, lambda s: s.view) or View.LAST_AXES
    texts = _Texts(known, heritage, view, diagnostics)
    sparse_mode, sparse_error, dense_error = _sparse(family, diagnostics, any_features=bool(added))
    driver_key = nearest(family, lambda s: s.driver)
    replaced = driver_key is not None and DRIVERS[driver_key.text].replaces_update
    body = () if replaced and all(s.update is None for s in family) else texts.body(family)
    if replaced and driver_key is not None and body:
        cause = f"`driver: {driver_key.text}` has no `update`"
        remedy = f"its `{DRIVERS[driver_key.text].piece}` is all that it computes: delete `update`"
        diagnostics.add(next(s.update.location for s in family if s.update is not None), cause, remedy)
        body = ()
    check_blocks(body, view, diagnostics)
    pieces = (*texts.pieces(family), *(piece for one in added for piece in one.pieces))
    driver, entry = check_pieces(family, pieces, added, diagnostics)
    return Rule(
        name=spec.name,
        summary=spec.summary,
        references=tuple(
            dict.fromkeys(
                (
                    *(reference for s in family for reference in s.references or ()),
                    *(reference for one in added for reference in one.file.references),
                )
            )
        ),
        notes=(
            *(nearest(family, lambda s: s.notes) or ()),
            *(f"{one.file.title}: {note}" for one in added for note in one.file.notes),
        ),
        source=PurePath(spec.path).name,
        hyperparameters=(
            *map(view.hyperparameter, hyperparameters),
            *(one for one in arguments if isinstance(one, Hyperparameter)),
        ),
        flags=(*flags, *(one for one in arguments if isinstance(one, Flag))),
        states=(
            *(state for entry in states if (state := _state(entry, texts)) is not None),
            *(state for one in added for state in one.states),
        ),
        shared=tuple(_shared(entry, entry.scope, texts) for entry in states if entry.scope is not None),
        positional=positional,
        keyword_only=(*keyword_only, *(one.name for one in arguments)),
        requirements=(*texts.requirements(requirements), *(r for one in added for r in one.requirements)),
        decay=tuple(texts.cases(decay)),
        complex_mode=complex_mode,
        half_precision=(nearest(family, lambda s: s.half_precision) if not added else None) or HalfPrecision.FLOAT32,
        sparse_mode=sparse_mode,
        sparse_error=sparse_error,
        dense_error=dense_error,
        state_at_construction=nearest(family, lambda s: s.state_at_construction) or False,
        body=body,
        group_keys=order_group_keys(
            _left(nearest(family, lambda s: s.group_keys), heritage) or (),
            (*declared, *arguments),
            tuple(entry.name for entry in states if entry.scope is not None),
            diagnostics,
        ),
        family=tuple(s.name for s in family[1:]),
        location=spec.location,
        choices=(*choices, *(one for one in arguments if isinstance(one, Choice))),
        features=tuple(one.feature for one in added),
        symbols=_symbols(family, body, known.names, diagnostics),
        pieces=pieces,
        driver=driver,
        entry=entry,
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


def _left(names: tuple[Scalar, ...] | None, heritage: Inheritance) -> tuple[Scalar, ...] | None:
    """Return those names of an inherited list that no nearer spec drops."""
    if names is None:
        return None
    return tuple(name for name in names if not heritage.is_dropped(name.text, name.location))


class _Texts:
    """Parses the texts of a family, which read the names that are known and not dropped."""

    def __init__(self, known: Declared, heritage: Inheritance, view: View, diagnostics: Diagnostics) -> None:
        self._known = known
        self._heritage = heritage
        self.view = view
        self._diagnostics = diagnostics

    def expression(self, text: Scalar) -> Expr:
        """Return the expression in a text."""
        parsed = parse_expression(text, self._diagnostics, self._known)
        return self.view.expression(self._heritage.settle_expression(parsed, text.location))

    def requirements(self, entries: tuple[RequireEntry, ...]) -> Iterator[Requirement]:
        """Yield the requirements that are not about something dropped."""
        for entry in entries:
            parsed = parse_expression(entry.condition, self._diagnostics, self._known)
            here = entry.condition.location
            if self._heritage.lacks(parsed, here):
                continue
            condition = self.view.expression(self._heritage.settle_expression(parsed, here))
            if condition != Const(True):
                yield Requirement(condition, entry.message, here)

    def cases(self, entries: tuple[DecayEntry, ...]) -> Iterator[tuple[Expr | None, DecayStyle]]:
        """Yield the cases of weight decay, up to the first one that always holds."""
        for entry in entries:
            condition = None if entry.condition is None else self.expression(entry.condition)
            if condition == Const(True):
                condition = None
            if condition != Const(False):
                yield condition, entry.style
            if condition is None:
                return

    def body(self, family: tuple[Spec, ...]) -> tuple[Stmt, ...]:
        """Return the statements of the nearest update of a family; `super()` in it is the next one."""
        return self.view.body(self._parsed([spec.update for spec in family]))

    def pieces(self, family: tuple[Spec, ...]) -> Iterator[Piece]:
        """Yield the further bodies of a family; `super()` in one is the next one of the same name."""
        for name in PIECES:
            texts = [spec.piece(name) for spec in family]
            nearest_text = next((text for text in texts if text is not None), None)
            if nearest_text is not None:
                yield Piece(name, self.view.body(self._parsed(texts)), nearest_text.location)

    def _parsed(self, texts: Sequence[Scalar | None]) -> tuple[Stmt, ...]:
        """Return the statements of the first text that there is; `super()` in it is the next one."""
        depth = next((depth for depth, text in enumerate(texts) if text is not None), None)
        if depth is None:
            return NOTHING_READ
        text, further = texts[depth], texts[depth + 1 :]
        assert text is not None
        parent = ParentUpdate((lambda: self._parsed(further)) if further else None)
        body = parse_statements(text, self._diagnostics, self._known, parent)
        return self._heritage.settle_body(body, text.location)


def _state(entry: StateEntry, texts: _Texts) -> State | None:
    """Return a state; None if it exists only where a flag is set that is dropped, or if parameters share it."""
    if entry.scope is not None:
        return None
    when = None if entry.when is None else texts.expression(entry.when)
    if when == Const(False):
        return None
    return State(
        entry.name,
        entry.kind,
        Const(0) if entry.init is None else texts.expression(entry.init),
        None if when == Const(True) else when,
        entry.on_param_device,
        entry.symbol,
        entry.doc,
        entry.location,
        entry.dims,
        entry.float64,
        entry.integer,
        of_matrix=texts.view is View.MATRIX,
    )


def _shared(entry: StateEntry, scope: Scope, texts: _Texts) -> Shared:
    """Return a number that parameters share."""
    init = Const(0) if entry.init is None else texts.expression(entry.init)
    return Shared(entry.name, scope, init, entry.symbol, entry.doc, entry.location)


def _sparse(family: tuple[Spec, ...], diagnostics: Diagnostics, *, any_features: bool) -> tuple[SparseMode, str, str]:
    """Return how sparse gradients are treated, and the errors for sparse ones and for dense ones that are refused.

    Features take dense gradients alone.
    """
    mode = nearest(family, lambda s: s.sparse_mode) or SparseMode.UNSUPPORTED
    dense_error = next((s.dense_error or "" for s in family if s.sparse_mode is not None), "")
    if any_features and dense_error:
        cause = f"features of {quote(family[0].name)}, which takes sparse gradients alone"
        diagnostics.add(family[0].location, cause, "features are for dense gradients: leave them out")
    if any_features and mode is not SparseMode.UNSUPPORTED:
        return SparseMode.UNSUPPORTED, f"{family[0].name} does not support sparse gradients", ""
    if mode is not SparseMode.UNSUPPORTED:
        return mode, "weight_decay option is not compatible with sparse gradients", dense_error
    return mode, nearest(family, lambda s: s.sparse_error) or f"{family[0].name} does not support sparse gradients", ""
