"""The launches of one step of a bucket, one after the other: tensor programs and sweeps.

In: a generated module of Triton kernels, and the bucket that it is to update. Out: launches on the current stream,
which wait for nothing. Everything that is the same in every step, scratch included, is made with the plan. A rule
without tensor programs is one launch. Where parameters wait for totals, some of the launches run between two barriers,
and what tensors add to the totals stays on the device until it is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from thetac.runtime.implementations.generated_modules import TritonKernels
from thetac.runtime.implementations.launcher import LaunchedBucket
from thetac.runtime.implementations.tables import ALIGNMENT, HEADER, chunk_table, shape_table
from thetac.runtime.implementations.triton_scratch import (
    ALL,
    GROUPED,
    Extents,
    Scratch,
    Tile,
    group_table,
    make_scratch,
)
from thetac.runtime.triton_passes import PassKernels

_WARPS = 8  # of a tensor program: it has a multiprocessor to itself, and waits for memory most of the time


@dataclass(frozen=True, slots=True)
class Launch:
    """One launch: a kernel, the table of its programs, and its constants."""

    number: int  # of its pass
    kernel: Any
    programs: Tensor  # int32 [programs, 2], where the kernel runs
    scratch: tuple[Tensor, ...]
    constants: Mapping[str, object]
    is_sweep: bool  # whether it takes gradients, and how they are scaled

    def start(self, tensors: Tensor, rows: Tensor, scaling: Mapping[str, Tensor | None]) -> None:
        """Start the kernel, with tables where it runs."""
        if not self.is_sweep:
            scaling = {"found_inf": scaling["found_inf"]}
        self.kernel[(len(self.programs),)](tensors, self.programs, rows, *self.scratch, **self.constants, **scaling)

    def compile(self, tensors: Tensor, rows: Tensor) -> None:
        """Compile the kernel for tables of these types."""
        grid = (len(self.programs),)
        self.kernel.warmup(tensors, self.programs, rows, *self.scratch, grid=grid, **self.constants)


@dataclass(frozen=True, slots=True)
class Launches:
    """The launches of a step, in order."""

    launches: Sequence[Launch]  # none where every tensor is empty and there is no tensor program
    terms: Sequence[Tensor]  # for each total what tensors add to it: float64 [tensors], where kernels run

    def of(self, passes: tuple[int, int | None]) -> list[Launch]:
        """Return those of some passes: the first of them, and the one after the last; None: up to the end."""
        begin, end = passes
        return [one for one in self.launches if begin <= one.number and (end is None or one.number < end)]


def launches_of(kernels: TritonKernels, bucket: LaunchedBucket, chunks: Tensor) -> Launches:
    """Return the launches of a step.

    Args:
        kernels: the generated module
        bucket: what it is to update
        chunks: the table of the bucket's chunks, where kernels run
    """
    if hasattr(kernels, "PASSES"):
        passes = _Passes(kernels, bucket, chunks)
        launches, terms = passes.launches(), passes.terms()
    else:
        launches, terms = [Launch(0, kernels.kernel, chunks, (), _sweep_constants(kernels, bucket), is_sweep=True)], []
    return Launches([launch for launch in launches if len(launch.programs)], terms)


class _Passes:
    """The launches of a rule with tensor programs.

    Where there are axes, kernels are compiled for each sort of tile that the tensors need, and launched for each.
    """

    def __init__(self, kernels: TritonKernels, bucket: LaunchedBucket, chunks: Tensor) -> None:
        self._kernels = kernels
        self._bucket = bucket
        self._chunks = chunks
        self._passes: Sequence[PassKernels] = kernels.PASSES
        self._has_vectors = kernels.has_vectors(**bucket.specialisations)
        itemsize = bucket.dtypes["param"].itemsize
        if self._has_vectors:
            shapes = shape_table(bucket.shapes, bucket.sizes, of_matrix=bucket.schema.view == "matrix")
            self._extents = [Extents(*shape) for shape in shapes.tolist()]
        else:
            self._extents = [Extents.of_any_shape(size, itemsize) for size in bucket.sizes]
        self._tiles = [Tile.of(extents, itemsize) for extents in self._extents]
        self._scratch = self._make_scratch()

    def launches(self) -> list[Launch]:
        """Return the launches of all passes."""
        found: list[Launch] = []
        for number, one in enumerate(self._passes):
            if one.program is not None:
                found += self._program(number, one.program, divides=one.divides)
            if one.sweep is not None:
                found += self._sweep(number, one)
            if one.terms is not None:
                found += self._program(number, one.terms, divides=False)
        return found

    def terms(self) -> list[Tensor]:
        """Return the numbers that tensors add to each total."""
        return [self._scratch.numbers[:, place] for place in getattr(self._kernels, "TERMS", ())]

    def _make_scratch(self) -> Scratch:
        wide = self._bucket.dtypes["param"] == torch.float64
        return make_scratch(
            self._extents,
            self._tiles,
            [self._counts(one) for one in self._passes],
            self._passes,
            self._kernels.SCRATCH,
            has_vectors=self._has_vectors,
            dtype=torch.float64 if wide else torch.float32,
            device=self._bucket.device,
        )

    def _counts(self, one: PassKernels) -> list[int]:
        """Return the number of programs of a sweep for each tensor."""
        if one.sweep is None:
            return [0] * len(self._extents)
        if not one.tiled:
            return [-(-size // self._kernels.CHUNK) for size in self._bucket.sizes]
        return [_product(tile.count(of)) for of, tile in zip(self._extents, self._tiles, strict=True)]

    def _program(self, number: int, kernel: Any, *, divides: bool) -> list[Launch]:
        """Return the launches of a tensor program: one, or one for each sort of tile."""
        constants = {**_constants(self._kernels, self._bucket, self._kernels.SMALL), "num_warps": _WARPS}
        if not self._kernels.AXES:
            return [self._launch(number, kernel, group_table(self._extents, ALL), constants, is_sweep=False)]
        found = []
        for tile, positions in self._by_tile().items():
            grouped = ALL if not divides else tile.matrices * GROUPED if tile.matrices > 1 else 1
            programs = group_table([self._extents[position] for position in positions], grouped)
            own = {**constants, **_tile_constants(tile), "group_matrices": grouped}
            found.append(self._launch(number, kernel, _of_positions(programs, positions), own, is_sweep=False))
        return found

    def _sweep(self, number: int, one: PassKernels) -> list[Launch]:
        """Return the launches of a sweep: one, or one for each sort of tile."""
        constants = _sweep_constants(self._kernels, self._bucket)
        if not one.tiled:
            return [self._launch(number, one.sweep, self._chunks, constants, is_sweep=True)]
        smallest = min(self._bucket.dtypes[name].itemsize for name in self._kernels.STREAMS)
        counts = self._counts(one)
        found = []
        for tile, positions in self._by_tile().items():
            programs = _of_positions(chunk_table([counts[position] for position in positions], 1), positions)
            own = {**constants, **_tile_constants(tile), "row_alignment": ALIGNMENT // smallest}
            found.append(self._launch(number, one.sweep, programs, own, is_sweep=True))
        return found

    def _by_tile(self) -> dict[Tile, list[int]]:
        """Return the positions of the tensors by their tiles."""
        found: dict[Tile, list[int]] = {}
        for position, tile in enumerate(self._tiles):
            found.setdefault(tile, []).append(position)
        return found

    def _launch(
        self, number: int, kernel: Any, programs: Tensor, constants: Mapping[str, object], *, is_sweep: bool
    ) -> Launch:
        return Launch(number, kernel, programs.to(self._bucket.device), self._scratch.pointers, constants, is_sweep)


def _sweep_constants(kernels: TritonKernels, bucket: LaunchedBucket) -> dict[str, object]:
    """Return the constants that every kernel over elements takes."""
    return _constants(kernels, bucket, kernels.STREAMS)


def _constants(kernels: TritonKernels, bucket: LaunchedBucket, tensors: Sequence[str]) -> dict[str, object]:
    """Return the constants of a kernel that reads these streams or small states."""
    return {
        "header": HEADER,
        **{f"{name}_dtype": triton_dtype(bucket.dtypes[name]) for name in tensors},
        **bucket.specialisations,
        **kernels.LAUNCH_OPTIONS,
    }


@cache
def triton_dtype(dtype: torch.dtype) -> object:
    """Return the dtype of the same name. Imported here: triton costs half a second, and need not be installed."""
    dtypes: object = getattr(importlib.import_module("triton.language"), str(dtype).removeprefix("torch."))
    return dtypes


def _tile_constants(tile: Tile) -> dict[str, object]:
    return {
        "tile_matrices": tile.matrices,
        "tile_rows": tile.rows,
        "tile_columns": tile.columns,
        "tile_steps": tile.steps,
    }


def _of_positions(programs: Tensor, positions: Sequence[int]) -> Tensor:
    """Return a table of programs of some tensors with the positions of these among all."""
    found = programs.clone()
    found[:, 0] = torch.tensor(positions, dtype=torch.int32, device="cpu")[programs[:, 0].long()]
    return found


def _product(counts: tuple[int, int, int]) -> int:
    matrices, down, across = counts
    return matrices * down * across
