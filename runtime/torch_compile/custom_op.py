"""`thetac::fused_step`: a fused step as one operation, for graphs and for modes that see operations.

`thetac::fused_passes` is a part of a step that waits for totals, for modes alone.

In: the number of a kernel, under which all that is neither number nor tensor is registered, and the tensors of one
group. Out: parameters and state, written in place. A kernel keeps a plan from call to call, and every call checks its
tensors by it: those of the last call, or copies that a graph passes because it must not write to its inputs. Must not
know the caller.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from thetac.runtime.implementations.operator_call import Kernel, kernels, launches
from thetac.runtime.param_groups.grad_scaling import NONE
from thetac.runtime.param_groups.groups import Value
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.shape_classes import shape_of
from thetac.runtime.param_groups.step_tensors import StepTensors
from thetac.runtime.schema import Group, Hyperparameter
from thetac.runtime.stepping.assignments import assign
from thetac.runtime.stepping.plan import Observed, ReusablePlan, Step, make_plan


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
    """Do one step of parameters of one group, in place.

    Args:
        kernel: The number under which the kernel is registered.
        params: The parameters.
        grads: Their gradients.
        states: For each state that exists, in the schema's order, one tensor per parameter.
        numbers: The elements of the hyperparameters, in the schema's order; any number for one given as a tensor.
        tensors: The elements that are tensors, each 0-d.
        given_as_tensors: The indices of these elements.
    """
    known = kernels[kernel]
    elements: list[Value] = list(numbers)
    for index, tensor in zip(given_as_tensors, tensors, strict=True):
        elements[index] = tensor
    values: dict[str, object] = {}
    for hyperparameter in known.schema.hyperparameters:
        mine = [_as_in_group(known, hyperparameter, name, elements.pop(0)) for name in hyperparameter.elements]
        values[hyperparameter.name] = tuple(mine) if hyperparameter.is_tuple else mine[0]
    rest = iter(states)
    columns: list[list[Any]] = [
        [next(rest) if existing else None for existing in exist] if any(exist) else [] for exist in known.exists
    ]
    _step(kernel, {**known.fixed, **values}, StepTensors([params, grads, *columns]))


@torch.library.custom_op(
    "thetac::fused_passes",
    mutates_args=("written",),
    schema="(int launch, Tensor(a!)[] written, Tensor[] grads) -> ()",
)
def fused_passes(launch: int, written: list[Tensor], grads: list[Tensor]) -> None:
    """Do the passes of a kernel up to the next total.

    Args:
        launch: The number under which the launch is registered.
        written: The parameters and states.
        grads: The gradients.
    """
    launches[launch]()


def _as_in_group(kernel: Kernel, hyperparameter: Hyperparameter, name: str, element: Value) -> Value | None:
    """Return an element of a hyperparameter as its group has it: an integer as such, and None."""
    if name in kernel.none:
        return None
    return int(element) if hyperparameter.integer else element


@fused_step.register_fake
def _writes_only(*arguments: object) -> None:
    """Do nothing, for fake tensors: the operator writes to its arguments and returns nothing."""


def _step(kernel: int, group: Group, tensors: StepTensors) -> None:
    """Step by the plan of the last call, if it is valid for these tensors, else by a new one."""
    known = kernels[kernel]
    kept = known.kept()
    plan: ReusablePlan | None = None if kept is None else kept.of_kernel.pop(kernel, None)
    step: Step | None = None
    if plan is not None:
        observed = plan.check([group], tensors, None, may_be_skipped=False)
        if isinstance(observed, Observed):
            step = plan.refresh([group], observed)
    if step is None:
        members = _members_of(known, tensors)
        step = make_plan(known.schema, [group], assign(known.schema, [group], members, may_be_skipped=False))
    after = step.run(NONE)
    if kept is not None and isinstance(after, ReusablePlan) and not any(known.created):
        kept.of_kernel[kernel] = after


def _members_of(kernel: Kernel, tensors: StepTensors) -> list[Member]:
    """Return the members of the group that a call updates."""
    nothing: list[Tensor | None] = [None] * len(tensors.params)
    of_states = [listed or nothing for listed in tensors.states]
    return [
        Member(
            0,
            position,
            param,
            tensors.grads[position],
            tuple(states),
            kernel.created[position],
            shape_of(kernel.schema, param),
        )
        for position, (param, *states) in enumerate(zip(tensors.params, *of_states, strict=True))
    ]
