"""The interface between executors and launchers of fused kernels.

In: nothing. Out: the description of a bucket that a launcher is made for, and the interface of launchers. Must not know
any executor or launcher.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from thetac.runtime.param_groups.grad_scaling import NONE, Scaling
from thetac.runtime.schema import Schema


@dataclass(frozen=True, slots=True)
class LaunchedBucket:
    """The tensors that one launch updates: everything about them that is the same in every step."""

    schema: Schema
    device: torch.device
    dtypes: Mapping[str, torch.dtype]  # of the streams, in their order
    specialisations: Mapping[str, bool]  # their values, in the schema's order
    sizes: Sequence[int]  # numbers of elements of the tensors, in the order of the address table
    shapes: Sequence[torch.Size]  # of the tensors; the sizes of complex ones are twice as large


class Launcher(Protocol):
    """The compiled kernels for one bucket."""

    @property
    def launches(self) -> int:
        """How many launches a step takes."""
        ...

    def launch(self, tensors: Tensor, rows: Tensor, scaling: Scaling = NONE) -> None:
        """Update every tensor of a bucket.

        Args:
            tensors: the address table, int64 [tensors, HEADER + streams]
            rows: the scalar rows, [rows, entries], float64 for float64 parameters, else float32
            scaling: how gradients are unscaled and clipped before the update
        """
        ...

    def sum_of_squares(self, tensors: Tensor) -> Tensor:
        """Return the sum of squares of all gradients: 0-d float64 on their device, bitwise reproducible."""
        ...


class StagedLauncher(Launcher, Protocol):
    """The compiled kernels of a rule with totals: between some passes, the host adds up what they have computed."""

    def launch_passes(self, tensors: Tensor, rows: Tensor, scaling: Scaling, passes: tuple[int, int | None]) -> None:
        """Do some passes of a step; see `launch`.

        Args:
            tensors: the address table
            rows: the scalar rows, of which these passes and earlier ones have all that they read
            scaling: the same for all passes of a step
            passes: the first of them, and the one after the last; None: up to the end
        """
        ...

    def read_terms(self) -> list[list[float]]:
        """Return for each total what each tensor adds to it; those of passes that are not done mean nothing."""
        ...


MakeLauncher = Callable[[LaunchedBucket], Launcher]
