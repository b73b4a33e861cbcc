"""Sums and maxima over flat vectors, of which other processes may have parts.

In: vectors of this process. Out: numbers of the whole vectors, the same in all processes to the bit. A vector has an
element of a sharded parameter in one process and an element of a replicated one in all of them. Every part is added up
where it is, and what is sharded alike is added over the processes in one go. Must not know what vectors mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from thetac.runtime.tensor_facts.dtensors import is_dtensor

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

_LARGE = 20_000  # elements of which one sweep of memory takes longer than the calls that save it

PartialSums = Callable[[int, int], Tensor]  # float64 sums over the elements from one index to another


class Sums:
    """Reductions of vectors that this process has as a whole; results are 0-d, in the dtype of the vectors."""

    def __init__(self, numel: int) -> None:
        self._numel = numel  # of this process

    def dot(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the sum of products."""
        return x.dot(y)

    def sum(self, x: Tensor) -> Tensor:
        """Return the sum."""
        return x.sum()

    def mean(self, x: Tensor) -> Tensor:
        """Return the arithmetic mean; of nothing NaN."""
        return x.mean()

    def norm(self, x: Tensor) -> Tensor:
        """Return the Euclidean norm."""
        length: Tensor = x.norm()
        return length

    def max(self, x: Tensor) -> Tensor:
        """Return the largest number, NaN if there is one; of nothing minus infinity."""
        return x.max() if x.numel() else x.new_full((), -math.inf)

    def min(self, x: Tensor) -> Tensor:
        """Return the smallest number, NaN if there is one; of nothing infinity."""
        lowest: Tensor = self.max(x.neg()).neg()
        return lowest

    def largest_abs(self, x: Tensor) -> Tensor:
        """Return the largest magnitude, NaN if there is NaN; of nothing minus infinity."""
        if x.numel() < _LARGE:
            return self.max(x.abs())
        low, high = x.aminmax()  # sweeps memory once
        return self.max(torch.stack((low.abs(), high.abs())))

    def whole(self, partial: PartialSums) -> Tensor:
        """Return sums of which `partial` returns those over a range of this process's elements, float64."""
        return partial(0, self._numel)

    def agreed(self, loss: float) -> float:
        """Return the loss by which all processes decide."""
        return loss


def sums_of(params: Sequence[Tensor], sizes: Sequence[int]) -> Sums:
    """Return what adds up flat vectors of these parameters.

    Args:
        params: The parameters.
        sizes: How many reals of each this process has.
    """
    if not any(map(is_dtensor, params)):
        return Sums(sum(sizes))
    runs: list[_Run] = []
    meshes: dict[ProcessGroup, None] = {}
    start = 0
    for param, size in zip(params, sizes, strict=True):
        sharding: tuple[ProcessGroup, ...] = ()
        if is_dtensor(param):
            groups = param.device_mesh.get_all_groups()
            meshes |= dict.fromkeys(groups)
            sharding = tuple(
                group for group, placement in zip(groups, param.placements, strict=True) if placement.is_shard()
            )
        if runs and runs[-1].groups == sharding:
            runs[-1] = _Run(runs[-1].start, start + size, sharding)
        else:
            runs.append(_Run(start, start + size, sharding))
        start += size
    return _ShardedSums(start, runs, tuple(meshes), params[0].device)


@dataclass(frozen=True, slots=True)
class _Run:
    """Successive elements whose parameters are sharded alike."""

    start: int
    stop: int
    groups: tuple[ProcessGroup, ...]  # one for each dimension of the mesh along which they are sharded


class _ShardedSums(Sums):
    """Reductions of vectors of which other processes have parts."""

    def __init__(self, numel: int, runs: Sequence[_Run], groups: Sequence[ProcessGroup], device: torch.device) -> None:
        super().__init__(numel)
        self._runs, self._groups, self._device = runs, groups, device

    def dot(self, x: Tensor, y: Tensor) -> Tensor:
        return self.whole(lambda start, stop: x[start:stop].dot(y[start:stop]).double()).to(x.dtype)

    def sum(self, x: Tensor) -> Tensor:
        return self.whole(lambda start, stop: x[start:stop].sum(dtype=torch.float64)).to(x.dtype)

    def mean(self, x: Tensor) -> Tensor:
        def sum_and_count(start: int, stop: int) -> Tensor:
            total = x[start:stop].sum(dtype=torch.float64)
            return torch.stack([total, torch.full_like(total, stop - start)])

        total, count = self.whole(sum_and_count)
        average: Tensor = (total / count).to(x.dtype)
        return average

    def norm(self, x: Tensor) -> Tensor:
        squares: Tensor = self.whole(lambda start, stop: x[start:stop].double().square().sum())
        length: Tensor = squares.sqrt().to(x.dtype)
        return length

    def max(self, x: Tensor) -> Tensor:
        mine = super().max(x)
        # Communication does not keep NaN: it is the largest of all here, with a mark.
        found = torch.stack([mine.isnan().to(x.dtype), mine.masked_fill(mine.isnan(), math.inf)])
        for group in self._groups:
            torch.distributed.all_reduce(found, torch.distributed.ReduceOp.MAX, group=group)
        return found[1].masked_fill(found[0] > 0, math.nan)

    def whole(self, partial: PartialSums) -> Tensor:
        by_groups: dict[tuple[ProcessGroup, ...], Tensor] = {}
        for run in self._runs:
            sums = partial(run.start, run.stop)
            by_groups[run.groups] = by_groups[run.groups] + sums if run.groups in by_groups else sums
        for groups, sums in by_groups.items():
            for group in groups:
                torch.distributed.all_reduce(sums, group=group)
        total, *others = by_groups.values()
        for sums in others:
            total = total + sums
        return total

    def agreed(self, loss: float) -> float:
        """Return the mean of the losses of all processes, of which each has evaluated its share of the data."""
        sums = torch.tensor([loss, 1.0], dtype=torch.float64, device=self._device)
        for group in self._groups:
            torch.distributed.all_reduce(sums, group=group)
        return float((sums[0] / sums[1]).item())
