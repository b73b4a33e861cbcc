"""The modules of a generated package, as the runtime calls them: the contract between generated code and runtime.

In: the name of a package. Out: its modules, imported when they are first asked for, each with the functions that the
compiler writes into it. Their keywords are the names in the schema: arguments of states, firsts, and values by element
name. A function takes those values that it reads. Must not know what the functions compute.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol, TypeVar, cast

from torch import Tensor

from thetac.runtime.param_groups.groups import HostScalars
from thetac.runtime.scalar_stages import Barrier, Stages
from thetac.runtime.tensors import Scalar
from thetac.runtime.triton_passes import Counts, PassKernels

Value = TypeVar("Value")


class ForLoop(Protocol):
    """`forloop.py`: the rule in torch's operations, one parameter after the other."""

    def step(self, params: list[Tensor], grads: list[Tensor], /, **keywords: object) -> None:
        """Update parameters and states in place, with host scalars."""
        ...

    def step_on_tensors(self, params: list[Tensor], grads: list[Tensor], /, **keywords: object) -> None:
        """Update parameters and states in place, in tensor arithmetic: no value is copied to the host."""
        ...


class Foreach(Protocol):
    """`foreach.py`: the rule in torch's list operations."""

    def step(self, params: list[Tensor], grads: list[Tensor], /, **keywords: object) -> None:
        """Update parameters and states in place, with one host scalar for a whole list."""
        ...


class Scalars(Protocol):
    """`scalars.py`: the part of the rule that is the same for all elements of a parameter."""

    ROW: tuple[str, ...]  # names of the scalars in a row

    def scalars(self, **keywords: object) -> tuple[Sequence[float], Sequence[float]]:
        """Return a scalar row and the new scalar states, in the schema's order."""
        ...

    def scalars_on_tensors(self, **keywords: object) -> tuple[Sequence[Scalar], Sequence[Scalar]]:
        """Return the same in tensor arithmetic, which copies no value to the host."""
        ...


class StagedScalars(Protocol):
    """`scalars.py` of a rule whose parameters wait for totals, or share numbers."""

    ROW: tuple[str, ...]
    BARRIERS: tuple[Barrier, ...]

    def scalars(self, **keywords: object) -> Stages:
        """Yield what a scalar row gains in each stage."""
        ...


class Grid(Protocol):
    """A kernel with the number of its programs."""

    def __call__(self, tensors: Tensor, chunks: Tensor, rows: Tensor, **constants: object) -> object: ...


class Kernel(Protocol):
    """A function compiled by `triton.jit`; the index is the grid."""

    def __getitem__(self, grid: tuple[int, ...]) -> Grid: ...

    def warmup(
        self, tensors: Tensor, chunks: Tensor, rows: Tensor, *, grid: tuple[int, ...], **constants: object
    ) -> object:
        """Compile the kernel for arguments of these types and these constants, and launch nothing."""
        ...


class TritonKernels(Protocol):
    """`triton_kernels.py`: the rule as a Triton kernel, or as several if a rule has tensor programs."""

    kernel: Kernel  # of the first sweep
    STREAMS: tuple[str, ...]  # what sweeps read and write, in the order of the address table
    CHUNK: int  # elements per program
    LAUNCH_OPTIONS: Mapping[str, object]

    # What follows exists only where there are tensor programs.
    SMALL: tuple[str, ...]  # states that tensor programs use; their addresses follow those of the streams
    PASSES: tuple[PassKernels, ...]
    SCRATCH: Counts  # what kernels keep of each tensor
    AXES: bool  # whether anything is per row, column or matrix
    TERMS: tuple[int, ...]  # of totals, where there are any: their places among a tensor's numbers

    def has_vectors(self, **specialisations: bool) -> bool:
        """Return whether kernels of these specialisations compute anything per row, column or matrix."""
        ...


@cache
def forloop_of(package: str) -> ForLoop:
    """Return the module of the for-loop."""
    return cast(ForLoop, importlib.import_module(f"{package}.forloop"))


@cache
def foreach_of(package: str) -> Foreach:
    """Return the module of foreach."""
    return cast(Foreach, importlib.import_module(f"{package}.foreach"))


@cache
def scalars_of(package: str) -> Scalars:
    """Return the module that computes scalar rows."""
    return cast(Scalars, importlib.import_module(f"{package}.scalars"))


@cache
def staged_scalars_of(package: str) -> StagedScalars:
    """Return the module that computes scalar rows in stages."""
    return cast(StagedScalars, importlib.import_module(f"{package}.scalars"))


@cache
def triton_kernels_of(package: str) -> TritonKernels:
    """Return the module of the Triton kernel; this imports triton."""
    return cast(TritonKernels, importlib.import_module(f"{package}.triton_kernels"))


@cache
def has_triton_kernels(package: str) -> bool:
    """Return whether triton and the package's kernels are installed, without importing them."""
    return all(importlib.util.find_spec(name) is not None for name in ("triton", f"{package}.triton_kernels"))


@cache
def kernel_source(package: str) -> Path | None:
    """Return the path of a package's C++ kernel, which need not exist; None for a rule that is not in a package."""
    found = importlib.util.find_spec(package)
    for folder in (found and found.submodule_search_locations) or ():
        return Path(folder) / "kernels.cpp"
    return None


@cache
def keywords_of(function: Callable[..., object]) -> frozenset[str]:
    """Return the names of the keyword-only arguments of a generated function, looked up once per function."""
    parameters = inspect.signature(function).parameters.values()
    return frozenset(parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY)


def taken(keywords: frozenset[str], values: Mapping[str, Value]) -> dict[str, Value]:
    """Return the values that a function with these keywords takes, by name."""
    return {name: value for name, value in values.items() if name in keywords}


class TakenScalars:
    """Picks the host scalars that a function takes, once for every reading of a group."""

    def __init__(self, keywords: frozenset[str]) -> None:
        self._keywords = keywords
        self._given: HostScalars | None = None  # as the group was read last
        self._taken: HostScalars = {}

    def pick(self, host_scalars: HostScalars) -> HostScalars:
        """Return those that the function takes."""
        if host_scalars is not self._given:
            self._given, self._taken = host_scalars, taken(self._keywords, host_scalars)
        return self._taken
