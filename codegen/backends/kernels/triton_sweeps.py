"""Write the sweeps over elements in Triton: what every block loads, computes, adds up and stores.

In: a pass, and where the rule keeps its scratch. Out: the parts of the text of a kernel. A sweep that reads vectors or
reduces along an axis takes tiles of matrices, every other one takes chunks; the statements are the same, as a vector is
a block of which one extent is 1. Must not know tensor programs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from thetac.codegen.backends.kernels.triton_expressions import block, condition_text, conditional_lines
from thetac.codegen.backends.kernels.triton_scratch import MATRIX_NUMBER, Scratch, number_folds
from thetac.codegen.ir.fused import Fold, Fused, Pass, Stream, elements_assigned
from thetac.codegen.ir.nodes import Const, Expr
from thetac.codegen.ir.value_kinds import COLUMN_VECTOR, ROW_VECTOR
from thetac.codegen.passes.analysis.streams import streams
from thetac.codegen.passes.naming import pass_suffix, safe

# The sizes of a launch. They follow from compiled code and the size of a GPU (docs/triton.md, "Shape"); they were not
# tuned by measuring. A block, the elements of one pass of a program's loop, is 32 * WARPS * BITS_PER_THREAD bits.
WARPS = 4  # per program
BITS_PER_THREAD = 128  # of the parameter: the widest access; twice that takes AdamW from 56 registers to 90
CHUNK = 8192  # elements per program: 4 million elements fill 132 multiprocessors, with 16 passes (float32) for each

_BLOCK = "(block,)"
_TILE = "(tile_matrices, tile_rows, tile_columns)"


@dataclass(frozen=True, slots=True)
class Sweep:
    """The text of one sweep, in parts."""

    suffix: str  # of the names of its functions
    tiled: bool
    streams: list[tuple[int, str]]  # those that it moves, with their places in the table
    row: list[tuple[int, str]]  # numbers of the row that its elements read, with their places
    specialisations: list[str]  # those that its elements ask for
    scaling: list[str]  # what the gradient is multiplied by, where it is loaded
    reads: list[str]  # numbers and vectors that its elements read
    folds: list[str]
    loads: list[str]
    body: list[str]
    stores: list[str]
    numbers: list[str]  # lines that load numbers per parameter
    each_tile: list[str]  # lines that load what is the same for all rows of a tile
    each_row: list[str]  # lines at the beginning of each block of a tile
    starts: list[str]  # lines that start the folds that go on from block to block
    row_totals: list[str]  # lines at the end of each block of a tile
    totals: list[str]


class Sweeps:
    """Writes the sweeps of one rule."""

    def __init__(self, fused: Fused, scratch: Scratch) -> None:
        self._scratch = scratch
        self._row_truths = frozenset(entry.name for entry in fused.row if entry.truth)
        self._truths = frozenset(value.name for value in fused.tensor_values if value.truth)
        self._fused = fused
        self._row = [safe(entry.name) for entry in fused.row]
        self._specialisations = [one.name for one in fused.specialisations]

    def sweep(self, index: int, one: Pass) -> Sweep | None:
        """Return the sweep of the pass of that index; None if it has none."""
        if not one.is_sweep:
            return None
        tiled = any(self._scratch.dims[name] is not None for name in one.reads)
        tiled |= any(fold.dims is not None for fold in one.folds)
        gradient = next(stream for stream in one.streams if stream.name == "grad")
        loads = [*_unloaded(one), *self._loads(index, one), *self._gradient(index, gradient)]
        body = [
            *(_start(fold.value, fold.op, "offsets.shape") for fold in one.folds if _may_be_unset(fold, one)),
            *self._statements(one),
        ]
        stores = conditional_lines(
            [(f"ops.store({s.name}_ptr + offsets, {safe(s.name)}, mask)", s.stored) for s in one.streams]
        )
        words = words_of((*loads, *body, *stores))
        return Sweep(
            suffix=pass_suffix(index),
            tiled=tiled,
            streams=[(place, name) for place, name in enumerate(self._fused.streams) if f"{name}_ptr" in words],
            row=[(place, name) for place, name in enumerate(self._row) if name in words],
            specialisations=[name for name in self._specialisations if name in words],
            scaling=[name for name in ("grad_scale", "clip_factor") if name in words],
            reads=list(map(safe, one.reads)),
            folds=[safe(fold.target) for fold in one.folds],
            loads=loads,
            body=body,
            stores=stores,
            numbers=[
                f"{safe(name)} = {self._read(f'tl.load({self._scratch.number(name)})', name)}"
                for name in one.reads
                if self._scratch.dims[name] is None
            ],
            each_tile=self._each_tile(index, one),
            each_row=self._each_row(one),
            starts=[
                _start(fold.target, fold.op, _TILE if tiled else _BLOCK)
                for fold in one.folds
                if fold.dims != ROW_VECTOR
            ],
            row_totals=_when_needed(
                [
                    (fold, f"at_matrix * height + at_row, folds.{fold.op}_along({safe(fold.target)}, 2), mask=along")
                    for fold in one.folds
                    if fold.dims == ROW_VECTOR
                ]
            ),
            totals=_totals(one, tiled=tiled, programs=self._scratch.first_program(index)),
        )

    def _statements(self, one: Pass) -> list[str]:
        """Return the lines that compute, each value folded as soon as it is known: it needs no register after that."""
        lines: list[str] = []
        begin = 0
        for end in range(1, len(one.body) + 1):
            assigned, later = (elements_assigned(part) for part in (one.body[begin:end], one.body[end:]))
            folds = [fold for fold in one.folds if fold.value in assigned and fold.value not in later]
            if folds or end == len(one.body):
                lines += block(one.body[begin:end], self._row_truths)
                lines += conditional_lines([(_add(fold), fold.needed) for fold in folds])
                begin = end
        return lines

    def _loads(self, index: int, one: Pass) -> list[str]:
        """Return the lines that load streams, but for a gradient that `_gradient` loads."""
        is_first = not self._is_swept_before(index)
        streams = [s for s in one.streams if s.name != "grad" or s.loaded == Const(True) or not is_first]
        return conditional_lines(
            [(f"{safe(s.name)} = ops.load({s.name}_ptr + offsets, mask, math)", s.loaded) for s in streams]
        )

    def _gradient(self, index: int, stream: Stream) -> list[str]:
        """Return the lines that scale the gradient where it is loaded.

        The first sweep stores it divided by the scale, whether it needs it or not; later ones read it so.
        """
        scaled = "grad = ops.scaled(grad, grad_ptr + offsets, mask, {}, clip_factor)"
        if self._is_swept_before(index):
            return conditional_lines([(scaled.format("None"), stream.loaded)])
        lines = [scaled.format("grad_scale")]
        if stream.loaded == Const(True):
            return lines
        needed = "" if stream.loaded == Const(False) else f"({condition_text(stream.loaded)}) or "
        load = "grad = ops.load(grad_ptr + offsets, mask, math)"
        return [f"if {needed}grad_scale is not None:", *(f"    {line}" for line in (load, *lines))]

    def _is_swept_before(self, index: int) -> bool:
        """Return whether a pass before that one has a sweep."""
        return any(one.is_sweep for one in self._fused.passes[:index])

    def _read(self, load: str, name: str) -> str:
        """Return the text that loads a value from scratch, in the dtype of the arithmetic or as a truth value."""
        return f"{load} != 0" if name in self._truths else f"{load}.to(math)"

    def _each_tile(self, index: int, one: Pass) -> list[str]:
        """Return the lines that load columns and numbers of matrices, and make pointers to rows and partial results."""
        lines: list[str] = []
        for name in one.reads:
            dims = self._scratch.dims[name]
            if dims == ROW_VECTOR:
                lines.append(f"{name}_ptr = {self._scratch.vector(name)}")
            elif dims is not None:
                at, mask = (
                    ("at_matrix * width + at_column", "across")
                    if dims == COLUMN_VECTOR
                    else ("at_matrix", "at_matrix < matrices")
                )
                load = self._read(f"tl.load({self._scratch.vector(name)} + {at}, mask={mask})", name)
                lines += self._where_it_exists(name, load)
        for fold in one.folds:
            if fold.dims is not None:
                lines.append(f"{fold.target}_ptr = {self._scratch.partials(index, one, fold.target)}")
                lines.append(f"{fold.target}_ptr += {_ENTRIES_BEFORE[fold.dims]}")
        return lines

    def _each_row(self, one: Pass) -> list[str]:
        """Return the lines that load rows and start folds along rows."""
        lines: list[str] = []
        for name in one.reads:
            if self._scratch.dims[name] == ROW_VECTOR:
                load = self._read(f"tl.load({name}_ptr + at_matrix * height + at_row, mask=along)", name)
                lines += self._where_it_exists(name, load)
        return [*lines, *(_start(fold.target, fold.op, _TILE) for fold in one.folds if fold.dims == ROW_VECTOR)]

    def _where_it_exists(self, name: str, load: str) -> list[str]:
        """Return the lines that load a vector; where it is never computed, a number is in its place."""
        condition, line = self._scratch.exists(name), f"{safe(name)} = {load}"
        if condition == Const(True):
            return [line]
        return [f"if {condition_text(condition)}:", f"    {line}", "else:", f"    {safe(name)} = 0.0"]


# Where the partial results of a tile begin: those of the tiles before it, each with all entries of the tensor.
_ENTRIES_BEFORE = {
    ROW_VECTOR: "(first_column // tile_columns).to(tl.int64) * matrices * height",
    COLUMN_VECTOR: "(first_row // (tile_rows * tile_steps)).to(tl.int64) * matrices * width",
    MATRIX_NUMBER: "(tile % folds.tiles_of_matrix(height, width, tile_rows * tile_steps, tile_columns)) * matrices",
}


def words_of(lines: Iterable[str]) -> frozenset[str]:
    """Return the words of lines of code: names among them, without those of comments."""
    return frozenset(word for line in lines for word in re.findall(r"\w+", line.partition("#")[0]))


def _start(name: str, op: str, shape: str) -> str:
    return f"{safe(name)} = folds.{op}_start({shape}, math)"


def _unloaded(one: Pass) -> list[str]:
    """Return lines that give streams a value where statements read them, but nothing comes of that."""
    read = streams(tuple(use.name for use in one.streams), one.body)
    return [
        f"{safe(use.name)} = tl.zeros(offsets.shape, math)  # where it is not loaded, nothing comes of it"
        for use, anywhere in zip(one.streams, read, strict=True)
        if use.loaded != anywhere.loaded
    ]


def _may_be_unset(fold: Fold, one: Pass) -> bool:
    """Return whether a branch on a number of the row, if it is not taken, leaves what is folded without a value."""
    (use,) = streams((fold.value,), one.body)
    return use.loaded != Const(False)


def _add(fold: Fold) -> str:
    target = safe(fold.target)
    return f"{target} = folds.{fold.op}_lanes({target}, {safe(fold.value)}, mask)"


def _when_needed(stores: list[tuple[Fold, str]]) -> list[str]:
    """Return the lines that store partial results, given for each what follows the pointer."""
    lines: list[tuple[str, Expr]] = [(f"tl.store({fold.target}_ptr + {rest})", fold.needed) for fold, rest in stores]
    return conditional_lines(lines)


def _totals(one: Pass, *, tiled: bool, programs: int) -> list[str]:
    """Return the lines that store the partial results of a program.

    Args:
        one: The pass.
        tiled: Whether the program has done a tile.
        programs: The column of the geometry that has the first program of a tensor.
    """
    names = number_folds(one)
    along: list[tuple[Fold, str]] = []
    lines: list[tuple[str, Expr]] = []
    program = f"(tl.load(place + {programs}) + tile)" if tiled else "tl.program_id(0)"
    for fold in one.folds:
        lanes = safe(fold.target)
        if fold.dims is None:
            at = f"partials + {len(names)} * {program} + {names.index(fold.target)}"
            lines.append((f"tl.store({at}, folds.{fold.op}_all({lanes}))", fold.needed))
        elif fold.dims == COLUMN_VECTOR:
            along.append((fold, f"at_matrix * width + at_column, folds.{fold.op}_along({lanes}, 1), mask=across"))
        elif fold.dims == MATRIX_NUMBER:
            total = f"folds.{fold.op}_along(folds.{fold.op}_along({lanes}, 2), 1)"
            along.append((fold, f"at_matrix, {total}, mask=at_matrix < matrices"))
    return [*conditional_lines(lines), *_when_needed(along)]
