"""`thetac::fused_step`: a fused step as one operation, for graphs and for modes that see operations.

In: the number of a kernel, which stands for what numbers and tensors cannot say, and the tensors of one group. Out:
parameters and state, written in place. A kernel keeps a plan from call to call, which every call's tensors are looked
at by: those of the last call, or copies that a graph hands over because it must not write to its inputs. Must not know
who calls.
"""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.implementations.fused_on_device import counts_on_device
from thetac.runtime.implementations.operator_call import Kernel, kernels
from thetac.runtime.param_groups.grad_scaling import NONE
from thetac.runtime.param_groups.groups import Value
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.step_tensors import StepTensors
from thetac.runtime.schema import Group
from thetac.runtime.stepping.choice import Implementation, choose_all
from thetac.runtime.stepping.plan import Plan


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
    known = kernels[kernel]
    elements: list[Value] = list(numbers)
    for index, tensor in zip(given_as_tensors, tensors, strict=True):
        elements[index] = tensor
    values: dict[str, object] = {}
    for hyperparameter in known.schema.hyperparameters:
        mine = [elements.pop(0) for _ in hyperparameter.elements]
        values[hyperparameter.name] = tuple(mine) if hyperparameter.is_tuple else mine[0]
    rest = iter(states)
    columns = [[next(rest) for _ in params] if existing else [] for existing in known.exists]
    _step(kernel, {**known.fixed, **values}, StepTensors([params, grads, *columns]))


@fused_step.register_fake
def _writes_only(*arguments: object) -> None:
    """Nothing comes out of it."""


def _step(kernel: int, group: Group, tensors: StepTensors) -> None:
    """By the plan of the last call, if it serves for these tensors, else by a new one."""
    known = kernels[kernel]
    kept = known.kept()
    plan = None if kept is None else kept.of_kernel.get(kernel)
    if plan is None or plan.why_groups_void([group]) or plan.why_void(tensors) or plan.prepare([group], tensors):
        plan = _planned(known, group, tensors)
        plan.prepare([group], tensors)
    plan.run(tensors, NONE)
    if kept is not None and not plan.single_use and not any(known.created):
        kept.of_kernel[kernel] = plan


def _planned(kernel: Kernel, group: Group, tensors: StepTensors) -> Plan:
    nothing: list[Tensor | None] = [None] * len(tensors.params)
    of_states = [listed or nothing for listed in tensors.states]
    members = [
        Member(0, position, param, tensors.grads[position], tuple(states), kernel.created[position])
        for position, (param, *states) in enumerate(zip(tensors.params, *of_states, strict=True))
    ]
    choices = choose_all(kernel.schema, [group], members)
    on_devices = [
        choice.implementation is Implementation.TRITON and counts_on_device(kernel.schema, group, member)
        for choice, member in zip(choices, members, strict=True)
    ]
    return Plan(kernel.schema, [group], members, choices, on_devices)
