"""`thetac::fused_step`: a fused step as one operation in a graph that `torch.compile` makes, for every optimizer.

In: the number of a kernel, which stands for what numbers and tensors cannot say, and the tensors of one group. Out:
parameters and state, written in place. Where the graph hands over the very tensors of the last call, the step has kept
a plan like any other; where it hands over copies, as graphs that must not write to their inputs do, each is prepared
anew. Must not know who traces.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import is_
from typing import Any

import torch
from torch import Tensor

from thetac.runtime.choice import Implementation, choose_all
from thetac.runtime.gather import Member
from thetac.runtime.groups import OPTIONS, Value
from thetac.runtime.plan import Plan
from thetac.runtime.resident import counts_on_device
from thetac.runtime.scaling import NONE
from thetac.runtime.schema import Group, Schema
from thetac.runtime.state import Entry
from thetac.runtime.step import Stepper


class KeptSteps:
    """What an optimizer keeps for the kernels of its graphs: it goes with the optimizer."""

    def __init__(self) -> None:
        self.of_kernel: dict[int, _Kept] = {}


class _Kept:
    """The tensors of the last call, as an optimizer with a single group would hold them, and its plan."""

    def __init__(self, kernel: _Kernel, params: list[Tensor], states: list[Tensor]) -> None:
        self._group: dict[str, Any] = {**kernel.fixed, "params": params}
        self._params, self._states = params, states
        self._entries: dict[Tensor, Entry] = {param: {} for param in params}
        self._stepper = Stepper(kernel.schema)
        rest = iter(states)
        for state, existing in zip(kernel.schema.states, kernel.exists, strict=True):
            if existing:
                for param in params:
                    self._entries[param][state.name] = next(rest)

    def holds(self, params: list[Tensor], states: list[Tensor]) -> bool:
        return all(map(is_, params, self._params)) and all(map(is_, states, self._states))

    def step(self, numbers: Mapping[str, object]) -> None:
        self._group.update(numbers)
        self._stepper.step([self._group], self._entries)


@dataclass(frozen=True, slots=True)
class _Kernel:
    """What a call cannot say in numbers and tensors."""

    schema: Schema
    fixed: Group  # its numbers come with each call
    exists: tuple[bool, ...]
    created: tuple[bool, ...]
    kept: weakref.ref[KeptSteps]


_kernels: list[_Kernel] = []


def registered(schema: Schema, group: Group, members: Sequence[Member], kept: KeptSteps) -> int:
    """The number of a kernel for these members of a group."""
    fixed = {key: group[key] for key in (*schema.flags, *schema.fixed, *OPTIONS) if key in group}
    exists = tuple(state is not None for state in members[0].states)
    asked = any(state.first for state in schema.states)
    created = tuple(asked and member.created for member in members)
    _kernels.append(_Kernel(schema, fixed, exists, created, weakref.ref(kept)))
    return len(_kernels) - 1


def call_operator(
    schema: Schema,
    kernel: int,
    params: list[Tensor],
    grads: list[Tensor],
    states: list[list[Tensor | None]],
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


@torch.library.custom_op(
    "thetac::fused_step",
    mutates_args=("params", "states"),
    schema="(int kernel, Tensor(a!)[] params, Tensor[] grads, Tensor(b!)[] states, "
    "float[] numbers, Tensor[] tensors, int[] given_as_tensors) -> ()",
)
def fused_step(
    kernel: int,
    params: list[Tensor],
    grads: list[Tensor],
    states: list[Tensor],
    numbers: list[float],
    tensors: list[Tensor],
    given_as_tensors: list[int],
) -> None:
    """One step of parameters of one group. `states` are those that exist, one state after the other."""
    known = _kernels[kernel]
    elements: list[Value] = list(numbers)
    for index, tensor in zip(given_as_tensors, tensors, strict=True):
        elements[index] = tensor
    values: dict[str, object] = {}
    for hyperparameter in known.schema.hyperparameters:
        mine = [elements.pop(0) for _ in hyperparameter.elements]
        values[hyperparameter.name] = tuple(mine) if hyperparameter.is_tuple else mine[0]
    kept = known.kept()
    if kept is None or any(known.created) or not all(map(is_, [param.grad for param in params], grads)):
        _step_of_copies(known, {**known.fixed, **values}, params, grads, states)
        return
    steps = kept.of_kernel.get(kernel)
    if steps is None or not steps.holds(params, states):
        steps = kept.of_kernel[kernel] = _Kept(known, params, states)
    steps.step(values)


@fused_step.register_fake
def _writes_only(*arguments: object) -> None:
    """Nothing comes out of it."""


def _step_of_copies(
    kernel: _Kernel, group: Group, params: list[Tensor], grads: list[Tensor], states: list[Tensor]
) -> None:
    rest = iter(states)
    columns = [[next(rest) if existing else None for _ in params] for existing in kernel.exists]
    members = [
        Member(0, param, grads[index], tuple(column[index] for column in columns), kernel.created[index])
        for index, param in enumerate(params)
    ]
    choices = choose_all(kernel.schema, [group], members)
    on_devices = [
        choice.implementation is Implementation.TRITON and counts_on_device(kernel.schema, group, member)
        for choice, member in zip(choices, members, strict=True)
    ]
    plan = Plan(kernel.schema, [group], members, choices, on_devices)
    plan.prepare([group])
    plan.run(grads, NONE)
