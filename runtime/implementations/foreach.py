"""Runs the generated foreach implementation: forms its buckets and cuts them into chunks of whole tensors.

In: members of one group that were gathered and checked, none of them sharing memory. Out: nothing; parameters and state
are updated in place. A bucket holds tensors of one device and equal dtypes whose counters, scalar states and
firsts are equal, since list operations take one host scalar for the whole list, and so are the numbers of parameters
that the rule reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thetac.runtime.implementations.executor import Unfinished
from thetac.runtime.implementations.generated_modules import TakenScalars, foreach_of, keywords_of
from thetac.runtime.implementations.rehearsal import Rehearsal
from thetac.runtime.implementations.scalar_rows import numbers_of_param
from thetac.runtime.implementations.scalar_states import ScalarStates, scalar_states_of
from thetac.runtime.implementations.widened import Step, computing_dtype, widened, widens
from thetac.runtime.param_groups.grad_scaling import Scaling, sum_of_squares
from thetac.runtime.param_groups.groups import HostScalars
from thetac.runtime.param_groups.members import Member, tensor_states
from thetac.runtime.param_groups.shared_numbers import numbers_of
from thetac.runtime.param_groups.step_tensors import StepTensors
from thetac.runtime.schema import Group, Schema
from thetac.runtime.tensor_facts.selection import Selection
from thetac.runtime.totals import Waiting, together

# Bytes that the temporaries of one chunk may take together, unless it is a single tensor. On the CPU a chunk's
# working set should stay in the second-level cache, and a few hundred small tensors still share a call; an
# accelerator needs launches that fill it.
CPU_BUDGET = 1 << 20
ACCELERATOR_BUDGET = 1 << 27


class ForeachExecutor:
    """Updates members of one group, bucket by bucket and chunk by chunk."""

    def __init__(self, schema: Schema, members: Sequence[Member], selection: Selection, tensors: StepTensors) -> None:
        self._schema = schema
        self._step = foreach_of(schema.package).step
        self._taken = TakenScalars(keywords_of(self._step))
        self._widened = widened(schema, self._step)
        self._rehearsal = Rehearsal(schema)
        self._group = members[0].group
        self._values: HostScalars = {}  # those of the group that the step takes
        positions = {id(member): position for member, position in zip(members, selection.positions, strict=True)}
        self._some_created = len({member.created for member in members}) > 1
        self._outdated = ""  # why a re-plan forms better buckets; empty if it does not
        self._chunks: list[_Chunk] = []
        self._scalar_states: list[list[ScalarStates]] = []  # per bucket: states that have one value in all members
        for bucket in buckets(schema, members, keywords_of(self._step)):
            mine = Selection([positions[id(member)] for member in bucket], selection.size)
            self._scalar_states.append(scalar_states_of(schema, bucket, mine, tensors))
            for chunk in chunks(schema, bucket):
                firsts = {state.first: chunk[0].created for state in schema.states if state.first}
                of_chunk = Selection([positions[id(member)] for member in chunk], selection.size)
                numbers = numbers_of_param(schema, chunk[0].shape, keywords_of(self._step))
                self._chunks.append(_Chunk(of_chunk, firsts, numbers, widens(schema, chunk[0])))

    def check(self, tensors: StepTensors) -> str:
        """Check as `Executor` says, and that counters and scalar states are still equal within every bucket."""
        if self._outdated:
            return self._outdated
        for bucket in self._scalar_states:
            for state in bucket:
                if why := state.check(tensors):
                    return why
                if state.read_common(tensors) is None:
                    return f"`{state.name}` came to differ between parameters"
        return ""

    def refresh(self, groups: Sequence[Group], host_scalars: Mapping[int, HostScalars], tensors: StepTensors) -> None:
        """Take the host scalars of the group; raise torch's error for one that torch would refuse."""
        self._values = self._taken.pick(host_scalars[self._group])
        if self._schema.shared:
            self._values = {**self._values, **numbers_of(self._schema, groups[self._group])}
        if self._rehearsal.is_needed(self._values):
            for chunk in self._chunks:
                self._rehearsal.of(self._step_of(chunk), *self._arguments(chunk, tensors))

    def sum_of_squares(self, tensors: StepTensors) -> Tensor:
        """See `Executor`."""
        return sum_of_squares([grad for chunk in self._chunks for grad in chunk.selection.select(tensors.grads)])

    def can_skip_on_device(self, tensors: StepTensors) -> bool:
        """Return False: the host reads counters in every step."""
        return False

    def run(self, tensors: StepTensors, scaling: Scaling) -> Unfinished | None:
        """See `Executor`."""
        if self._schema.waits:
            return Unfinished(self._group, together([self._rest(chunk, tensors, scaling) for chunk in self._chunks]))
        for chunk in self._chunks:
            params, grads, keywords = self._arguments(chunk, tensors)
            self._step_of(chunk)(params, scaling.apply(grads) if scaling else grads, **keywords, **self._values)
        return None

    def _rest(self, chunk: _Chunk, tensors: StepTensors, scaling: Scaling) -> Waiting:
        """Return the step of a chunk, which waits for the others at each total."""
        params, grads, keywords = self._arguments(chunk, tensors)
        rest: Waiting = self._step_of(chunk)(params, scaling.apply(grads), **keywords, **self._values)
        return rest

    def finish(self) -> None:
        """See `Executor`."""
        if self._some_created:
            self._outdated = "states that were made in the last step can share a call with others now"
        for chunk in self._chunks:
            chunk.firsts.update(dict.fromkeys(chunk.firsts, False))

    def _step_of(self, chunk: _Chunk) -> Step:
        return self._widened if chunk.is_widened else self._step

    def _arguments(self, chunk: _Chunk, tensors: StepTensors) -> tuple[list[Tensor], list[Tensor], dict[str, object]]:
        """Return parameters, gradients, and the keywords for states, firsts and numbers of the parameters."""
        keywords = {**states_at(self._schema, chunk.selection, tensors), **chunk.firsts, **chunk.numbers}
        return chunk.selection.select(tensors.params), chunk.selection.select(tensors.grads), keywords


@dataclass(frozen=True, slots=True)
class _Chunk:
    """The arguments of one call of the step."""

    selection: Selection  # of its tensors among those of the step
    firsts: dict[str, bool]
    numbers: dict[str, float]  # of its parameters, which agree in them
    is_widened: bool  # computed in a wider dtype


def buckets(schema: Schema, members: Sequence[Member], takes: frozenset[str]) -> list[list[Member]]:
    """Return the members that one call may take, in the order of their first ones; `takes` are its keywords."""
    found: dict[tuple[object, ...], list[Member]] = {}
    for member in members:
        found.setdefault(_key(schema, member, takes), []).append(member)
    return list(found.values())


def chunks(schema: Schema, bucket: Sequence[Member]) -> Iterator[Sequence[Member]]:
    """Cut a bucket into pieces whose temporaries fit the budget."""
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


def _key(schema: Schema, member: Member, takes: frozenset[str]) -> tuple[object, ...]:
    """Return what has to be equal for members to share a bucket."""
    scalars: list[object] = []
    dtypes: list[torch.dtype | None] = [member.param.dtype, member.grad.dtype]
    for declared, state in zip(schema.states, member.states, strict=True):
        if state is None:
            scalars.append(None)
        elif declared.is_number:
            scalars.append((state.item(), state.dtype, state.device))
        else:
            dtypes.append(state.dtype)
    return (
        member.param.device,
        *dtypes,
        *numbers_of_param(schema, member.shape, takes).values(),
        *scalars,
        member.created,
    )


def states_at(schema: Schema, selection: Selection, tensors: StepTensors) -> dict[str, list[Tensor]]:
    """Return the keywords for states of the selected members; an empty list for a state that they do not have."""
    found: dict[str, list[Tensor]] = {}
    for state, listed in zip(schema.states, tensors.states, strict=True):
        mine = selection.select(listed) if listed else []
        found[state.argument] = [] if mine and mine[0] is None else mine
    return found
