"""Runs the generated for-loop: on numbers, on tensors, and on the stored values of sparse gradients.

In: members of one group that were gathered and checked. Out: nothing; parameters and state are updated in place.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Protocol, cast

import torch
from torch import Tensor

from thetac.runtime.gather import Member
from thetac.runtime.groups import option, values_of
from thetac.runtime.rehearsal import Rehearsal
from thetac.runtime.scaling import Scaling, sum_of_squares
from thetac.runtime.schema import Group, Schema
from thetac.runtime.widened import Step, one_by_one, widened, widens


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
        self._step = _in_computing_dtype(schema, module_of(schema.package).step, members)
        self._group = members[0].group
        self._members = members
        self._positions = positions
        self._params = [member.param for member in members]
        self._states = _states(schema, members)
        self._values: Mapping[str, float] = {}
        self._rehearsal = Rehearsal(schema, members, self._call)

    def prepare(self, groups: Sequence[Group], numbers: Mapping[int, Mapping[str, float]]) -> str:
        self._values = numbers[self._group]
        self._rehearsal.check(self._values)
        return ""

    def _call(self, members: Sequence[Member]) -> None:
        params, grads = ([member.param for member in members], [member.grad for member in members])
        self._step(params, grads, **_states(self._schema, members), **self._values)

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
        self._rehearsal.exist()
        for state in self._schema.states:
            if state.first:
                self._states[state.first] = [False] * len(self._params)


class OnTensorsWork:
    """The same in tensor arithmetic: nothing leaves the device, and autograd can follow."""

    def __init__(self, schema: Schema, members: Sequence[Member], positions: Sequence[int]) -> None:
        self._schema = schema
        self._step = _in_computing_dtype(schema, module_of(schema.package).step_on_tensors, members)
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


def _in_computing_dtype(schema: Schema, step: Step, members: Sequence[Member]) -> Step:
    """The step that members need which are not computed in the dtype they have."""
    return one_by_one(schema, widened(schema, step)) if any(widens(schema, member) for member in members) else step


def _by_rows(schema: Schema, grads: Sequence[Tensor]) -> bool:
    """Whether some gradient is sparse and the rule runs on its stored rows."""
    return schema.sparse == "rows" and any(grad.is_sparse for grad in grads)


def _step_each(
    schema: Schema,
    members: Sequence[Member],
    grads: Sequence[Tensor],
    step: Step,
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
    schema: Schema, member: Member, grad: Tensor, step: Step, values: Mapping[str, object]
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
