"""Runs the generated for-loop: on numbers, on tensors, and on the stored values of sparse gradients.

In: members of one group that were gathered and checked. Out: nothing; parameters and state are updated in place.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Protocol, cast

import torch
from torch import Tensor

from thetac.runtime.gather import Member
from thetac.runtime.groups import Value, option
from thetac.runtime.schema import Group, Schema


class ForLoop(Protocol):
    """The generated module. Keywords are those of the schema: states, firsts and values."""

    def step(self, params: list[Tensor], grads: list[Tensor], /, **keywords: object) -> None: ...

    def step_on_tensors(self, params: list[Tensor], grads: list[Tensor], /, **keywords: object) -> None: ...


@cache
def module_of(package: str) -> ForLoop:
    return cast(ForLoop, importlib.import_module(f"{package}.forloop"))


def run(schema: Schema, values: Mapping[str, float], members: Sequence[Member]) -> None:
    """One parameter after the other, with Python numbers."""
    forloop = module_of(schema.package)

    def step(some: Sequence[Member]) -> None:
        forloop.step(*_tensors(some), **_states(schema, some), **values)

    _step_all(schema, members, step)


def run_on_tensors(schema: Schema, group: Group, values: Mapping[str, Value], members: Sequence[Member]) -> None:
    """The same in tensor arithmetic: nothing leaves the device, and autograd can follow."""
    forloop = module_of(schema.package)
    capturable, differentiable = (bool(option(group, name)) for name in ("capturable", "differentiable"))

    def step(some: Sequence[Member]) -> None:
        states = _states(schema, some)
        forloop.step_on_tensors(
            *_tensors(some), **states, **values, capturable=capturable, differentiable=differentiable
        )

    with torch.set_grad_enabled(differentiable):
        _step_all(schema, members, step)


def _step_all(schema: Schema, members: Sequence[Member], step: Callable[[Sequence[Member]], None]) -> None:
    """In one call, unless the rule runs on stored rows and some gradient is sparse: then in order, one by one."""
    if schema.sparse != "rows" or not any(member.grad.is_sparse for member in members):
        step(members)
        return
    for member in members:
        if member.grad.is_sparse:
            _step_on_stored_rows(schema, member, step)
        else:
            step([member])


def _tensors(members: Sequence[Member]) -> tuple[list[Tensor], list[Tensor]]:
    return [member.param for member in members], [member.grad for member in members]


def _states(schema: Schema, members: Sequence[Member]) -> dict[str, object]:
    """The keywords for states and firsts: lists with one item per parameter."""
    keywords: dict[str, object] = {}
    for index, state in enumerate(schema.states):
        keywords[state.argument] = [member.states[index] for member in members]
        if state.first:
            keywords[state.first] = [member.created for member in members]
    return keywords


def _step_on_stored_rows(schema: Schema, member: Member, step: Callable[[Sequence[Member]], None]) -> None:
    """Update the entries that a sparse gradient has values for, as if they were all there is.

    The rule need not be linear, so every entry must occur once: the gradient is coalesced first.
    """
    grad = member.grad.coalesce()
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
    step([rows])
    member.param[where] = rows.param
    for declared, state, new in zip(schema.states, member.states, rows.states, strict=True):
        if state is not None and new is not None and declared.kind == "tensor":
            state[where] = new
