"""Runs the generated foreach implementation: forms its buckets and cuts them into chunks of whole tensors.

In: members of one group that were gathered and checked, none of them sharing memory. Out: nothing; parameters and state
are updated in place. A bucket holds tensors of one device and equal dtypes whose counters, scalar states and
firsts are equal, since list operations take one number for the whole list.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Protocol, cast

import torch
from torch import Tensor

from thetac.runtime.gather import Member
from thetac.runtime.schema import Schema

# Bytes that the temporaries of one chunk may take together, unless it is a single tensor. On the CPU a chunk's
# working set should stay in the second-level cache, and a few hundred small tensors still share a call; an
# accelerator wants launches that fill it.
CPU_BUDGET = 1 << 20
ACCELERATOR_BUDGET = 1 << 27


class Foreach(Protocol):
    """The generated module. Keywords are those of the schema: states, firsts and values."""

    def step(self, params: list[Tensor], grads: list[Tensor], /, **keywords: object) -> None: ...


@cache
def module_of(package: str) -> Foreach:
    return cast(Foreach, importlib.import_module(f"{package}.foreach"))


def run(schema: Schema, values: Mapping[str, float], members: Sequence[Member]) -> None:
    """Every bucket, chunk by chunk."""
    foreach = module_of(schema.package)
    for bucket in buckets(schema, members):
        for chunk in chunks(schema, bucket):
            foreach.step(
                [member.param for member in chunk],
                [member.grad for member in chunk],
                **_states(schema, chunk),
                **values,
            )


def buckets(schema: Schema, members: Sequence[Member]) -> list[list[Member]]:
    """Members that one call may take, in order of their first member."""
    found: dict[tuple[object, ...], list[Member]] = {}
    for member in members:
        found.setdefault(_key(schema, member), []).append(member)
    return list(found.values())


def chunks(schema: Schema, bucket: Sequence[Member]) -> Iterator[Sequence[Member]]:
    """A bucket in pieces whose temporaries fit the budget."""
    budget = CPU_BUDGET if bucket[0].param.device.type == "cpu" else ACCELERATOR_BUDGET
    begin, taken = 0, 0
    for index, member in enumerate(bucket):
        needed = member.param.numel() * member.param.element_size() * max(schema.foreach_temporaries, 1)
        if index > begin and taken + needed > budget:
            yield bucket[begin:index]
            begin, taken = index, 0
        taken += needed
    yield bucket[begin:]


def _key(schema: Schema, member: Member) -> tuple[object, ...]:
    numbers: list[object] = []
    dtypes: list[torch.dtype | None] = [member.param.dtype, member.grad.dtype]
    for declared, state in zip(schema.states, member.states, strict=True):
        if state is None:
            numbers.append(None)
        elif declared.kind == "tensor":
            dtypes.append(state.dtype)
        else:
            numbers.append((state.item(), state.dtype, state.device))
    return (member.param.device, *dtypes, *numbers, member.created)


def _states(schema: Schema, chunk: Sequence[Member]) -> dict[str, object]:
    keywords: dict[str, object] = {}
    for index, state in enumerate(schema.states):
        tensors = [member.states[index] for member in chunk]
        keywords[state.argument] = [] if tensors[0] is None else tensors
        if state.first:
            keywords[state.first] = chunk[0].created
    return keywords
