"""Launches the generated C++ kernel of one bucket: a call through ctypes, on the threads that torch uses.

In: the address table and scalar rows of a bucket. Out: updated tensors. Must not know what the rows mean, nor how
objects are built: building/compiled_objects.py finds or builds them, and cpp_interface.py describes their interface.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from thetac.runtime.building.compiled_objects import BuildError, load_object
from thetac.runtime.implementations.cpp_interface import (
    ALL_PASSES,
    CPP,
    DTYPE_NAMES,
    HEADERS,
    KERNEL,
    NORM,
    Launch,
    macros,
)
from thetac.runtime.implementations.generated_modules import kernel_source, staged_scalars_of
from thetac.runtime.implementations.launcher import LaunchedBucket
from thetac.runtime.implementations.openmp import openmp
from thetac.runtime.implementations.tables import chunk_table, shape_table
from thetac.runtime.param_groups.grad_scaling import NONE, Scaling
from thetac.runtime.schema import Schema


def load_kernel(schema: Schema, dtypes: Sequence[torch.dtype], specialisations: Sequence[bool]) -> ctypes.CDLL:
    """Return the object of a kernel, built if need be.

    Args:
        schema: the optimizer's
        dtypes: of its streams, in their order
        specialisations: values of the schema's specialisations, in their order

    Raises:
        BuildError: it cannot be built, or fits another version of the runtime
    """
    return load_object(*recipe_of(schema, dtypes, specialisations), ctypes.CDLL, KERNEL)


def load_norm(dtype: torch.dtype) -> ctypes.CDLL:
    """Return the object that adds up squares of gradients of this dtype, built if need be; raise BuildError."""
    return load_object(*recipe_of_norm(dtype), ctypes.CDLL, NORM)


def recipe_of(
    schema: Schema, dtypes: Sequence[torch.dtype], specialisations: Sequence[bool]
) -> tuple[list[Path], dict[str, str], str]:
    """Return the sources, macros and file name from which an object is built.

    Args:
        schema: the optimizer's
        dtypes: of its streams, in their order
        specialisations: values of the schema's specialisations, in their order; they make a difference only where
            `schema.separate_kernels` says so

    Returns:
        The source and the headers, the macros, and what begins the object's file name: it has the dtype once where all
        are the same.

    Raises:
        BuildError: the optimizer has no C++ kernel
    """
    source = kernel_source(schema.package)
    if source is None:
        raise BuildError(f"{schema.package} is not an importable package, so it has no kernels.cpp; generate it again")
    defines = macros(dtypes, specialisations if schema.separate_kernels else None)
    kinds = [DTYPE_NAMES[dtype].lower() for dtype in (dtypes if len(set(dtypes)) > 1 else dtypes[:1])]
    return [source, *HEADERS], defines, "-".join((schema.package.rpartition(".")[2], *kinds))


def recipe_of_norm(dtype: torch.dtype) -> tuple[list[Path], dict[str, str], str]:
    """Return the recipe of the object that adds up squares of gradients of this dtype, as `recipe_of` does."""
    return [CPP / "norm.cpp", *HEADERS], macros([dtype]), f"norm-{DTYPE_NAMES[dtype].lower()}"


class CppLauncher:
    """Launches a kernel; keeps everything that is the same in every step."""

    def __init__(self, bucket: LaunchedBucket) -> None:
        values = tuple(bucket.specialisations.values())
        library = load_kernel(bucket.schema, tuple(bucket.dtypes.values()), values)
        self._step = _returning_nothing(library.thetac_step)
        self._streams = len(bucket.dtypes)
        self._grad_dtype = bucket.dtypes["grad"]
        self._chunk = ctypes.c_int64.in_dll(library, "thetac_chunk").value
        self._chunks = chunk_table(bucket.sizes, self._chunk)
        self._most_for_norm = -(-sum(bucket.sizes) // self._chunk)
        separate = bucket.schema.separate_kernels  # compiled for these values; there may be more than 64
        self._launch = Launch(
            chunks=self._chunks.data_ptr(),
            n_chunks=len(self._chunks),
            specialisations=0 if separate else sum(holds << bit for bit, holds in enumerate(values)),
            end_pass=ALL_PASSES,
        )
        self._address = ctypes.byref(self._launch)
        if hasattr(library, "thetac_prepare"):
            self._prepare(library.thetac_prepare, bucket)
        self.launches = 1  # a call does all passes up to a barrier, or to the end of the step
        if bucket.schema.waits:
            barriers = staged_scalars_of(bucket.schema.package).BARRIERS
            self.launches += len(barriers)
            totals = sum(len(barrier.in_group) for barrier in barriers)
            self._terms = torch.empty((totals, len(bucket.sizes)), dtype=torch.float64, device="cpu")
            if totals:
                self._read_terms = _returning_nothing(library.thetac_terms)

    def _prepare(self, prepare: ctypes._NamedFuncPointer, bucket: LaunchedBucket) -> None:
        """Make the memory in which a kernel of several passes keeps what it computes per parameter, row and column."""
        prepare.restype = ctypes.c_int64
        self._shapes = shape_table(bucket.shapes, bucket.sizes, of_matrix=bucket.schema.view == "matrix")
        launch = self._launch
        launch.n_tensors = len(self._shapes)
        launch.shapes = self._shapes.data_ptr()
        # torch aligns it to 64 bytes.
        self._scratch = torch.empty(prepare(self._address), dtype=torch.uint8, device="cpu")
        launch.scratch = self._scratch.data_ptr()
        prepare(self._address)

    def launch(self, tensors: Tensor, rows: Tensor, scaling: Scaling = NONE) -> None:
        """Update every tensor of the bucket; see `Launcher`."""
        launch = self._launch
        launch.rows = rows.data_ptr()
        launch.grad_scale = 1.0 if scaling.grad_scale is None else scaling.grad_scale.item()
        launch.clip = 1.0 if scaling.clip_coefficient is None else scaling.clip_coefficient.item()
        launch.write_back = scaling.grad_scale is not None
        self._use_threads(torch.get_num_threads())  # the kernel takes fewer for small work
        launch.tensors = tensors.data_ptr()
        self._step(self._address)

    def resize(self, sizes: Tensor, largest: int) -> None:
        """Take other tensors for the next launch, of a rule that computes each element by itself.

        Args:
            sizes: their numbers of elements, int64
            largest: the largest of them
        """
        if 0 < largest <= self._chunk:
            self._chunks = torch.zeros((len(sizes), 2), dtype=torch.int32, device="cpu")
            self._chunks[:, 0] = torch.arange(len(sizes), dtype=torch.int32, device="cpu")
        else:
            self._chunks = chunk_table(sizes, self._chunk)
        self._launch.chunks, self._launch.n_chunks = self._chunks.data_ptr(), len(self._chunks)

    def launch_passes(self, tensors: Tensor, rows: Tensor, scaling: Scaling, passes: tuple[int, int | None]) -> None:
        """Do some passes of a step; see `StagedLauncher`."""
        self._launch.first_pass, self._launch.end_pass = passes[0], ALL_PASSES if passes[1] is None else passes[1]
        self.launch(tensors, rows, scaling)

    def read_terms(self) -> list[list[float]]:
        """Return for each total what each tensor adds to it; see `StagedLauncher`."""
        self._read_terms(self._address, ctypes.c_void_p(self._terms.data_ptr()))
        return cast(list[list[float]], self._terms.tolist())

    def sum_of_squares(self, tensors: Tensor) -> Tensor:
        """Return the sum over all gradients, added up in one order whatever the number of threads; see `Launcher`."""
        norm = _returning_nothing(load_norm(self._grad_dtype).thetac_sum_of_squares)
        sums = torch.empty(max(len(self._chunks), 1), dtype=torch.float64, device="cpu")
        launch = self._launch
        launch.tensors = tensors.data_ptr()
        self._use_threads(min(torch.get_num_threads(), self._most_for_norm))
        norm(self._address, ctypes.c_int64(self._streams), ctypes.c_void_p(sums.data_ptr()))
        return sums[0]

    def _use_threads(self, number: int) -> None:
        """Set the upper bound on threads, and the OpenMP runtime that they belong to."""
        runtime = openmp()
        self._launch.threads = number
        self._launch.parallel = runtime.parallel
        self._launch.thread_number = runtime.thread_number


def _returning_nothing(function: ctypes._NamedFuncPointer) -> ctypes._NamedFuncPointer:
    """Return the function, declared to return nothing."""
    function.restype = None
    return function
