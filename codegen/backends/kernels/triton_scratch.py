"""Where the kernels of one rule keep what is neither parameter, gradient nor state.

In: a `Fused`. Out: the place of every number, vector and partial result in the scratch of a bucket, as constants of
generated code. docs/triton.md describes the scratch; runtime/implementations/triton_scratch.py allocates it. Must not
know what the values mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt, Fused, Pass
from thetac.codegen.ir.nodes import Call, Const, Expr, chain
from thetac.codegen.ir.value_kinds import COLUMN_VECTOR, ROW_VECTOR, Dim, Dims

MATRIX_NUMBER: Dims = (Dim.ONE, Dim.ONE)

# The columns of the geometry: extents of the tensor and where its vectors begin, then three for each pass.
_FIXED = 4
_PER_PASS = 3


@dataclass(frozen=True, slots=True)
class Counts:
    """How many vectors, or folds along axes, there are of each sort; also those that precede one."""

    row_vectors: int
    column_vectors: int
    matrix_numbers: int

    @property
    def arguments(self) -> str:
        """Return them as arguments of a call."""
        return f"{self.row_vectors}, {self.column_vectors}, {self.matrix_numbers}"


def count(dims: Iterable[Dims | None]) -> Counts:
    """Return how many of these dimensions are of each sort; those of numbers per parameter do not count."""
    every = list(dims)
    return Counts(every.count(ROW_VECTOR), every.count(COLUMN_VECTOR), every.count(MATRIX_NUMBER))


def either(alternatives: Iterable[tuple[Expr, ...]]) -> Expr:
    """Return the condition that holds where all conditions of at least one of the alternatives do."""
    terms = dict.fromkeys(chain("and", one) if one else Const(True) for one in alternatives)
    if Const(True) in terms:
        return Const(True)
    possible = tuple(term for term in terms if term != Const(False))
    return chain("or", possible) if possible else Const(False)


class Scratch:
    """The places of a rule's values; tensor programs may add vectors of their own."""

    def __init__(self, fused: Fused) -> None:
        self.passes = len(fused.passes)
        self.dims = {value.name: value.dims for value in fused.tensor_values}
        self.numbers = {name: i for i, name in enumerate(n for n, dims in self.dims.items() if dims is None)}
        self._vectors = {name: dims for name, dims in self.dims.items() if dims is not None}
        of_vectors = [state for state in fused.small if state.dims is not None]
        self._of_small_vectors = [condition for state in of_vectors for condition in (state.loaded, state.stored)]
        self._assigned: dict[str, list[tuple[Expr, ...]]] = {name: [] for name in self._vectors}
        for one in fused.passes:
            for fold in one.folds:
                if fold.dims is not None:
                    self._assigned[fold.target].append((fold.needed,))
            self._note_assignments(one.before, ())

    def exists(self, name: str) -> Expr:
        """Return the condition on specialisations under which a vector is ever computed."""
        return either(self._assigned[name])

    @property
    def has_vectors(self) -> Expr:
        """Return the condition on specialisations under which any vector is computed or read."""
        return either((condition,) for condition in (*map(self.exists, self._assigned), *self._of_small_vectors))

    @property
    def counts(self) -> Counts:
        """Return how many vectors there are of each sort."""
        return count(self._vectors.values())

    @property
    def columns(self) -> int:
        """Return the number of columns of the geometry."""
        return _FIXED + _PER_PASS * self.passes

    def keep(self, name: str, dims: Dims) -> None:
        """Keep a vector that a tensor program computes in one loop and reads in another."""
        self._vectors.setdefault(name, dims)

    def vector(self, name: str) -> str:
        """Return the text of a pointer to a vector."""
        names = list(self._vectors)
        before = count(self._vectors[other] for other in names[: names.index(name)])
        return f"folds.vector(vectors, place, {before.arguments})"

    def number(self, name: str) -> str:
        """Return the text of a pointer to a number per parameter."""
        return f"own_numbers + {self.numbers[name]}"

    def first_program(self, index: int) -> int:
        """Return the column that has the first program of a tensor in a sweep; the next one has their number."""
        return _FIXED + _PER_PASS * index

    def partials(self, index: int, one: Pass, target: str) -> str:
        """Return the text of a pointer to the partial results of a fold along an axis of a pass."""
        folds = [fold.target for fold in one.folds]
        before = count(fold.dims for fold in one.folds[: folds.index(target)])
        column = self.first_program(index) + 2
        return (
            f"folds.vector_partials(vector_partials, place, {column}, {before.arguments}, "
            "tile_rows * tile_steps, tile_columns)"
        )

    def _note_assignments(self, body: Iterable[ElementStmt], static: tuple[Expr, ...]) -> None:
        """Note under which conditions on specialisations statements assign vectors."""
        for statement in body:
            match statement:
                case ElementAssign(target=target):
                    if target in self._assigned:
                        self._assigned[target].append(static)
                case ElementIf(static=True, condition=condition, then=then, orelse=orelse):
                    self._note_assignments(then, (*static, condition))
                    self._note_assignments(orelse, (*static, Call("not", (condition,))))
                case ElementIf(then=then, orelse=orelse):
                    self._note_assignments((*then, *orelse), static)
                case _:
                    assert_never(statement)


def number_folds(one: Pass) -> list[str]:
    """Return the names of the folds of a pass to one number per parameter, in the order of their partial results."""
    return [fold.target for fold in one.folds if fold.dims is None]
