"""The first half of a step: collect what has a gradient, make the state that is missing, check all that can be checked.

In: the parameter groups and the state of an optimizer. Out: one `Member` per parameter with a gradient, and the new
state set aside, so that an error leaves everything as it was. Nothing here writes to a tensor or to
`optimizer.state`.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.optim.optimizer import _get_capturable_supported_devices

from thetac.runtime.groups import option
from thetac.runtime.schema import Group, Schema
from thetac.runtime.state import Entry, check_found, check_writable, new_entry, states_of


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
    """All members, in the order of groups and parameters, and the new state that the optimizer does not have yet."""

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
        declared = [state if existing else None for state, existing in zip(schema.states, exists, strict=True)]
        names = [state.name for state in declared if state is not None]
        checks = _Checks(schema, group, index)
        for position, param in enumerate(group["params"]):
            grad = param.grad
            if grad is None:
                continue
            if grad.is_conj() or grad.is_neg():
                grad = grad.resolve_conj().resolve_neg()  # neither kernels nor views as pairs of reals take lazy ones
            checks.check_param(param, grad, position)
            if not names:
                members.append(Member(index, param, grad, tuple([None] * len(declared)), False))
                continue
            entry: Entry = state.get(param, {})
            new = param in created or any(entry.get(name) is None for name in names)
            if new:
                checks.check_absent(names, entry, position)
                if param not in created:
                    created[param] = new_entry(schema, group, exists, param, grad)
                entry = created[param]
            values = [None if state is None else entry[state.name] for state in declared]
            if not new:
                checks.check_states(values, param, grad, position)
            members.append(Member(index, param, grad, cast("tuple[Tensor | None, ...]", tuple(values)), new))
    return Gathered(members, list(created.items()))


def tensor_states(schema: Schema, member: Member) -> list[Tensor]:
    """The states of a member that have one number per element and exist."""
    return [
        state
        for declared, state in zip(schema.states, member.states, strict=True)
        if state is not None and declared.kind == "tensor"
    ]


class _Checks:
    """What must hold of the members of one group. Each check passes quickly or takes its time to say what is wrong."""

    def __init__(self, schema: Schema, group: Group, index: int) -> None:
        self._schema = schema
        self._group = group
        self._index = index
        self._capturable = bool(option(group, "capturable"))
        self._differentiable = bool(option(group, "differentiable"))

    def check_param(self, param: Tensor, grad: Tensor, position: int) -> None:
        if not (
            grad.shape == param.shape
            and grad.dtype is param.dtype
            and grad.device == param.device
            and grad.layout is torch.strided
        ):
            self._check_gradient(param, grad, self._name(position))
        if param.layout is not torch.strided or not param.is_contiguous():
            check_writable(param, self._name(position))
        if self._capturable:
            _check_capturable(param, param)
        if self._differentiable and param.is_leaf and param.requires_grad:
            raise RuntimeError(
                "a leaf Variable that requires grad is being used in an in-place operation. "
                f"({self._name(position)}, with differentiable=True)"
            )

    def check_absent(self, names: Sequence[str], entry: Entry, position: int) -> None:
        """Of a parameter that lacks some of its state: whether it lacks all of it."""
        present = [name for name in names if entry.get(name) is not None]
        if present:
            missing = [name for name in names if name not in present]
            raise RuntimeError(
                f"the state of {self._name(position)} is incomplete: it has {_list(present)} but not {_list(missing)}; "
                "give it all of them, or none to start anew"
            )

    def check_states(self, values: Sequence[object], param: Tensor, grad: Tensor, position: int) -> None:
        """The state of one parameter, as it was found, in the schema's order."""
        shape, dtype, device = param.shape, param.dtype, param.device
        for declared, value in zip(self._schema.states, values, strict=True):
            if value is None:
                continue
            if not _is_usual(declared.kind == "tensor", value, shape, dtype, device):
                check_found(declared, value, param, grad, self._name(position))
            if declared.kind == "tensor":
                continue
            assert isinstance(value, Tensor)
            if self._capturable:
                _check_capturable(param, value)
            if self._differentiable and declared.kind == "counter" and value.requires_grad:
                raise RuntimeError(f"`requires_grad` is not supported for `{declared.name}` in differentiable mode")

    def _check_gradient(self, param: Tensor, grad: Tensor, where: str) -> None:
        if grad.shape != param.shape:
            raise RuntimeError(f"the gradient of {where} has the shape {tuple(grad.shape)}, not {tuple(param.shape)}")
        if grad.dtype != param.dtype:
            raise RuntimeError(f"the gradient of {where} is {grad.dtype}, not {param.dtype}")
        if grad.device != param.device:
            raise RuntimeError(f"the gradient of {where} is on {grad.device}, not on {param.device}")
        if grad.layout != torch.sparse_coo:
            raise RuntimeError(f"the gradient of {where} is {grad.layout}, which no implementation takes")
        if self._schema.sparse == "unsupported":
            raise RuntimeError(self._schema.sparse_error)
        if self._schema.decays_gradient(self._group):
            # torch's words: the first is its own error, the second that of the addition.
            if self._schema.sparse == "rows":
                raise RuntimeError("weight_decay option is not compatible with sparse gradients")
            raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")

    def _name(self, position: int) -> str:
        names = self._group.get("param_names")
        known = f" ({names[position]})" if isinstance(names, list) and position < len(names) else ""
        return f"parameter {position} of group {self._index}{known}"


def _is_usual(like_param: bool, value: object, shape: torch.Size, dtype: torch.dtype, device: torch.device) -> bool:
    """Whether a state is what the runtime itself would have made; if not, it may still be right."""
    if not isinstance(value, Tensor) or value.layout is not torch.strided:
        return False
    if not like_param:
        return value.dim() == 0 and value.is_floating_point()
    return value.dtype is dtype and value.shape == shape and value.device == device and value.is_contiguous()


def _check_capturable(param: Tensor, other: Tensor) -> None:
    supported = _get_capturable_supported_devices()
    if param.device.type != other.device.type or param.device.type not in supported:
        raise AssertionError(f"If capturable=True, params and state_steps must be on supported devices: {supported}.")


def _list(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
