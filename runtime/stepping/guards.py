"""What a plan assumes of groups and tensors, and whether it still is so.

In: an optimizer's groups and the tensors of a step, now and when the plan was made. Out: what has changed so that the
plan is not valid, in words; or what has changed that it can take over, such as addresses. Users assign
`state[p]["exp_avg"]`, swap `.data`, move state to a replacement parameter, and torch honours it: so every step compares
options and conditions of groups, and for every tensor type, dtype, device, shape, strides and lazy negation. Checks
change nothing but the observations that the watches of tensors have made. Must not know what a plan does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import is_

from torch import Tensor

from thetac.options import IN_PLAN
from thetac.runtime.implementations.fused import Bucket, specialisations_of, stream_numbers
from thetac.runtime.param_groups.group_conditions import Conditions, is_immutable
from thetac.runtime.param_groups.groups import HostScalars, host_scalars_of, known_keys, option
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.state import states_of
from thetac.runtime.param_groups.step_tensors import GRAD, OTHER_GRADIENTS, StepTensors
from thetac.runtime.schema import Group, Schema, Shape
from thetac.runtime.tensor_facts.memory import MemoryRanges, find_overlapping_owners
from thetac.runtime.tensor_facts.reader_choice import load_reader
from thetac.runtime.tensor_facts.selection import Selection
from thetac.runtime.tensor_facts.tensor_reader import DEVICE, MEMORY, TYPE, TensorWatch

ShapesByClass = dict[tuple[float, ...], Shape]  # one shape for each different `Schema.shape_class`

MISSING_STATE = "a state is missing"


@dataclass(frozen=True, slots=True)
class Part:
    """Members that agree in device and dtypes, and in which states they have."""

    selection: Selection  # of the members
    bucket: Bucket | None  # whose table has their addresses
    any_strides: bool  # of their gradients


class GroupReading:
    """What a group said when it was read: what it decides about a plan, and its host scalars."""

    def __init__(self, schema: Schema, group: Group, keys: tuple[str, ...], shapes: ShapesByClass) -> None:
        self._schema = schema
        self._keys = keys  # those that `known_keys` gives
        self._shapes = shapes  # of the members of the group
        self._values = list(map(group.get, self._keys))
        self._is_immutable = all(map(is_immutable, self._values))
        self._host_scalars: HostScalars | None = None  # kept where they can only change by assignment
        self._conditions = Conditions(group)
        self._specialisations = {
            known: specialisations_of(schema, self._conditions, shape) for known, shape in shapes.items()
        }
        self._decides = (
            [option(group, name) for name in IN_PLAN],
            [states_of(schema, self._conditions, shape) for shape in shapes.values()],
            self._specialisations,
        )

    def is_current(self, group: Group) -> bool:
        """Return whether reading the group now would give the same; False where that is unknown."""
        return all(map(is_, map(group.get, self._keys), self._values)) and self._conditions.are_unchanged()

    def read_again(self, group: Group) -> GroupReading:
        """Return a reading of the group as it is now."""
        return GroupReading(self._schema, group, self._keys, self._shapes)

    def specialisations_of(self, member: Member) -> Mapping[str, bool]:
        """Return the values of the specialisations for a member of the group, by name."""
        return self._specialisations[self._schema.shape_class(member.shape)]

    def decides_as(self, other: GroupReading) -> bool:
        """Return whether options, existing states and specialisations are the same."""
        return self._decides == other._decides

    def read_host_scalars(self, group: Group) -> HostScalars:
        """Return every hyperparameter and flag as a Python number, of a group for which this reading is current."""
        if self._host_scalars is None or not self._is_immutable:
            self._host_scalars = host_scalars_of(self._schema, group)
        return self._host_scalars

    def replace_tensors(self, group: Group) -> Group:
        """Return the group; where capturable, with host scalars for the tensors that conditions depend on."""
        return self._conditions.replace_tensors(group)


class GroupGuard:
    """What a plan assumes of one group."""

    def __init__(self, reading: GroupReading) -> None:
        self.reading = reading

    def check(self, group: Group) -> GroupReading | None:
        """Return the reading that is current, the last one if the group is unchanged; None if the plan is not valid."""
        if self.reading.is_current(group):
            return self.reading
        reading = self.reading.read_again(group)
        return reading if reading.decides_as(self.reading) else None

    def accept(self, reading: GroupReading) -> None:
        """Go on from a reading that `check` has returned."""
        self.reading = reading


@dataclass(frozen=True, slots=True)
class Stream:
    """One tensor of every member of a part."""

    number: int  # of its list among those of a step
    index: int  # among the streams of the part
    watch: TensorWatch
    part: Part


@dataclass(frozen=True, slots=True)
class Moved:
    """What tables do not say yet: `watch.addresses` of these streams is new."""

    streams: tuple[Stream, ...]
    written: MemoryRanges  # the memory of all parameters and states


class TensorGuard:
    """What a plan assumes of the tensors of every step, as it is when the guard is made; no tensor is kept."""

    def __init__(self, schema: Schema, parts: Iterable[Part], tensors: StepTensors) -> None:
        self._written: list[Stream] = []
        self._gradients: list[Stream] = []
        for part in parts:
            self._watch(schema, part, tensors)
        self._ranges = MemoryRanges(self._all_written(tensors))
        self._unmoved = Moved((), self._ranges)
        differing = (stream.watch.differs_already for stream in self._written)
        broken = next((_of_written(why) for why in differing if why), "")
        if not broken:
            differing = (stream.watch.differs_already for stream in self._gradients)
            broken = next((_of_gradient(why) for why in differing if why), "")
        self.never_valid = broken  # why tensors like these can never be watched

    def check(self, tensors: StepTensors) -> Moved | str:
        """Return which streams have other addresses, or what has changed so that the plan is not valid.

        `accept` has to follow before the next check: addresses are reported once.
        """
        moved: list[Stream] = []
        for stream in self._written:
            found = tensors.lists[stream.number]
            if why := stream.watch.poll(found):
                is_missing = any(one is None for one in stream.part.selection.select(found))
                return MISSING_STATE if is_missing else _of_written(why)
            if stream.watch.moved:
                moved.append(stream)
        ranges = self._ranges
        if moved:
            written = self._all_written(tensors)
            if find_overlapping_owners(list(enumerate(written)), []):
                return "parameters or states came to share memory"
            ranges = MemoryRanges(written)
        for stream in self._gradients:
            if why := stream.watch.poll(tensors.grads, ranges):
                return OTHER_GRADIENTS if any(grad is None for grad in tensors.grads) else _of_gradient(why)
            if stream.watch.moved:
                moved.append(stream)
        return Moved(tuple(moved), ranges) if moved else self._unmoved

    def accept(self, moved: Moved) -> None:
        """Go on from what `check` has returned, once tables have the new addresses."""
        if moved.written is not self._ranges:
            self._ranges = moved.written
            self._unmoved = Moved((), moved.written)

    def _watch(self, schema: Schema, part: Part, tensors: StepTensors) -> None:
        """Make the watches of one part: one for each list in which its members have tensors."""
        reader = load_reader()
        for index, number in enumerate(stream_numbers(schema)):
            watched = tensors.lists[number]
            if not watched or part.selection.select(watched)[0] is None:
                continue
            any_strides = number == GRAD and part.any_strides
            watch = reader.watch_tensors(watched, part.selection, any_strides=any_strides)
            (self._gradients if number == GRAD else self._written).append(Stream(number, index, watch, part))

    def _all_written(self, tensors: StepTensors) -> list[Tensor]:
        """Return all parameters and states that are watched."""
        return [
            tensor for stream in self._written for tensor in stream.part.selection.select(tensors.lists[stream.number])
        ]


def read_groups(schema: Schema, groups: Sequence[Group], members: Iterable[Member]) -> list[GroupReading]:
    """Return a reading of each group.

    Args:
        schema: The schema of the optimizer.
        groups: All of its groups.
        members: The members of the plan, whose shapes decide about it too.
    """
    keys = known_keys(schema)
    shapes: list[ShapesByClass] = [{} for _ in groups]
    for member in members:
        shapes[member.group].setdefault(schema.shape_class(member.shape), member.shape)
    return [GroupReading(schema, group, keys, mine) for group, mine in zip(groups, shapes, strict=True)]


def _of_written(differs: str) -> str:
    """Return in words what has changed of a parameter or state."""
    if differs == DEVICE:
        return "a parameter or state is on another device"
    return f"the {differs} of a parameter or state changed"


def _of_gradient(differs: str) -> str:
    """Return in words what has changed of a gradient."""
    if differs == DEVICE:
        return "a gradient is on another device"
    if differs == MEMORY:
        return "a gradient shares memory with a parameter or state"
    if differs == TYPE:
        return "a gradient has a type or layout that guards do not check"
    return f"the {differs} of a gradient changed"
