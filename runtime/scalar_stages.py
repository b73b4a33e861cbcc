"""Scalar programs in stages: between two of them, all parameters wait for sums that kernels have the terms of.

A generated program of such a rule is a generator. At each barrier it yields the numbers that the scalar row gains, and
is sent the totals. It returns what the last stage adds. Numbers are floats. Must not know of optimizers, groups or
kernels.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Barrier:
    """Where the host waits for totals, one after the other."""

    passes: int  # how many passes of the kernels come before it
    in_group: tuple[bool, ...]  # of each total, whether it is over the parameters of a group


@dataclass(frozen=True, slots=True)
class LastStage:
    """What a scalar program returns."""

    row: Sequence[float]  # the rest of it
    states: Sequence[float]  # the new scalar states, in the schema's order
    shared: Mapping[str, float]  # the new shared numbers


Stages = Generator[Sequence[float], Sequence[float], LastStage]
