"""Runs the generated foreach implementation: forms its buckets and cuts them into chunks of whole tensors.

In: members of one group that were gathered and checked, none of them sharing memory. Out: nothing; parameters and state
are updated in place. A bucket holds tensors of one device and equal dtypes whose counters, scalar states and
firsts are equal, since list operations take one number for the whole list.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol, cast

import torch
from torch import Tensor

from thetac.runtime.gather import Member, tensor_states
from thetac.runtime.numbers import Numbers, numbers_of_members
from thetac.runtime.rehearsal import Rehearsal
from thetac.runtime.scaling import Scaling, sum_of_squares
from thetac.runtime.schema import Group, Schema
from thetac.runtime.widened import computing_dtype, widened, widens

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


class ForeachWork:
    """Members of one group, bucket by bucket and chunk by chunk."""

    def __init__(self, schema: Schema, members: Sequence[Member], positions: Sequence[int]) -> None:
        self._schema = schema
        self._step = module_of(schema.package).step
        self._widened = widened(schema, self._step)
        self._group = members[0].group
        self._values: Mapping[str, float] = {}
        place = {id(member): position for member, position in zip(members, positions, strict=True)}
        self._some_created = len({member.created for member in members}) > 1
        self._outdated = ""  # why later steps can form better buckets
        self._chunks: list[_Chunk] = []
        self._counts: list[list[Numbers]] = []  # per bucket: what has to be equal in all of its members
        found = buckets(schema, members)
        self._rehearsal = Rehearsal(schema, [bucket[0] for bucket in found], self._rehearse)
        for bucket in found:
            self._counts.append(numbers_of_members(schema, bucket))
            for chunk in chunks(schema, bucket):
                params = [member.param for member in chunk]
                positions = [place[id(member)] for member in chunk]
                self._chunks.append(_Chunk(params, positions, _states(schema, chunk), widens(schema, chunk[0])))

    def prepare(self, groups: Sequence[Group], numbers: Mapping[int, Mapping[str, float]]) -> str:
        if self._outdated:
            return self._outdated
        self._values = numbers[self._group]
        for bucket in self._counts:
            for counts in bucket:
                if counts.common() is None:
                    return f"`{counts.name}` came to differ between parameters"
        self._rehearsal.check(self._values)
        return ""

    def _rehearse(self, members: Sequence[Member]) -> None:
        for member in members:
            step = self._widened if widens(self._schema, member) else self._step
            step([member.param], [member.grad], **_states(self._schema, [member]), **self._values)

    def sum_of_squares(self, grads: Sequence[Tensor]) -> Tensor:
        return sum_of_squares([grads[position] for chunk in self._chunks for position in chunk.positions])

    def takes_found_inf(self) -> bool:
        """It reads numbers anyway."""
        return False

    def run(self, grads: Sequence[Tensor], scaling: Scaling) -> None:
        for chunk in self._chunks:
            mine = [grads[position] for position in chunk.positions]
            step = self._widened if chunk.is_widened else self._step
            step(chunk.params, scaling.apply(mine) if scaling else mine, **chunk.states, **self._values)

    def finish(self) -> None:
        if self._some_created:
            self._outdated = "states that were made in the last step can share a call with others now"
        self._rehearsal.exist()
        for state in self._schema.states:
            if state.first:
                for chunk in self._chunks:
                    chunk.states[state.first] = False


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What one call takes."""

    params: list[Tensor]
    positions: list[int]  # of its gradients among those of the step
    states: dict[str, object]
    is_widened: bool  # computed in a wider dtype


def buckets(schema: Schema, members: Sequence[Member]) -> list[list[Member]]:
    """Members that one call may take, in order of their first member."""
    found: dict[tuple[object, ...], list[Member]] = {}
    for member in members:
        found.setdefault(_key(schema, member), []).append(member)
    return list(found.values())


def chunks(schema: Schema, bucket: Sequence[Member]) -> Iterator[Sequence[Member]]:
    """A bucket in pieces whose temporaries fit the budget."""
    budget = CPU_BUDGET if bucket[0].param.device.type == "cpu" else ACCELERATOR_BUDGET
    dtype = computing_dtype(schema, bucket[0])
    temporaries = max(schema.foreach_temporaries, 1)
    if widens(schema, bucket[0]):
        temporaries += 2 + len(tensor_states(schema, bucket[0]))  # copies of parameter, gradient and state
    begin, taken = 0, 0
    for index, member in enumerate(bucket):
        needed = member.param.numel() * dtype.itemsize * temporaries
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
