"""The step plan: what a step does, worked out once for as long as what it assumes is so.

In: assignments of the members of all groups. Out: steps. The life of a plan, in types:

    make_plan -> Step                  nothing has been written; what users did wrong has been raised
    Step.run -> ReusablePlan           for as long as its guards find nothing to have changed
             -> SingleUse              a plan that no later step can go on with, and why
    ReusablePlan.check -> Observed     the plan is valid; addresses and values of groups may be new
                       -> Invalidated  it is not, and why: a new plan has to be made
    ReusablePlan.refresh -> Step       what was observed has been taken over, scalars have been read

So nothing runs that was not prepared, no plan is used again that must not be, and a check writes to nothing but what
watches have observed. Where no `refresh` follows a check, the plan must be dropped: new addresses are reported once.

A plan keeps no tensor of a user's: every call gets the tensors of the step (`step_tensors.py`). Must not know what the
implementations do, nor where tensors come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thetac.runtime.implementations.barriers import run_all
from thetac.runtime.implementations.executor import Executor
from thetac.runtime.implementations.graph_capture import is_captured
from thetac.runtime.implementations.operator_call import KeptPlans
from thetac.runtime.param_groups.grad_scaling import Scaling, sum_of_squares
from thetac.runtime.param_groups.shards import Shards
from thetac.runtime.param_groups.shared_numbers import SharedNumbers
from thetac.runtime.param_groups.step_tensors import StepTensors, tensors_of
from thetac.runtime.schema import Group, Schema
from thetac.runtime.stepping.assignments import Assignment
from thetac.runtime.stepping.buckets import form_executors, form_observed_executors
from thetac.runtime.stepping.guards import GroupGuard, GroupReading, Moved, TensorGuard, read_groups
from thetac.runtime.stepping.implementation import Implementation
from thetac.runtime.tensor_facts.dtensors import RedistributedGradients, Split, group_by_processes, sum_over_processes
from thetac.runtime.tensor_facts.reader_choice import load_reader
from thetac.runtime.tensor_facts.selection import Selection


@dataclass(frozen=True, slots=True)
class Invalidated:
    """A plan is not valid for the groups or tensors of a step."""

    cause: str  # in words, for `explain()`


@dataclass(slots=True)
class Observed:
    """A plan is valid; this is what it has to take over before the step runs."""

    tensors: StepTensors  # local ones
    readings: list[GroupReading]
    moved: Moved


@dataclass(frozen=True, slots=True)
class SingleUse:
    """No later step can go on with the plan."""

    cause: str  # in words, for `explain()`


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What a step of some members does, but for their tensors."""

    executors: tuple[Executor, ...]
    launches: int  # of kernels, per step
    read_by_host: tuple[int, ...]  # indices of the groups whose host scalars are read
    counts_on_host: bool  # whether the host counts for kernels that could look at `found_inf` themselves
    processes: tuple[tuple[Split | None, list[int]], ...]  # members by the processes that have parts of them, if any
    devices: tuple[torch.device, ...]  # of the members

    def is_captured(self) -> bool:
        """Return whether the step becomes part of a graph, which then reads what executors hold."""
        return any(map(is_captured, self.devices))

    def refresh_executors(
        self, groups: Sequence[Group], readings: Sequence[GroupReading], tensors: StepTensors
    ) -> None:
        """Read host scalars, counters and scalar states. Nothing after this can raise because of them."""
        host_scalars = {index: readings[index].read_host_scalars(groups[index]) for index in self.read_by_host}
        groups = [reading.replace_tensors(group) for reading, group in zip(readings, groups, strict=True)]
        for executor in self.executors:
            executor.refresh(groups, host_scalars, tensors)


class Step:
    """A step that is prepared: everything has been checked and read, and nothing has been written."""

    __slots__ = ("_after", "_creates", "_is_first", "plan", "shared", "tensors")

    def __init__(
        self, plan: Plan, tensors: StepTensors, after: ReusablePlan | SingleUse, *, is_first: bool, creates: bool
    ) -> None:
        """Make the step of a plan.

        Args:
            plan: The plan, whose executors are refreshed.
            tensors: The local tensors of the members.
            after: What `run` returns: the plan for later steps, or why there is none.
            is_first: Whether the plan has not run yet
            creates: Whether a rule asks which states are new, and some are.
        """
        self.plan = plan
        self.tensors = tensors
        self.shared: Mapping[int, SharedNumbers] = {}  # by group, of those that a rule has: what `run` has computed
        self._after = after
        self._is_first, self._creates = is_first, creates

    def norm_of_gradients(self, grad_scale: Tensor | None) -> Tensor:
        """Return the 2-norm of all gradients together, unscaled: 0-d, on the device of the first of them."""
        tensors = self.tensors
        if not self.plan.executors:
            return torch.zeros((), dtype=torch.float32, device="cpu")
        sums = self._sums_of_squares()
        norm = torch.stack([one.to(sums[0].device) for one in sums]).sum().sqrt()
        if grad_scale is not None:
            norm = norm / grad_scale.reshape(()).to(norm.device)
        is_wide = any(grad.dtype in (torch.float64, torch.complex128) for grad in tensors.grads)
        return norm if is_wide else norm.to(torch.float32)

    def can_skip_on_device(self) -> bool:
        """Return whether `run` takes `found_inf`; else the host has to know whether the step is skipped."""
        return not self._creates and all(one.can_skip_on_device(self.tensors) for one in self.plan.executors)

    def run(self, scaling: Scaling) -> ReusablePlan | SingleUse:
        """Update all parameters and states, and return the plan for later steps, or why there is none.

        Args:
            scaling: How gradients are unscaled and clipped.
        """
        tensors, executors = self.tensors, self.plan.executors
        self.shared = run_all(executors, tensors, scaling)
        if tensors.written_dtensors:
            load_reader().mark_written([tensors.written_dtensors], Selection.all_of(len(tensors.written_dtensors)))
        if self._is_first:
            for executor in executors:
                executor.finish()
        return self._after

    def _sums_of_squares(self) -> list[Tensor]:
        """Return the sums of squares of disjoint sets of gradients, over all processes that have shards of them."""
        if not self.plan.processes:
            return [executor.sum_of_squares(self.tensors) for executor in self.plan.executors]
        return [
            sum_over_processes(sum_of_squares([self.tensors.grads[position] for position in positions]), split)
            for split, positions in self.plan.processes
        ]


class ReusablePlan:
    """A plan for every step for which its guards find that it is valid."""

    def __init__(self, plan: Plan, groups: Sequence[GroupGuard], tensors: TensorGuard, shards: Shards | None) -> None:
        self.plan = plan
        self._groups = groups
        self._tensors = tensors
        self._shards = shards  # None: no member is a DTensor

    def check(
        self,
        groups: Sequence[Group],
        tensors: StepTensors,
        placed: RedistributedGradients | None,
        *,
        may_be_skipped: bool,
    ) -> Observed | Invalidated:
        """Check everything that the plan assumes.

        Args:
            groups: The parameter groups, as many as when the plan was made.
            tensors: The tensors of the step, DTensors as they are.
            placed: The gradients of the step that have been redistributed so far; None where there are no DTensors.
            may_be_skipped: Whether the step comes with `found_inf`.

        Returns:
            What `refresh` has to take over, or why the plan is not valid.
        """
        readings: list[GroupReading] = []
        for guard, group in zip(self._groups, groups, strict=True):
            if (reading := guard.check(group)) is None:
                return Invalidated("an option or a condition on hyperparameters changed")
            readings.append(reading)
        if self._shards is not None:
            assert placed is not None
            local = self._shards.local_tensors(tensors, placed)
            if isinstance(local, str):
                return Invalidated(local)
            tensors = local
        moved = self._tensors.check(tensors)
        if isinstance(moved, str):
            return Invalidated(moved)
        if may_be_skipped and self.plan.counts_on_host:
            return Invalidated("a step that may be skipped counts on the device")
        for executor in self.plan.executors:
            if why := executor.check(tensors):
                return Invalidated(why)
        return Observed(tensors, readings, moved)

    def refresh(self, groups: Sequence[Group], observed: Observed) -> Step:
        """Take over what `check` has observed, and read all scalars. Raise for values that no step can use."""
        if observed.moved.streams:
            buckets = {}
            for stream in observed.moved.streams:
                if (bucket := stream.part.bucket) is not None:
                    bucket.put_addresses(stream.index, stream.watch.addresses)
                    buckets[id(bucket)] = bucket
            for bucket in buckets.values():
                bucket.mark_aligned()
            self._tensors.accept(observed.moved)
        for guard, reading in zip(self._groups, observed.readings, strict=True):
            if reading is not guard.reading:
                guard.accept(reading)
        self.plan.refresh_executors(groups, observed.readings, observed.tensors)
        return Step(self.plan, observed.tensors, self, is_first=False, creates=False)


def make_plan(
    schema: Schema, groups: Sequence[Group], assignments: Sequence[Assignment], observed_by: KeptPlans | None = None
) -> Step:
    """Make a plan for members that were gathered and checked, and prepare its first step.

    Args:
        schema: that of the optimizer
        groups: all of its groups
        assignments: of the members of the step
        observed_by: what keeps the kernels of the custom operator, where modes observe the step

    Raises:
        TypeError, ValueError, RuntimeError: for values of a group that no step can use
    """
    members = [assignment.member for assignment in assignments]
    readings = read_groups(schema, groups, members)
    global_tensors = [member.global_tensors for member in members]
    are_shards = any(one is not None for one in global_tensors)
    processes = group_by_processes(global_tensors, [member.grad.device for member in members]) if are_shards else []
    tensors = tensors_of(members, len(schema.states))
    with torch.inference_mode(False):  # tables are written in later steps, too
        if observed_by is None:
            formed = form_executors(schema, readings, assignments, tensors)
        else:
            formed = form_observed_executors(schema, groups, readings, assignments, tensors, observed_by)
        plan = Plan(
            executors=formed.executors,
            launches=formed.launches,
            read_by_host=_read_by_host(assignments),
            counts_on_host=any(
                one.choice.implementation is Implementation.TRITON and not one.on_device for one in assignments
            ),
            processes=tuple(processes),
            devices=tuple({member.param.device for member in members}),
        )
        after: ReusablePlan | SingleUse
        why = "operations are observed" if observed_by is not None else _why_single_use(assignments)
        if why:
            after = SingleUse(why)
        else:
            guard = TensorGuard(schema, formed.parts, tensors)
            if guard.never_valid:
                after = SingleUse(guard.never_valid)
            else:
                shards = Shards(members, len(schema.states)) if are_shards else None
                after = ReusablePlan(plan, [GroupGuard(reading) for reading in readings], guard, shards)
    plan.refresh_executors(groups, readings, tensors)
    creates = any(member.created for member in members) and any(state.first for state in schema.states)
    return Step(plan, tensors, after, is_first=True, creates=creates)


def _read_by_host(assignments: Sequence[Assignment]) -> tuple[int, ...]:
    """Return the indices of the groups whose host scalars are read, in the order of their first members."""
    on_tensors = Implementation.ON_TENSORS
    return tuple(
        dict.fromkeys(
            one.member.group for one in assignments if not one.on_device and one.choice.implementation is not on_tensors
        )
    )


def _why_single_use(assignments: Sequence[Assignment]) -> str:
    """Return why a plan cannot be used again, in words; empty if it can."""
    if any(one.choice.implementation is Implementation.ON_TENSORS for one in assignments):
        return "capturable and differentiable steps are re-planned every time"
    if any(one.member.grad.is_sparse for one in assignments):
        return "a gradient is sparse"
    return ""
