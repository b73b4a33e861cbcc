"""Calls of the operators `thetac::fused_step` and `thetac::fused_passes`, which modes and graphs see as operations.

In: the members of a group, which graphs and modes see as parameters, gradients and states of one call. Out: the call.
Its arguments are tensors, floats, and the index of a registered kernel, which has everything else. Where kernels wait
for totals there is a call for each launch, and no graph has it. Must not know what the operators do:
`torch_compile/custom_op.py` defines them.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from thetac.options import OPTIONS
from thetac.runtime.implementations.fused import FusedExecutor
from thetac.runtime.param_groups.grad_scaling import Scaling, sum_of_squares
from thetac.runtime.param_groups.groups import HostScalars, Value, find_none, values_of
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.step_tensors import StepTensors
from thetac.runtime.schema import Group, Schema
from thetac.runtime.tensor_facts.selection import Selection


@dataclass(slots=True, weakref_slot=True)
class KeptPlans:
    """What an optimizer keeps for the kernels of its graphs; it is freed with the optimizer."""

    of_kernel: dict[int, Any] = field(default_factory=dict)  # the plan of each kernel, of the operator's own type
    kernel_numbers: dict[tuple[object, ...], int] = field(default_factory=dict)  # by the contents of the kernels


@dataclass(frozen=True, slots=True)
class Kernel:
    """What a call needs besides its tensors and floats."""

    schema: Schema
    fixed: Group  # flags, choices, fixed hyperparameters and options; the others are arguments of each call
    none: frozenset[str]  # elements of hyperparameters that are None, of which arguments say nothing
    exists: tuple[tuple[bool, ...], ...]  # for each state of the schema, which members have it
    created: tuple[bool, ...]
    kept: weakref.ref[KeptPlans]


kernels: list[Kernel] = []  # by number
launches: dict[int, Callable[[], None]] = {}  # that are being called, by number


def register_kernel(schema: Schema, group: Group, members: Sequence[Member], kept: KeptPlans) -> int:
    """Return the number of a kernel for these members of a group; equal ones of an optimizer have the same."""
    choices = (choice.name for choice in schema.choices)
    fixed = {key: group[key] for key in (*schema.flags, *choices, *schema.fixed, *OPTIONS) if key in group}
    none = find_none(schema, group)
    exists = tuple(tuple(member.states[index] is not None for member in members) for index in range(len(schema.states)))
    asked = any(state.first for state in schema.states)
    created = tuple(asked and member.created for member in members)
    key = (members[0].group, *fixed.items(), none, exists, created)
    if key not in kept.kernel_numbers:
        kept.kernel_numbers[key] = len(kernels)
        kernels.append(Kernel(schema, fixed, none, exists, created, weakref.ref(kept)))
    return kept.kernel_numbers[key]


def call_operator(
    schema: Schema,
    kernel: int,
    params: list[Tensor],
    grads: list[Tensor],
    states: Sequence[Sequence[Tensor | None]],
    values: Mapping[str, Value],
) -> None:
    """Call the operator that `torch_compile/custom_op.py` defines; dynamo traces this function."""
    elements = [values[name] for hyperparameter in schema.hyperparameters for name in hyperparameter.elements]
    torch.ops.thetac.fused_step(
        kernel,
        params,
        grads,
        [tensor for tensors in states for tensor in tensors if tensor is not None],
        [0.0 if isinstance(value, Tensor) else float(value) for value in elements],
        [value for value in elements if isinstance(value, Tensor)],
        [index for index, value in enumerate(elements) if isinstance(value, Tensor)],
    )


class OperatorExecutor:
    """Updates members of a group with one call, which modes and graphs can see. It is used for one step."""

    def __init__(
        self, schema: Schema, members: Sequence[Member], selection: Selection, group: Group, kept: KeptPlans
    ) -> None:
        self._schema = schema
        self._group = members[0].group
        self._selection = selection
        self._kernel = register_kernel(schema, group, members, kept)
        self._values: Mapping[str, Value] = {}

    def check(self, tensors: StepTensors) -> str:
        """Return an empty string: the executor is used for one step only."""
        return ""

    def refresh(self, groups: Sequence[Group], host_scalars: Mapping[int, HostScalars], tensors: StepTensors) -> None:
        """Take the values of the group, tensors among them."""
        self._values = values_of(self._schema, groups[self._group])

    def sum_of_squares(self, tensors: StepTensors) -> Tensor:
        """See `Executor`."""
        return sum_of_squares(self._selection.select(tensors.grads))

    def can_skip_on_device(self, tensors: StepTensors) -> bool:
        """Return False: the host decides whether the call is made."""
        return False

    def run(self, tensors: StepTensors, scaling: Scaling) -> None:
        """Call the operator."""
        states = [self._selection.select(listed) if listed else [] for listed in tensors.states]
        grads = scaling.apply(self._selection.select(tensors.grads))
        call_operator(self._schema, self._kernel, self._selection.select(tensors.params), grads, states, self._values)

    def finish(self) -> None:
        """Do nothing: the executor is used for one step only."""


class ObservedFusedExecutor(FusedExecutor):
    """Updates members of a group whose kernels wait for totals: modes see each launch as a call of an operator."""

    def call(self, launch: Callable[[], None], tensors: StepTensors) -> None:
        """Call a launch through the operator `thetac::fused_passes`."""
        number = id(launch)
        launches[number] = launch
        try:
            torch.ops.thetac.fused_passes(number, self.written(tensors), self._selection.select(tensors.grads))
        finally:
            del launches[number]
