"""Where the C++ kernels of a rule that reduces keep numbers per parameter, row and column.

In: a `Fused`. Out: which names a tensor program has variables for, and the places of the others; which pointers of a
sweep lead to vectors and to the terms of folds. Must not know how a statement is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from thetac.codegen.backends.kernels.cpp_lines import names_used
from thetac.codegen.ir.fused import (
    ElementAssign,
    ElementIf,
    ElementStmt,
    Fold,
    Fused,
    Pass,
    Stream,
    elements_assigned,
    walk_elements,
)
from thetac.codegen.ir.nodes import Call, Const, Expr, Ref, names_read
from thetac.codegen.ir.value_kinds import Dim, Dims
from thetac.codegen.passes.analysis import boolean_algebra
from thetac.codegen.passes.analysis.liveness import needed_by_folds
from thetac.codegen.passes.analysis.streams import streams

_EXTENTS: dict[Dims | None, str] = {
    None: "PARAMETER",
    (Dim.ONE, Dim.ONE): "MATRIX",
    (Dim.ROWS, Dim.ONE): "ROW",
    (Dim.ONE, Dim.COLUMNS): "COLUMN",
}

REDUCTIONS = ("sum", "max")  # of a vector, in a tensor program


def extent(dims: Dims | None) -> str:
    """Return the enumerator of `thetac::Extent` for what there is one number of."""
    return f"thetac::Extent::{_EXTENTS[dims]}"


def has_passes(fused: Fused) -> bool:
    """Return whether a kernel needs more than one sweep over each tensor's elements."""
    return len(fused.passes) > 1 or bool(fused.small or fused.passes[0].before or fused.passes[0].folds)


class Layout:
    """The places of numbers and vectors in the memory of a launch."""

    def __init__(self, fused: Fused) -> None:
        kept: dict[str, Dims | None] = {value.name: value.dims for value in fused.tensor_values}
        kept |= {state.name: state.dims for state in fused.small}
        self.dims = dict(kept)  # variables of single programs, too
        for one in fused.passes:
            self._add_locals(one.before)
        self.numbers = [name for name, dims in kept.items() if dims is None]
        self.slots, self.extents = _share_memory(fused, self.dims)  # of each vector; of each slot
        self.truths = fused.truths | {value.name for value in fused.tensor_values if value.truth}
        self.has_axes = fused.has_axes

    def _add_locals(self, body: Iterable[ElementStmt]) -> None:
        for statement in walk_elements(body):
            if isinstance(statement, ElementAssign) and statement.target not in self.dims:
                self.dims[statement.target] = self.dims_of(statement.value)

    def dims_of(self, expression: Expr) -> Dims | None:
        """Return the dimensions of a right side of a tensor program; None if it is one number per parameter."""
        match expression:
            case Call(op=op, args=(Ref(name=name),)) if op in REDUCTIONS:
                return None
            case Call(op=op, args=(Ref(name=name), Const(value=axis))) if op in REDUCTIONS:
                dims = self.dims[name]
                assert dims is not None, f"{name}, of which there is one per parameter, has no axis"
                return (dims[0], Dim.ONE) if axis == -1 else (Dim.ONE, dims[1])
        found = [dims for name in names_read(expression) if (dims := self.dims.get(name)) is not None]
        if not found:
            return None
        rows, columns = (max(extents, key=lambda dim: dim is not Dim.ONE) for extents in zip(*found, strict=True))
        assert Dim.ONE in (rows, columns), "a tensor program computes elements"
        return rows, columns


def _share_memory(fused: Fused, dims: Mapping[str, Dims | None]) -> tuple[dict[str, int], list[Dims]]:
    """Return the slot of each vector and the dimensions of each slot.

    Vectors of one extent share a slot where the one is read for the last time before the other gets a value, or in the
    statement that gives it one, as that statement computes number by number.
    """
    first: dict[str, int] = {}
    last: dict[str, int] = {}

    def use(names: Iterable[str], time: int) -> None:
        for name in names:
            if dims.get(name) is not None:
                first.setdefault(name, time)
                last[name] = time

    time = 0
    states = [state.name for state in fused.small]
    in_programs = [names_used(one.before) | set(one.reads) for one in fused.passes]
    for one, names in zip(fused.passes, in_programs, strict=True):
        use([name for name in states if name in names], time := time + 1)  # loaded here, unless it was before
        for statement in walk_elements(one.before):
            if isinstance(statement, ElementAssign):
                time += 2  # what is read for the last time is free one tick before the target gets its value
                use(names_read(statement.value), time - 1)
                use([statement.target], time)
        use([name for name in states if name in names], time := time + 1)  # stored here, unless it is later
        use([*one.reads, *(fold.target for fold in one.folds)], time := time + 1)
    slots: dict[str, int] = {}
    extents: list[Dims] = []
    free_from: list[int] = []  # of each slot
    for name in sorted(first, key=first.__getitem__):
        wanted = dims[name]
        assert wanted is not None
        found = next((i for i, extent in enumerate(extents) if extent == wanted and free_from[i] < first[name]), None)
        if found is None:
            found = len(extents)
            extents.append(wanted)
            free_from.append(0)
        slots[name], free_from[found] = found, last[name]
    return slots, extents


@dataclass(frozen=True, slots=True)
class SweepFold:
    """A fold with what its sweep gives it."""

    fold: Fold
    op: str  # the enumerator of `thetac::FoldOp`
    operand: int  # which pointer leads to its terms


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep whose pointers lead to the streams, then to vectors that it reads, then to terms of folds."""

    body: tuple[ElementStmt, ...]
    vectors: tuple[Stream, ...]  # when each is read
    numbers: tuple[str, ...]
    terms: tuple[tuple[str, Expr], ...]  # locals that are written to a pointer of their own, and when
    folds: tuple[SweepFold, ...]
    runs: bool  # whether there is a sweep at all


def sweep_of(one: Pass, layout: Layout) -> Sweep:
    """Return the sweep of a pass. Squares that are added up are left to the fold, which computes them in double."""
    vectors = tuple(name for name in one.reads if layout.dims[name] is not None)
    numbers = tuple(name for name in one.reads if layout.dims[name] is None)
    pointers = {stream.name: index for index, stream in enumerate(one.streams)}
    assigned = set(elements_assigned(one.body))
    body, ops, operands, terms = one.body, dict[str, str](), dict[str, int](), dict[str, Expr]()
    for name, needed in needed_by_folds(one.folds).items():
        folds = [fold for fold in one.folds if fold.value == name]
        ops[name] = "SUM"
        if all(fold.op == "sum" for fold in folds) and _is_square(name, body):
            ops[name] = "SQUARES"
            body = _replace(body, name, lambda square: replace(square, value=_factor(square.value)))
        match _values(name, body):
            case [Ref(name=source)] if source in pointers.keys() - assigned and _is_only_folded(name, body):
                operands[name] = pointers[source]  # the terms are the stream, as it was loaded
                body = _replace(body, name, lambda _: None)
            case _:
                operands[name] = len(pointers) + len(vectors) + len(terms)
                terms[name] = boolean_algebra.expression(needed)
    sweep_folds = [
        SweepFold(fold, "MAX" if fold.op == "max" else ops[fold.value], operands[fold.value]) for fold in one.folds
    ]
    return Sweep(body, streams(vectors, body), numbers, tuple(terms.items()), tuple(sweep_folds), one.is_sweep)


def facts(layout: Layout, sweeps: Sequence[Sweep], has_program: Sequence[bool], terms: Sequence[str]) -> list[str]:
    """Return the constants of the struct `Rule` that do not depend on conditions.

    Args:
        layout: The places of numbers and vectors.
        sweeps: Those of the passes.
        has_program: Whether there is a tensor program before each.
        terms: The numbers that are added up over all parameters, in the order of the totals.
    """
    further = max(len(sweep.vectors) + len(sweep.terms) for sweep in sweeps)
    lines = [
        f"static constexpr int NUMBERS = {len(layout.numbers)};  // per parameter, in double",
        f"static constexpr int VECTORS = {len(layout.extents)};",
        f"static constexpr int FURTHER = {further};  // pointers of a sweep, after those of the streams",
        f"static constexpr bool HAS_AXES = {str(layout.has_axes).lower()};",
    ]
    extents = [extent(dims) for dims in layout.extents] or [extent(None)]
    lines.append(f"static constexpr thetac::Extent vectors[] = {{{', '.join(extents)}}};")
    if terms:
        places = ", ".join(str(layout.numbers.index(term)) for term in terms)
        lines.append(f"static constexpr int terms[] = {{{places}}};  // numbers that are added up over all parameters")
    passes = []
    for index, sweep in enumerate(sweeps):
        vectors, folds = "nullptr", "nullptr"
        if sweep.vectors:
            vectors = f"vectors_{index}"
            names = ", ".join(vector.name for vector in sweep.vectors)
            places = ", ".join(str(layout.slots[vector.name]) for vector in sweep.vectors)
            lines.append(f"static constexpr int {vectors}[] = {{{places}}};  // {names}")
        if sweep.folds:
            folds = f"folds_{index}"
            lines += [f"static constexpr thetac::Fold {folds}[] = {{", *(_fold(f, layout) for f in sweep.folds), "};"]
        runs = str(sweep.runs).lower()
        passes.append(f"    {{{runs}, {vectors}, {len(sweep.vectors)}, {folds}, {len(sweep.folds)}}},")
    programs = ", ".join(str(exists).lower() for exists in has_program)
    return [
        *lines,
        "static constexpr thetac::PassFacts facts[] = {",
        *passes,
        "};",
        f"static constexpr bool has_program[] = {{{programs}}};  // before the sweep",
    ]


def _fold(given: SweepFold, layout: Layout) -> str:
    fold = given.fold
    target = layout.numbers.index(fold.target) if fold.dims is None else layout.slots[fold.target]
    return f"    {{thetac::FoldOp::{given.op}, {extent(fold.dims)}, {given.operand}, {target}}},  // {fold.target}"


def _values(name: str, body: Sequence[ElementStmt]) -> list[Expr]:
    return [s.value for s in walk_elements(body) if isinstance(s, ElementAssign) and s.target == name]


def _is_square(name: str, body: Sequence[ElementStmt]) -> bool:
    """Return whether a local is always a square, which nothing but folds reads."""
    return _is_only_folded(name, body) and all(_factor(value) != value for value in _values(name, body))


def _is_only_folded(name: str, body: Sequence[ElementStmt]) -> bool:
    statements = walk_elements(body)
    return not any(name in names_read(s.value) for s in statements if isinstance(s, ElementAssign))


def _factor(expression: Expr) -> Expr:
    """Return the name whose square an expression is; the expression itself if it is none."""
    match expression:
        case Call(op="mul", args=(Ref() as one, Ref() as other)) if one == other:
            return one
    return expression


def _replace(
    body: Sequence[ElementStmt], name: str, change: Callable[[ElementAssign], ElementAssign | None]
) -> tuple[ElementStmt, ...]:
    """Return the statements with those that assign a name changed, or left out where the change is None."""
    kept: list[ElementStmt] = []
    for statement in body:
        match statement:
            case ElementAssign(target=target):
                changed = change(statement) if target == name else statement
                kept += [changed] if changed is not None else []
            case ElementIf(then=then, orelse=orelse):
                sides = _replace(then, name, change), _replace(orelse, name, change)
                kept += [replace(statement, then=sides[0], orelse=sides[1])] if any(sides) else []
            case _:
                assert_never(statement)
    return tuple(kept)
