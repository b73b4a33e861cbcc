"""Calls of the operator `thetac::fused_step`, which does a fused step as one operation of torch's.

In: the members of a group, which graphs and modes see as parameters, gradients and states of one call. Out: the call,
with the number of a kernel, which stands for what numbers and tensors cannot say. Must not know what the operator does:
`torch_compile/custom_op.py` does.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from thetac.options import OPTIONS
from thetac.runtime.param_groups.grad_scaling import Scaling, sum_of_squares
from thetac.runtime.param_groups.groups import Value, values_of
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.step_tensors import StepTensors
from thetac.runtime.schema import Group, Schema
from thetac.runtime.tensor_facts.places import Places


@dataclass(slots=True, weakref_slot=True)
class KeptPlans:
    """What an optimizer keeps for the kernels of its graphs: it goes with the optimizer."""

    of_kernel: dict[int, Any] = field(default_factory=dict)  # the plan of each kernel, which only the operator knows
    numbers: dict[tuple[object, ...], int] = field(default_factory=dict)  # of kernels, by what they are


@dataclass(frozen=True, slots=True)
class Kernel:
    """What a call cannot say in numbers and tensors."""

    schema: Schema
    fixed: Group  # its numbers come with each call
    exists: tuple[bool, ...]
    created: tuple[bool, ...]
    kept: weakref.ref[KeptPlans]


kernels: list[Kernel] = []  # by number


def registered(schema: Schema, group: Group, members: Sequence[Member], kept: KeptPlans) -> int:
    """The number of a kernel for these members of a group."""
    fixed = {key: group[key] for key in (*schema.flags, *schema.fixed, *OPTIONS) if key in group}
    exists = tuple(state is not None for state in members[0].states)
    asked = any(state.first for state in schema.states)
    created = tuple(asked and member.created for member in members)
    key = (members[0].group, *fixed.items(), exists, created)
    if key not in kept.numbers:
        kept.numbers[key] = len(kernels)
        kernels.append(Kernel(schema, fixed, exists, created, weakref.ref(kept)))
    return kept.numbers[key]


def call_operator(
    schema: Schema,
    kernel: int,
    params: list[Tensor],
    grads: list[Tensor],
    states: Sequence[Sequence[Tensor | None]],
    values: Mapping[str, Value],
) -> None:
    """As dynamo traces it."""
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


class OperatorWork:
    """The members of a group that one call updates, while modes see what a step does."""

    def __init__(
        self, schema: Schema, members: Sequence[Member], places: Places, group: Group, kept: KeptPlans
    ) -> None:
        self._schema = schema
        self._group = members[0].group
        self._places = places
        self._exist = [state is not None for state in members[0].states]
        self._kernel = registered(schema, group, members, kept)
        self._values: Mapping[str, Value] = {}

    def prepare(self, groups: Sequence[Group], numbers: Mapping[int, Mapping[str, float]], tensors: StepTensors) -> str:
        self._values = values_of(self._schema, groups[self._group])
        return ""

    def sum_of_squares(self, tensors: StepTensors) -> Tensor:
        return sum_of_squares(self._places.of(tensors.grads))

    def takes_found_inf(self, tensors: StepTensors) -> bool:
        """The call is made, or not."""
        return False

    def run(self, tensors: StepTensors, scaling: Scaling) -> None:
        states = [
            list(self._places.of(listed)) if existing else []
            for listed, existing in zip(tensors.states, self._exist, strict=True)
        ]
        grads = scaling.apply(self._places.of(tensors.grads))
        params = list(self._places.of(tensors.params))
        call_operator(self._schema, self._kernel, params, grads, states, self._values)

    def finish(self) -> None:
        """It serves a single step."""
