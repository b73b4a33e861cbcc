"""The step plan: what a step does, worked out once for as long as what it assumes holds.

In: the members of all groups, and which implementation each gets. Out: works (`forloop.py`, `foreach.py`, `fused.py`),
which `prepare` (numbers are read; the last place where anything can be wrong with what a user did) and then `run`,
which write. A plan keeps no tensor of a user's: every call gets the tensors of the step (`step_tensors.py`), and
`guards.py` says whether a plan serves for them. Must not know what the implementations do, nor where tensors
come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from thetac.runtime.implementations.foreach import ForeachWork
from thetac.runtime.implementations.forloop import ForLoopWork, OnTensorsWork
from thetac.runtime.implementations.fused import FusedWork, specialisations_of
from thetac.runtime.implementations.fused_on_device import ResidentWork
from thetac.runtime.implementations.graph_capture import is_captured
from thetac.runtime.implementations.operator_call import KeptPlans, OperatorWork
from thetac.runtime.param_groups.grad_scaling import Scaling, sum_of_squares
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.step_tensors import StepTensors, tensors_of
from thetac.runtime.schema import Group, Schema
from thetac.runtime.stepping.choice import FUSED, Choice, Implementation, launcher_of
from thetac.runtime.stepping.guards import Assumptions, GroupWatch, Part
from thetac.runtime.tensor_facts.dtensors import by_processes, summed_over_processes
from thetac.runtime.tensor_facts.places import Places
from thetac.runtime.tensor_facts.reader_choice import load_reader


class Work(Protocol):
    """What one implementation does in a step. `finish` follows the first `run`: from then on every state exists."""

    def prepare(
        self, groups: Sequence[Group], numbers: Mapping[int, Mapping[str, float]], tensors: StepTensors
    ) -> str: ...

    def sum_of_squares(self, tensors: StepTensors) -> Tensor: ...

    def takes_found_inf(self, tensors: StepTensors) -> bool: ...

    def run(self, tensors: StepTensors, scaling: Scaling) -> None: ...

    def finish(self) -> None: ...


class Plan:
    """Everything a step of these members needs, but for their tensors."""

    def __init__(
        self,
        schema: Schema,
        groups: Sequence[Group],
        members: Sequence[Member],
        choices: Sequence[Choice],
        on_devices: Sequence[bool],
        observed_by: KeptPlans | None = None,
    ) -> None:
        """`on_devices` says for each member whether its numbers stay on its device, which the choice must allow.

        With `observed_by`, modes see every operation of the step: kernels are called through torch, and the plan serves
        once.
        """
        self._schema = schema
        self._groups = [GroupWatch(schema, group) for group in groups]
        wholes = [member.whole for member in members]
        self._processes = by_processes(wholes, [member.grad.device for member in members]) if any(wholes) else []
        taking_part = zip(members, choices, on_devices, strict=True)
        self._read_by_host = list(
            dict.fromkeys(
                member.group
                for member, choice, on_device in taking_part
                if not on_device and choice.implementation is not Implementation.ON_TENSORS
            )
        )
        self._parts: list[Part] = []
        self._works: list[Work] = []
        self._ran = False
        self._devices = {member.param.device for member in members}
        self.launches = 0  # of kernels, per step
        tensors = tensors_of(members, len(schema.states))
        self.single_use = _why_single_use(members, choices) if observed_by is None else "operations are observed"
        with torch.inference_mode(False):  # tables are written in later steps, too
            self._serve_eagerly(members, choices, tensors)
            if observed_by is None:
                self._serve_fused(members, groups, choices, on_devices, tensors)
            else:
                self._serve_observed(members, groups, choices, observed_by)
            self._assumptions = None if self.single_use else Assumptions(schema, self._parts, tensors)
        if self._assumptions is not None:
            self.single_use = self._assumptions.broken
        self.was_captured = False  # then a graph reads what the works hold
        self.counts_on_host = any(
            choice.implementation is Implementation.TRITON and not on_device
            for choice, on_device in zip(choices, on_devices, strict=True)
        )
        self._first = any(member.created for member in members) and any(state.first for state in schema.states)

    def why_groups_void(self, groups: Sequence[Group]) -> str:
        """What has changed in the groups so that a new plan is needed; empty if nothing has."""
        held = [watch.holds(group) for watch, group in zip(self._groups, groups, strict=True)]  # all of them look
        return "" if all(held) else "an option or a condition on hyperparameters changed"

    def why_void(self, tensors: StepTensors) -> str:
        """What has changed in the tensors so that a new plan is needed; empty if nothing has."""
        return self.single_use if self._assumptions is None else self._assumptions.why_void(tensors)

    def prepare(self, groups: Sequence[Group], tensors: StepTensors) -> str:
        """Read the numbers of groups, counters and scalar states; why this plan does not serve for them."""
        numbers = {index: self._groups[index].numbers(groups[index]) for index in self._read_by_host}
        groups = [watch.decided(group) for watch, group in zip(self._groups, groups, strict=True)]
        for work in self._works:
            if why := work.prepare(groups, numbers, tensors):
                return why
        return ""

    def norm_of_gradients(self, tensors: StepTensors, grad_scale: Tensor | None) -> Tensor:
        """The 2-norm of all gradients together, unscaled: 0-d, on the device of the first of them."""
        if not self._works:
            return torch.zeros((), dtype=torch.float32, device="cpu")
        sums = self._sums_of_squares(tensors)
        norm = torch.stack([one.to(sums[0].device) for one in sums]).sum().sqrt()
        if grad_scale is not None:
            norm = norm / grad_scale.reshape(()).to(norm.device)
        is_wide = any(grad.dtype in (torch.float64, torch.complex128) for grad in tensors.grads)
        return norm if is_wide else norm.to(torch.float32)

    def reads_found_inf(self, tensors: StepTensors) -> bool:
        """Whether the host has to know if a step is skipped; else the works' kernels look at it."""
        return self._first or not all(work.takes_found_inf(tensors) for work in self._works)

    def run(self, tensors: StepTensors, scaling: Scaling) -> None:
        """Write."""
        self.was_captured |= any(map(is_captured, self._devices))
        for work in self._works:
            work.run(tensors, scaling)
        if tensors.wholes:
            load_reader().mark_written([tensors.wholes], Places.all_of(len(tensors.wholes)))
        if not self._ran:
            self._ran, self._first = True, False
            for work in self._works:
                work.finish()

    def _sums_of_squares(self, tensors: StepTensors) -> list[Tensor]:
        """Of disjoint sets of gradients, which together are all; over all processes that have a part of them."""
        if not self._processes:
            return [work.sum_of_squares(tensors) for work in self._works]
        return [
            summed_over_processes(sum_of_squares([tensors.grads[position] for position in positions]), split)
            for split, positions in self._processes
        ]

    def _serve_eagerly(self, members: Sequence[Member], choices: Sequence[Choice], tensors: StepTensors) -> None:
        """A work for each group and implementation, in the order of the groups."""
        found: dict[tuple[int, Implementation], list[int]] = {}
        for position, (member, choice) in enumerate(zip(members, choices, strict=True)):
            if choice.implementation not in FUSED:
                found.setdefault((member.group, choice.implementation), []).append(position)
        for (_, implementation), positions in found.items():
            inside, places = [members[position] for position in positions], Places(positions, len(members))
            match implementation:
                case Implementation.FOR_LOOP:
                    self._works.append(ForLoopWork(self._schema, inside, places, tensors))
                case Implementation.FOREACH:
                    self._works.append(ForeachWork(self._schema, inside, places, tensors))
                case _:
                    self._works.append(OnTensorsWork(self._schema, inside, places))
        kinds: dict[tuple[object, ...], list[int]] = {}
        for position, (member, choice) in enumerate(zip(members, choices, strict=True)):
            if choice.implementation not in FUSED:
                kinds.setdefault((choice.is_fallback, *self._kind(member)), []).append(position)
        for (is_fallback, *_), positions in kinds.items():
            # What made a parameter fall back may go away again; who asked for the for-loop takes any strides.
            self._parts.append(Part(Places(positions, len(members)), None, any_strides=not is_fallback))

    def _serve_fused(
        self,
        members: Sequence[Member],
        groups: Sequence[Group],
        choices: Sequence[Choice],
        on_devices: Sequence[bool],
        tensors: StepTensors,
    ) -> None:
        """A work for each launch: parameters of all groups that agree in device, dtypes and specialisations."""
        specialisations = [
            specialisations_of(self._schema, watch.decided(group))
            for watch, group in zip(self._groups, groups, strict=True)
        ]
        found: dict[tuple[object, ...], list[int]] = {}
        for position, (member, choice) in enumerate(zip(members, choices, strict=True)):
            if choice.implementation in FUSED:
                values = tuple(specialisations[member.group].values())
                key = (on_devices[position], choice.implementation, *self._kind(member), *values)
                found.setdefault(key, []).append(position)
        for (on_device, *_), positions in found.items():
            inside, places = [members[position] for position in positions], Places(positions, len(members))
            constants = specialisations[inside[0].group]
            work: FusedWork | ResidentWork
            if on_device:
                work = ResidentWork(self._schema, inside, places, constants, tensors)
            else:
                make = launcher_of(choices[positions[0]].implementation)
                work = FusedWork(self._schema, inside, places, constants, make, tensors)
            self._works.append(work)
            self._parts.append(Part(places, work, any_strides=False))
        self.launches = len(found)

    def _serve_observed(
        self, members: Sequence[Member], groups: Sequence[Group], choices: Sequence[Choice], kept: KeptPlans
    ) -> None:
        """A call of the operator for the parameters of each group that agree in which states they have."""
        found: dict[tuple[object, ...], list[int]] = {}
        for position, (member, choice) in enumerate(zip(members, choices, strict=True)):
            if choice.implementation in FUSED:
                found.setdefault((member.group, *(state is not None for state in member.states)), []).append(position)
        for positions in found.values():
            inside, places = [members[position] for position in positions], Places(positions, len(members))
            self._works.append(OperatorWork(self._schema, inside, places, groups[inside[0].group], kept))

    def _kind(self, member: Member) -> tuple[object, ...]:
        """What the members that are looked at, or launched, together have in common."""
        dtypes = [
            (state is not None, None if state is None or declared.kind != "tensor" else state.dtype)
            for declared, state in zip(self._schema.states, member.states, strict=True)
        ]
        return (member.param.device, member.param.dtype, member.grad.dtype, *dtypes)


def _why_single_use(members: Sequence[Member], choices: Sequence[Choice]) -> str:
    """Why a plan cannot serve again, where it cannot."""
    if any(choice.implementation is Implementation.ON_TENSORS for choice in choices):
        return "capturable and differentiable steps are prepared anew"
    if any(member.grad.is_sparse for member in members):
        return "a gradient is sparse"
    return ""
