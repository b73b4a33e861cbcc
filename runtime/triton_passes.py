"""What a generated module of Triton kernels with several passes tells the runtime about them.

Generated code makes one `PassKernels` per pass; the launcher allocates scratch and starts the kernels by it. Must not
know Triton: a kernel is whatever the launcher can launch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Counts:
    """How many values there are of each sort."""

    per_parameter: int
    per_row: int
    per_column: int
    per_matrix: int


@dataclass(frozen=True, slots=True)
class PassKernels:
    """One pass: a tensor program, then a sweep over all elements."""

    program: Any | None  # the kernel of the tensor program, which completes the folds of the pass before
    divides: bool  # whether several programs may compute one tensor, each some of its matrices
    sweep: Any | None  # the kernel of the sweep
    tiled: bool  # whether a program of the sweep takes a tile of a matrix, and not a chunk of the tensor
    folds: Counts  # of the sweep
    terms: Any | None = None  # the kernel that completes folds that are added up over all parameters, after the sweep
