"""What must hold of the members of a group before a step may write.

In: a group, and its parameters with their gradients and states, one after the other. Out: an error that names the
parameter, or the tensors that implementations run on. Writes nothing. Must not know of implementations.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.optimizer import _get_capturable_supported_devices

from thetac.runtime.param_groups.groups import option
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.state import Entry, check_found, check_writable, listed
from thetac.runtime.schema import Group, Schema, State
from thetac.runtime.tensor_facts import dtensors


class MemberChecks:
    """Checks the members of one group. A check is fast for the usual member, and slow only to say what is wrong."""

    def __init__(
        self, schema: Schema, group: Group, index: int, placed: dtensors.RedistributedGradients | None
    ) -> None:
        self._schema = schema
        self._states = schema.states
        self._complex_error = schema.complex_error
        self._dense_error = schema.dense_error
        self._group = group
        self._index = index
        self._capturable = bool(option(group, "capturable"))
        self._differentiable = bool(option(group, "differentiable"))
        self._may_be_shards = dtensors.can_exist()
        # Autograd follows operations on whole DTensors, and sums are over all processes.
        self._keeps_dtensors = self._differentiable or schema.reduces or placed is None
        self._placed = None if self._differentiable else placed

    def check_param(self, param: Tensor, grad: Tensor, position: int) -> None:
        """Check a parameter and its gradient, which a step is about to use.

        Args:
            param: The parameter.
            grad: Its gradient, without lazy negation and conjugation.
            position: The index of the parameter in its group.

        Raises:
            RuntimeError: The gradient does not fit the parameter in shape, dtype or device, or no implementation takes
                it; the rule takes no complex parameters, or sparse gradients alone; or the parameter cannot be written
                in place.
            AssertionError: The group is capturable, and the parameter's device is not.
        """
        if self._complex_error and param.is_complex():
            raise RuntimeError(self._complex_error)
        if self._dense_error and not grad.is_sparse:
            raise RuntimeError(self._dense_error)
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
        """Raise RuntimeError if a parameter that is about to get new state has some of it already.

        Args:
            names: The names of the states that its group has.
            entry: What `optimizer.state` has of the parameter.
            position: The index of the parameter in its group.
        """
        present = [name for name in names if entry.get(name) is not None]
        if present:
            missing = [name for name in names if name not in present]
            raise RuntimeError(
                f"the state of {self._name(position)} is incomplete: it has {listed(present)} but not "
                f"{listed(missing)}; give it all of them, or none to start anew"
            )

    def check_states(self, values: Sequence[object], param: Tensor, grad: Tensor, position: int) -> None:
        """Check the state of one parameter as it was found in `optimizer.state`.

        Args:
            values: One per state of the schema, in its order; None for a state that the group does not have.
            param: The parameter.
            grad: Its gradient.
            position: The index of the parameter in its group.

        Raises:
            TypeError: A value is no tensor.
            RuntimeError: It does not fit the parameter, or cannot be written in place.
            AssertionError: The group is capturable, and the device of a counter or scalar state is not.
        """
        shape, dtype, device = param.shape, param.dtype, param.device
        for declared, value in zip(self._states, values, strict=True):
            if value is None:
                continue
            is_usual = _is_usual(declared, value, shape, dtype, device)
            if not is_usual or (declared.float64 and getattr(value, "dtype", None) is not torch.float64):
                check_found(declared, value, param, grad, self._name(position))
            if not declared.is_number:
                continue
            assert isinstance(value, Tensor)
            if self._capturable:
                _check_capturable(param, value)
            if self._differentiable and declared.kind == "counter" and value.requires_grad:
                raise RuntimeError(f"`requires_grad` is not supported for `{declared.name}` in differentiable mode")

    def place_gradient(self, param: Tensor, grad: Tensor, position: int) -> Tensor:
        """Return the gradient; for a DTensor its gradient with the placements of the parameter.

        Raises:
            RuntimeError: The gradient of a DTensor is none, or cannot be redistributed, or the parameter is partial.
        """
        if not dtensors.is_dtensor(param):
            return grad
        where = self._name(position)
        found = dtensors.check_gradient(param, grad, where)
        return found if self._placed is None else self._placed.redistribute(param, found, where)

    def localize(self, member: Member, position: int) -> Member:
        """Return the member with local tensors in place of the DTensors of its group and of `optimizer.state`.

        Raises:
            RuntimeError: DTensors and others are mixed, or placements or local shapes differ.
        """
        if not self._may_be_shards:
            return member
        tensors = (member.param, member.grad, *member.states)
        if not any(map(dtensors.is_dtensor, tensors)):
            return member
        where = self._name(position)
        states = [
            (declared, state)
            for declared, state in zip(self._schema.states, member.states, strict=True)
            if state is not None
        ]
        if not dtensors.is_dtensor(member.param):
            dtensors.check_plain(member.grad, states, where)
            return member
        dtensors.check_placements(member.param, states, where)
        if self._keeps_dtensors:
            return member
        local = Member(
            member.group,
            member.position,
            dtensors.get_local(member.param),
            resolve_lazy(dtensors.get_local(member.grad)),
            tuple(None if state is None else dtensors.get_local(state) for state in member.states),
            member.created,
            member.shape,
            dtensors.GlobalTensors(member.param, member.states),
        )
        dtensors.check_shapes(
            local.param, local.grad, [(declared, dtensors.get_local(state)) for declared, state in states], where
        )
        check_writable(local.param, where)
        return local

    def _check_gradient(self, param: Tensor, grad: Tensor, where: str) -> None:
        """Raise RuntimeError for a gradient that no implementation takes; return for one that is merely unusual."""
        if grad.shape != param.shape:
            raise RuntimeError(f"the gradient of {where} has the shape {tuple(grad.shape)}, not {tuple(param.shape)}")
        if grad.dtype != param.dtype and not _may_have(param, grad.dtype):
            raise RuntimeError(f"the gradient of {where} is {grad.dtype}, not {param.dtype}")
        if grad.device != param.device:
            raise RuntimeError(f"the gradient of {where} is on {grad.device}, not on {param.device}")
        if grad.layout is torch.strided:
            return
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
        """Return how messages call a parameter: position, group and, where the group has one, its name."""
        names = self._group.get("param_names")
        known = f" ({names[position]})" if isinstance(names, list) and position < len(names) else ""
        return f"parameter {position} of group {self._index}{known}"


def resolve_lazy(grad: Tensor) -> Tensor:
    """Return a gradient without lazy negation and conjugation, which neither kernels nor views as pairs take."""
    return grad.resolve_conj().resolve_neg() if grad.is_conj() or grad.is_neg() else grad


def _may_have(param: Tensor, dtype: torch.dtype) -> bool:
    """Return whether a parameter allows gradients of a dtype: torch's `grad_dtype`, which leaves have, says so."""
    if param.is_complex() != dtype.is_complex or param.is_floating_point() != dtype.is_floating_point:
        return False
    return param.is_leaf and getattr(param, "grad_dtype", param.dtype) in (None, dtype)


def _is_usual(declared: State, value: object, shape: torch.Size, dtype: torch.dtype, device: torch.device) -> bool:
    """Return whether a state is what the runtime itself would have made; if not, it may still be right."""
    if not isinstance(value, Tensor) or value.layout is not torch.strided:
        return False
    if declared.is_number:
        return value.dim() == 0 and value.is_floating_point()
    if declared.like_param:
        return value.dtype is dtype and value.shape == shape and value.device == device and value.is_contiguous()
    return False


def _check_capturable(param: Tensor, other: Tensor) -> None:
    """Raise torch's AssertionError unless both tensors are on one device type that can capture steps."""
    supported = _get_capturable_supported_devices()
    if param.device.type != other.device.type or param.device.type not in supported:
        raise AssertionError(f"If capturable=True, params and state_steps must be on supported devices: {supported}.")
