"""Runs the generated for-loop: on numbers, on tensors, and on the stored values of sparse gradients.

In: members of one group that were gathered and checked. Out: nothing; parameters and state are updated in place.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache, reduce
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from thetac.runtime.gather import Member, tensor_states
from thetac.runtime.groups import option, values_of
from thetac.runtime.scaling import Scaling, sum_of_squares
from thetac.runtime.schema import Group, Schema


class ForLoop(Protocol):
    """The generated module. Keywords are those of the schema: states, firsts and values."""

    def step(self, params: list[Tensor], grads: list[Tensor], /, **keywords: object) -> None: ...

    def step_on_tensors(self, params: list[Tensor], grads: list[Tensor], /, **keywords: object) -> None: ...


@cache
def module_of(package: str) -> ForLoop:
    return cast(ForLoop, importlib.import_module(f"{package}.forloop"))


class ForLoopWork:
    """One parameter of a group after the other, with Python numbers."""

    def __init__(self, schema: Schema, members: Sequence[Member], positions: Sequence[int]) -> None:
        self._schema = schema
        step = module_of(schema.package).step
        self._step = in_widest_dtype(schema, step) if any(mixes_dtypes(schema, member) for member in members) else step
        self._group = members[0].group
        self._members = members
        self._positions = positions
        self._params = [member.param for member in members]
        self._states = _states(schema, members)
        self._values: Mapping[str, float] = {}

    def prepare(self, groups: Sequence[Group], numbers: Mapping[int, Mapping[str, float]]) -> str:
        self._values = numbers[self._group]
        return ""

    def sum_of_squares(self, grads: Sequence[Tensor]) -> Tensor:
        return sum_of_squares([grads[position] for position in self._positions])

    def takes_found_inf(self) -> bool:
        """It reads numbers anyway."""
        return False

    def run(self, grads: Sequence[Tensor], scaling: Scaling) -> None:
        mine = [grads[position] for position in self._positions]
        if _by_rows(self._schema, mine):
            _step_each(self._schema, self._members, mine, self._step, self._values, scaling)
        elif scaling:
            # One by one, so that at most one scaled copy exists at a time.
            for index, (param, grad) in enumerate(zip(self._params, mine, strict=True)):
                states = {name: values[index : index + 1] for name, values in self._states.items()}
                self._step([param], scaling.apply([grad]), **states, **self._values)
        else:
            self._step(self._params, mine, **self._states, **self._values)

    def finish(self) -> None:
        self._members = ()  # they hold a gradient each, and only sparse ones need them
        for state in self._schema.states:
            if state.first:
                self._states[state.first] = [False] * len(self._params)


class OnTensorsWork:
    """The same in tensor arithmetic: nothing leaves the device, and autograd can follow."""

    def __init__(self, schema: Schema, members: Sequence[Member], positions: Sequence[int]) -> None:
        self._schema = schema
        self._step = module_of(schema.package).step_on_tensors
        self._group = members[0].group
        self._members = members
        self._positions = positions
        self._values: dict[str, object] = {}

    def prepare(self, groups: Sequence[Group], numbers: Mapping[int, Mapping[str, float]]) -> str:
        group = groups[self._group]
        self._values = {
            **values_of(self._schema, group),
            "capturable": bool(option(group, "capturable")),
            "differentiable": bool(option(group, "differentiable")),
        }
        return ""

    def sum_of_squares(self, grads: Sequence[Tensor]) -> Tensor:
        with torch.set_grad_enabled(bool(self._values["differentiable"])):
            return sum_of_squares([grads[position] for position in self._positions])

    def takes_found_inf(self) -> bool:
        """Where capturable; else numbers are read anyway."""
        if any(member.grad.is_sparse for member in self._members):
            return False
        return bool(self._values["capturable"]) and not self._values["differentiable"]

    def run(self, grads: Sequence[Tensor], scaling: Scaling) -> None:
        mine = [grads[position] for position in self._positions]
        with torch.set_grad_enabled(bool(self._values["differentiable"])):
            if scaling.found_inf is not None:
                self._run_or_undo(mine, scaling)
            elif _by_rows(self._schema, mine):
                _step_each(self._schema, self._members, mine, self._step, self._values, scaling)
            else:
                params = [member.param for member in self._members]
                states = _states(self._schema, self._members)
                self._step(params, scaling.apply(mine), **states, **self._values)

    def _run_or_undo(self, grads: Sequence[Tensor], scaling: Scaling) -> None:
        """One by one, so that at most one parameter and its state are there twice."""
        for member, grad in zip(self._members, grads, strict=True):
            written = [tensor for tensor in (member.param, *member.states) if tensor is not None]
            before = [tensor.clone() for tensor in written]
            _step_each(self._schema, [member], [grad], self._step, self._values, scaling)
            for tensor, old in zip(written, before, strict=True):
                tensor.copy_(torch.where(scaling.is_skipped_on(tensor.device), old, tensor))

    def finish(self) -> None:
        self._members = ()  # it serves a single step, and they hold a gradient each


def mixes_dtypes(schema: Schema, member: Member) -> bool:
    """Whether some state has another dtype than its parameter."""
    return any(state.dtype is not member.param.dtype for state in tensor_states(schema, member))


def in_widest_dtype(schema: Schema, step: Callable[..., None]) -> Callable[..., None]:
    """The same step for parameters with state of other dtypes, which torch's operations do not take.

    Like kernels do, it computes in a dtype that holds all of them and rounds once, for one parameter at a time.
    """
    per_param = [*(state.argument for state in schema.states), *(state.first for state in schema.states if state.first)]
    of_elements = [state.argument for state in schema.states if state.kind == "tensor"]

    def widened(params: Sequence[Tensor], grads: Sequence[Tensor], **keywords: Any) -> None:
        for index, (param, grad) in enumerate(zip(params, grads, strict=True)):
            own = {name: keywords[name][index] for name in per_param}
            narrow = {"param": param, **{name: own[name] for name in of_elements if own[name] is not None}}
            dtype = reduce(torch.promote_types, (tensor.dtype for tensor in narrow.values()))
            wide = {name: tensor.to(dtype) for name, tensor in narrow.items()}
            lists = {name: [value] for name, value in (own | wide).items() if name != "param"}
            step([wide["param"]], [grad.to(dtype)], **{**keywords, **lists})
            for name, tensor in narrow.items():
                if wide[name] is not tensor:
                    tensor.copy_(wide[name])

    return widened


def _by_rows(schema: Schema, grads: Sequence[Tensor]) -> bool:
    """Whether some gradient is sparse and the rule runs on its stored rows."""
    return schema.sparse == "rows" and any(grad.is_sparse for grad in grads)


def _step_each(
    schema: Schema,
    members: Sequence[Member],
    grads: Sequence[Tensor],
    step: Callable[..., None],
    values: Mapping[str, object],
    scaling: Scaling,
) -> None:
    """In order, one by one."""
    for member, unscaled in zip(members, grads, strict=True):
        (grad,) = scaling.apply([unscaled])
        if grad.is_sparse:
            _step_on_stored_rows(schema, member, grad, step, values)
        else:
            step([member.param], [grad], **_states(schema, [member]), **values)


def _states(schema: Schema, members: Sequence[Member]) -> dict[str, list[object]]:
    """The keywords for states and firsts: lists with one item per parameter."""
    keywords: dict[str, list[object]] = {}
    for index, state in enumerate(schema.states):
        keywords[state.argument] = [member.states[index] for member in members]
        if state.first:
            keywords[state.first] = [member.created for member in members]
    return keywords


def _step_on_stored_rows(
    schema: Schema, member: Member, grad: Tensor, step: Callable[..., None], values: Mapping[str, object]
) -> None:
    """Update the entries that a sparse gradient has values for, as if they were all there is.

    The rule need not be linear, so every entry must occur once: the gradient is coalesced first.
    """
    grad = grad.coalesce()
    where = tuple(grad.indices())
    rows = Member(
        member.group,
        member.param[where],
        grad.values(),
        tuple(
            state[where] if state is not None and declared.kind == "tensor" else state
            for declared, state in zip(schema.states, member.states, strict=True)
        ),
        member.created,
    )
    step([rows.param], [rows.grad], **_states(schema, [rows]), **values)
    member.param[where] = rows.param
    for declared, state, new in zip(schema.states, member.states, rows.states, strict=True):
        if state is not None and new is not None and declared.kind == "tensor":
            state[where] = new
