"""The scratch of kernels with several passes: what a bucket keeps beside parameters, gradients and states in a step.

In: the shapes of a bucket's tensors, and what the generated module says of its passes. Out: tiles, tables and memory,
made with the plan. Kernels find their places by the geometry; codegen/backends/kernels/triton_scratch.py writes these
places into them. Must not know what the values mean, nor how kernels are launched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thetac.runtime.implementations.tables import chunk_table
from thetac.runtime.tensor_facts.memory import pack_integers
from thetac.runtime.triton_passes import Counts, PassKernels

THREADS = 128  # of a program of a sweep, each of which moves 128 bits of the parameter at a time
STEPS = 32  # blocks of a tile, one below the other
GROUPED = 8  # blocks of matrices that one program of a tensor program does, where several may do a tensor
ALL = 1 << 30  # matrices


@dataclass(frozen=True, slots=True)
class Extents:
    """A tensor as a batch of matrices; one with fewer than two axes is a row."""

    matrices: int
    height: int
    width: int

    @classmethod
    def of_any_shape(cls, size: int, itemsize: int) -> Extents:
        """Return extents for a tensor whose shape makes no difference: few sorts of tiles, which it fills."""
        columns = THREADS * 16 // itemsize // 4
        is_large = size >= 4 * STEPS * columns
        return cls(1, size // columns, columns) if is_large and size % columns == 0 else cls(1, 1, size)


@dataclass(frozen=True, slots=True)
class Tile:
    """What one program of a sweep takes of a tensor: `steps` blocks, one below the other."""

    matrices: int
    rows: int
    columns: int
    steps: int

    @classmethod
    def of(cls, extents: Extents, itemsize: int) -> Tile:
        """Return the tile for a tensor of elements of that size: few different ones, as kernels are compiled for each.

        A block has rows of 32 threads where the matrix is wide, and several matrices where they are small.
        """
        block = THREADS * 16 // itemsize
        if extents.matrices * extents.height <= 1:
            return cls(1, 1, block, 1)
        columns = next((n for n in (1, 4, 8, 32) if extents.width <= n), block // 4)
        rows = min(next((n for n in (1, 4, 8, 32, 128) if extents.height <= n), block), block // columns)
        fits = rows >= extents.height and columns >= extents.width
        matrices = block // (rows * columns) if fits else 1
        return cls(matrices, rows, columns, STEPS if matrices == 1 else 1)

    def count(self, extents: Extents) -> tuple[int, int, int]:
        """Return how many of them cover a tensor, along matrices, rows and columns."""
        return (
            -(-extents.matrices // self.matrices),
            -(-extents.height // (self.rows * self.steps)),
            -(-extents.width // self.columns),
        )


@dataclass(frozen=True, slots=True)
class Scratch:
    """The memory of a bucket, on the device of its kernels; the pointers that all of them take, in order."""

    geometry: Tensor  # int64 [tensors, 4 + 3 * passes]
    numbers: Tensor  # float64 [tensors, numbers]
    vectors: Tensor  # float64, tensor after tensor
    partials: Tensor  # float64: of each program of a sweep, one for each fold to one number per parameter
    vector_partials: Tensor  # in the dtype of the sweeps' arithmetic, tensor after tensor

    @property
    def pointers(self) -> tuple[Tensor, ...]:
        """Return the tensors in the order of the kernels' arguments."""
        return self.geometry, self.numbers, self.vectors, self.partials, self.vector_partials


def make_scratch(
    extents: Sequence[Extents],
    tiles: Sequence[Tile],
    programs: Sequence[Sequence[int]],
    passes: Sequence[PassKernels],
    counts: Counts,
    *,
    has_vectors: bool,
    dtype: torch.dtype,
    device: torch.device,
) -> Scratch:
    """Allocate scratch for a bucket and work out its geometry.

    Args:
        extents: of the tensors
        tiles: of the tensors
        programs: of each pass, the number of programs of its sweep for each tensor
        passes: what the generated module says of them
        counts: how many numbers and vectors there are for each tensor
        has_vectors: whether vectors are computed at all
        dtype: of the arithmetic of sweeps
        device: of the kernels
    """
    none = Counts(0, 0, 0, 0)
    vectors = _starts([_entries(one, counts if has_vectors else none) for one in extents])
    columns = [
        [one.matrices for one in extents],
        [one.height for one in extents],
        [one.width for one in extents],
        vectors[:-1],
    ]
    most_partials, most_of_vectors = 0, 0
    for one, of_pass in zip(passes, programs, strict=True):
        first = _starts(of_pass)
        along = _starts(
            [_tile_entries(a, tile, one.folds if has_vectors else none) for a, tile in zip(extents, tiles, strict=True)]
        )
        columns += [first[:-1], list(of_pass), along[:-1]]
        most_partials = max(most_partials, first[-1] * one.folds.per_parameter)
        most_of_vectors = max(most_of_vectors, along[-1])
    return Scratch(
        torch.stack([pack_integers(column) for column in columns], dim=1).to(device),
        torch.zeros((len(extents), max(counts.per_parameter, 1)), dtype=torch.float64, device=device),
        torch.zeros(max(vectors[-1], 1), dtype=torch.float64, device=device),
        torch.zeros(max(most_partials, 1), dtype=torch.float64, device=device),
        torch.zeros(max(most_of_vectors, 1), dtype=dtype, device=device),
    )


def group_table(extents: Sequence[Extents], matrices: int) -> Tensor:
    """Return the groups of matrices that programs of a tensor program do; a tensor without elements has one, too.

    Returns:
        int32 [programs, 2]: the index of the tensor, and that of the group within it
    """
    return chunk_table([max(one.matrices, 1) for one in extents], matrices)


def _starts(sizes: Sequence[int]) -> list[int]:
    """Return where each of several pieces begins that lie one after the other, and where the last one ends."""
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + size)
    return starts


def _entries(one: Extents, counts: Counts) -> int:
    """Return how many numbers the vectors of a tensor have."""
    return one.matrices * (counts.per_row * one.height + counts.per_column * one.width + counts.per_matrix)


def _tile_entries(one: Extents, tile: Tile, folds: Counts) -> int:
    """Return how many partial results the folds along axes of a tensor have."""
    _, down, across = tile.count(one)
    return one.matrices * (
        folds.per_row * across * one.height + folds.per_column * down * one.width + folds.per_matrix * down * across
    )
