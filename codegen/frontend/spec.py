"""The content of one spec file, each part of the right form but not yet parsed.

Made by load.py; expressions and updates are still texts, and the entries of the sections that heirs may change key by
key are still YAML. A part that the file leaves out is None or empty.
"""

from __future__ import annotations

from dataclasses import dataclass

from thetac.codegen.errors import Location
from thetac.codegen.frontend.views import View
from thetac.codegen.frontend.yaml_tree import Entry, Scalar
from thetac.codegen.ir.nodes import ComplexMode, DecayStyle, HalfPrecision, Scope, SparseMode, StateKind
from thetac.codegen.ir.value_kinds import EVERY_ELEMENT, Dims


@dataclass(frozen=True, slots=True)
class StateEntry:
    """One entry of `state`."""

    name: str
    kind: StateKind
    init: Scalar | None  # None: zeros
    when: Scalar | None
    on_param_device: bool
    symbol: str
    doc: str
    location: Location
    dims: Dims = EVERY_ELEMENT  # of a tensor
    float64: bool = False
    integer: bool = False
    scope: Scope | None = None  # of a number that parameters share: which do


@dataclass(frozen=True, slots=True)
class RequireEntry:
    """One entry of `require`."""

    condition: Scalar
    message: str


@dataclass(frozen=True, slots=True)
class DecayEntry:
    """One case of `weight_decay`."""

    condition: Scalar | None  # None: else
    style: DecayStyle
    location: Location


@dataclass(frozen=True, slots=True)
class Spec:
    """One file."""

    path: str
    name: str
    extends: Scalar | None
    summary: str
    references: tuple[str, ...] | None
    notes: tuple[str, ...] | None
    signature: tuple[Scalar, ...] | None
    group_keys: tuple[Scalar, ...] | None
    hyperparameters: tuple[Entry, ...]
    requirements: tuple[Entry, ...]
    states: tuple[Entry, ...]
    features: tuple[Entry, ...]
    state_at_construction: bool | None
    decay: tuple[DecayEntry, ...] | None
    complex_mode: ComplexMode | None
    half_precision: HalfPrecision | None
    sparse_mode: SparseMode | None
    sparse_error: str | None  # the author's own
    dense_error: str | None  # the author's own, of a rule that takes sparse gradients alone
    view: View | None
    update: Scalar | None
    pieces: tuple[tuple[str, Scalar], ...]  # further bodies, by their keys
    driver: Scalar | None
    entry: Scalar | None
    symbols: tuple[tuple[Scalar, str], ...]  # LaTeX of locals
    unreadable: frozenset[str]  # sections that are there but cannot be read
    location: Location  # of the name

    def piece(self, name: str) -> Scalar | None:
        """Return the text of a piece, or None."""
        return dict(self.pieces).get(name)
