"""What a plan asks of an implementation: an executor updates some members of a step together.

In: nothing. Out: the interface, and the order of its calls. A plan makes an executor from members, and then, in every
step, calls in this order

1. `check`, in steps after the first: whether the executor can be used with these tensors;
2. `refresh`: read what the step computes with. The last call that may raise for what a user did; nothing is written;
3. `sum_of_squares`, where gradients are clipped;
4. `run`, which writes, unless the step is skipped;
5. `finish`, after the first `run` only.

An executor keeps no tensor of a user's from one step to the next: every call is given the tensors of the step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from thetac.runtime.param_groups.grad_scaling import Scaling
from thetac.runtime.param_groups.groups import HostScalars
from thetac.runtime.param_groups.step_tensors import StepTensors
from thetac.runtime.schema import Group
from thetac.runtime.totals import Totals


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The rest of a run that waits for sums over the members of all executors."""

    group: int  # of all members
    rest: Totals[Any]
    device: torch.device | None = None  # of the sums that it is sent, as 0-d tensors; None: they are floats


class Executor(Protocol):
    """One implementation, for the members that it updates together."""

    def check(self, tensors: StepTensors) -> str:
        """Return why counters or scalar states require a re-plan; empty if they do not."""
        ...

    def refresh(self, groups: Sequence[Group], host_scalars: Mapping[int, HostScalars], tensors: StepTensors) -> None:
        """Read what the next `run` computes with, and write nothing.

        Args:
            groups: all parameter groups; where a group is capturable, a tensor that a condition depends on is given
                as a host scalar
            host_scalars: by group index, for the groups that the host reads
            tensors: those of the step

        Raises:
            RuntimeError: torch would refuse a host scalar in `run`, since it is too large for a dtype
        """
        ...

    def sum_of_squares(self, tensors: StepTensors) -> Tensor:
        """Return the sum of squares of the members' gradients: 0-d float64, on their device."""
        ...

    def can_skip_on_device(self, tensors: StepTensors) -> bool:
        """Return whether `run` accepts `found_inf` on the device; if not, the host decides whether to skip the step."""
        ...

    def run(self, tensors: StepTensors, scaling: Scaling) -> Unfinished | None:
        """Update the members, or return what is left of it where sums over all executors are needed."""
        ...

    def finish(self) -> None:
        """Record that every state exists."""
        ...
