"""The first half of a step: collect what has a gradient, make the state that is missing, check all that can be checked.

In: the parameter groups and the state of an optimizer. Out: one `Member` per parameter with a gradient, and the new state
set aside, so that an error leaves everything as it was. Nothing here writes to a tensor or to `optimizer.state`.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.optimizer import _get_capturable_supported_devices

from .groups import option
from .schema import Group, Schema
from .state import Entry, check_found, check_writable, found_in, new_entry, states_of


@dataclass(slots=True)
class Member:
    """One parameter that takes part in a step."""

    group: int  # index of its group
    param: Tensor
    grad: Tensor
    states: tuple[Tensor | None, ...]  # in the schema's order; None for a state that its group does not have
    created: bool  # whether this step made its state


@dataclass(slots=True)
class Gathered:
    """All members, in the order of groups and parameters, and the state entries that are not yet part of the optimizer."""

    members: list[Member]
    created: list[tuple[Tensor, Entry]]

    def commit(self, state: MutableMapping[Tensor, Entry]) -> None:
        """Make the new state part of the optimizer: from here on the step writes."""
        for param, entry in self.created:
            state.setdefault(param, {}).update(entry)


def gather(schema: Schema, groups: Sequence[Group], state: MutableMapping[Tensor, Entry]) -> Gathered:
    """Collect and check every parameter that has a gradient; raises before anything has changed."""
    members: list[Member] = []
    created: dict[Tensor, Entry] = {}
    for index, group in enumerate(groups):
        exists = states_of(schema, group)
        needs_state = any(exists)
        for position, param in enumerate(_params_of(group)):
            grad = param.grad
            if grad is None:
                continue
            where = _name(group, index, position)
            _check_gradient(schema, group, param, grad, where)
            _check_options(group, param, where)
            entry: Entry = state.get(param, {}) if needs_state else {}
            new = needs_state and (param in created or not found_in(schema, exists, entry, where))
            if new:
                if param not in created:
                    created[param] = new_entry(schema, group, exists, param, grad)
                entry = created[param]
            else:
                _check_entry(schema, group, exists, entry, param, grad, where)
            states = tuple(
                value if existing and isinstance(value := entry[declared.name], Tensor) else None
                for declared, existing in zip(schema.states, exists, strict=True)
            )
            members.append(Member(index, param, grad, states, new))
    return Gathered(members, list(created.items()))


def tensor_states(schema: Schema, member: Member) -> list[Tensor]:
    """The states of a member that have one number per element and exist."""
    return [
        state
        for declared, state in zip(schema.states, member.states, strict=True)
        if state is not None and declared.kind == "tensor"
    ]


def _params_of(group: Group) -> Sequence[Tensor]:
    params = group["params"]
    assert isinstance(params, list)
    return params


def _name(group: Group, index: int, position: int) -> str:
    names = group.get("param_names")
    known = f" ({names[position]})" if isinstance(names, list) and position < len(names) else ""
    return f"parameter {position} of group {index}{known}"


def _check_gradient(schema: Schema, group: Group, param: Tensor, grad: Tensor, where: str) -> None:
    if grad.shape != param.shape:
        raise RuntimeError(f"the gradient of {where} has the shape {tuple(grad.shape)}, not {tuple(param.shape)}")
    if grad.dtype != param.dtype:
        raise RuntimeError(f"the gradient of {where} is {grad.dtype}, not {param.dtype}")
    if grad.device != param.device:
        raise RuntimeError(f"the gradient of {where} is on {grad.device}, not on {param.device}")
    if grad.layout == torch.strided:
        return
    if grad.layout != torch.sparse_coo:
        raise RuntimeError(f"the gradient of {where} is {grad.layout}, which no implementation takes")
    if schema.sparse == "unsupported":
        raise RuntimeError(schema.sparse_error)
    if schema.decays_gradient(group):
        # torch's words: the first is its own error, the second that of the addition.
        if schema.sparse == "rows":
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")
        raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")


def _check_options(group: Group, param: Tensor, where: str) -> None:
    check_writable(param, where)
    if option(group, "capturable"):
        _check_capturable(param, param)
    if option(group, "differentiable") and param.is_leaf and param.requires_grad:
        raise RuntimeError(
            f"a leaf Variable that requires grad is being used in an in-place operation. ({where}, with differentiable=True)"
        )


def _check_entry(
    schema: Schema, group: Group, exists: tuple[bool, ...], entry: Entry, param: Tensor, grad: Tensor, where: str
) -> None:
    for declared, existing in zip(schema.states, exists, strict=True):
        if not existing:
            continue
        value = entry[declared.name]
        check_found(declared, value, param, grad, where)
        assert isinstance(value, Tensor)
        if declared.kind == "tensor":
            continue
        if option(group, "capturable"):
            _check_capturable(param, value)
        if declared.kind == "counter" and option(group, "differentiable") and value.requires_grad:
            raise RuntimeError(f"`requires_grad` is not supported for `{declared.name}` in differentiable mode")


def _check_capturable(param: Tensor, other: Tensor) -> None:
    supported = _get_capturable_supported_devices()
    if param.device.type != other.device.type or param.device.type not in supported:
        raise AssertionError(f"If capturable=True, params and state_steps must be on supported devices: {supported}.")
