"""Runs the generated foreach implementation: forms its buckets and cuts them into chunks of whole tensors.

In: members of one group that were gathered and checked, none of them sharing memory. Out: nothing; parameters and state
are updated in place. A bucket holds tensors of one device and equal dtypes whose counters, scalar states and
firsts are equal, since list operations take one number for the whole list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thetac.runtime.implementations.generated_modules import foreach_of, keywords_of, taken
from thetac.runtime.implementations.rehearsal import Rehearsal
from thetac.runtime.implementations.scalar_states import Numbers, numbers_of_members
from thetac.runtime.implementations.widened import Step, computing_dtype, widened, widens
from thetac.runtime.param_groups.grad_scaling import Scaling, sum_of_squares
from thetac.runtime.param_groups.members import Member, tensor_states
from thetac.runtime.param_groups.step_tensors import StepTensors
from thetac.runtime.schema import Group, Schema
from thetac.runtime.tensor_facts.places import Places

# Bytes that the temporaries of one chunk may take together, unless it is a single tensor. On the CPU a chunk's
# working set should stay in the second-level cache, and a few hundred small tensors still share a call; an
# accelerator wants launches that fill it.
CPU_BUDGET = 1 << 20
ACCELERATOR_BUDGET = 1 << 27


class ForeachWork:
    """Members of one group, bucket by bucket and chunk by chunk."""

    def __init__(self, schema: Schema, members: Sequence[Member], places: Places, tensors: StepTensors) -> None:
        self._schema = schema
        self._step = foreach_of(schema.package).step
        self._takes = keywords_of(self._step)
        self._widened = widened(schema, self._step)
        self._rehearsal = Rehearsal(schema)
        self._group = members[0].group
        self._values: Mapping[str, float] = {}
        place = {id(member): position for member, position in zip(members, places.positions, strict=True)}
        self._some_created = len({member.created for member in members}) > 1
        self._outdated = ""  # why later steps can form better buckets
        self._chunks: list[_Chunk] = []
        self._counts: list[list[Numbers]] = []  # per bucket: what has to be equal in all of its members
        for bucket in buckets(schema, members):
            mine = Places([place[id(member)] for member in bucket], places.size)
            self._counts.append(numbers_of_members(schema, bucket, mine, tensors))
            for chunk in chunks(schema, bucket):
                firsts = {state.first: chunk[0].created for state in schema.states if state.first}
                of_chunk = Places([place[id(member)] for member in chunk], places.size)
                self._chunks.append(_Chunk(of_chunk, firsts, widens(schema, chunk[0])))

    def prepare(self, groups: Sequence[Group], numbers: Mapping[int, Mapping[str, float]], tensors: StepTensors) -> str:
        if self._outdated:
            return self._outdated
        self._values = taken(self._takes, numbers[self._group])
        for bucket in self._counts:
            for counts in bucket:
                if why := counts.why_void(tensors):
                    return why
                if counts.common(tensors) is None:
                    return f"`{counts.name}` came to differ between parameters"
        if self._rehearsal.is_needed(self._values):
            for chunk in self._chunks:
                self._rehearsal.of(self._step_of(chunk), *self._arguments(chunk, tensors))
        return ""

    def sum_of_squares(self, tensors: StepTensors) -> Tensor:
        return sum_of_squares([grad for chunk in self._chunks for grad in chunk.places.of(tensors.grads)])

    def takes_found_inf(self, tensors: StepTensors) -> bool:
        """It reads numbers anyway."""
        return False

    def run(self, tensors: StepTensors, scaling: Scaling) -> None:
        for chunk in self._chunks:
            params, grads, keywords = self._arguments(chunk, tensors)
            self._step_of(chunk)(params, scaling.apply(grads) if scaling else grads, **keywords, **self._values)

    def finish(self) -> None:
        if self._some_created:
            self._outdated = "states that were made in the last step can share a call with others now"
        for chunk in self._chunks:
            chunk.firsts.update(dict.fromkeys(chunk.firsts, False))

    def _step_of(self, chunk: _Chunk) -> Step:
        return self._widened if chunk.is_widened else self._step

    def _arguments(self, chunk: _Chunk, tensors: StepTensors) -> tuple[list[Tensor], list[Tensor], dict[str, object]]:
        """Parameters, gradients, and the keywords for states and firsts."""
        keywords = {**states_at(self._schema, chunk.places, tensors), **chunk.firsts}
        return chunk.places.of(tensors.params), chunk.places.of(tensors.grads), keywords


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What one call takes."""

    places: Places  # of its tensors among those of the step
    firsts: dict[str, bool]
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


def states_at(schema: Schema, places: Places, tensors: StepTensors) -> dict[str, list[Tensor]]:
    """The keywords for states of the members at some places; an empty list for a state that they do not have."""
    found: dict[str, list[Tensor]] = {}
    for state, listed in zip(schema.states, tensors.states, strict=True):
        mine = places.of(listed) if listed else []
        found[state.argument] = [] if mine and mine[0] is None else mine
    return found
