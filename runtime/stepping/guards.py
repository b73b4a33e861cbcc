"""What a step plan assumes, and whether it still is so.

In: an optimizer's groups and the tensors of a step, now and when the plan was made. Out: what has changed, in words, or
nothing. Users assign `state[p]["exp_avg"]`, swap `.data`, move state to a replacement parameter, and torch honours it:
so every step compares options and conditions of groups, and for every tensor type, dtype, device, shape, strides and
lazy negation; addresses that moved are taken in. Must not know what a plan does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import is_

from torch import Tensor

from thetac.runtime.implementations.fused import Bucket, specialisations_of, stream_numbers
from thetac.runtime.param_groups.group_conditions import Conditions, is_immutable
from thetac.runtime.param_groups.groups import known_keys, numbers_of, option
from thetac.runtime.param_groups.state import states_of
from thetac.runtime.param_groups.step_tensors import GRAD, OTHER_GRADIENTS, StepTensors
from thetac.runtime.schema import Group, Schema
from thetac.runtime.tensor_facts.memory import Stretches, sharing
from thetac.runtime.tensor_facts.places import Places
from thetac.runtime.tensor_facts.reader_choice import load_reader
from thetac.runtime.tensor_facts.tensor_reader import DEVICE, MEMORY, TYPE, TensorWatch

MISSING_STATE = "a state is missing"


@dataclass(frozen=True, slots=True)
class Part:
    """Members that agree in device and dtypes, and in which states they have."""

    places: Places  # of the members
    work: Bucket | None  # who takes their addresses
    any_strides: bool  # of their gradients


class GroupWatch:
    """What a group decides about a plan, and its numbers, read again only when something was assigned."""

    def __init__(self, schema: Schema, group: Group) -> None:
        self._schema = schema
        self._keys = known_keys(schema)
        self._numbers: dict[str, float] | None = None
        self._read(group)

    def holds(self, group: Group) -> bool:
        """Whether options, conditions of states and what kernels are specialised on are the same."""
        if self._same_values(group) and self._conditions.stand():
            return True
        before = self._decides
        self._read(group)  # the numbers, too
        return self._decides == before

    def numbers(self, group: Group) -> dict[str, float]:
        """Every number and flag, by element name, of a group that `holds` has just looked at."""
        if self._numbers is None or not self._immutable:
            self._numbers = numbers_of(self._schema, group)
        return self._numbers

    def decided(self, group: Group) -> Group:
        """The group, where capturable with the numbers of tensors that conditions depend on."""
        return self._conditions.decided(group)

    def _same_values(self, group: Group) -> bool:
        return all(map(is_, map(group.get, self._keys), self._values))

    def _read(self, group: Group) -> None:
        self._numbers = None
        self._values = list(map(group.get, self._keys))
        self._immutable = all(map(is_immutable, self._values))
        options = tuple(option(group, name) for name in ("foreach", "fused", "capturable", "differentiable"))
        self._conditions = Conditions(group)
        exist = states_of(self._schema, self._conditions)
        self._decides = (*options, *exist, *specialisations_of(self._schema, self._conditions).values())


class Assumptions:
    """What must hold of the tensors of every step, as it holds now; no tensor is kept."""

    def __init__(self, schema: Schema, parts: Iterable[Part], tensors: StepTensors) -> None:
        self._written: list[_Stream] = []
        self._gradients: list[_Stream] = []
        for part in parts:
            self._watch(schema, part, tensors)
        self._stretches = Stretches(self._all_written(tensors))
        differing = (stream.watch.differs_already for stream in self._written)
        self.broken = next((_of_written(why) for why in differing if why), "")  # why these can never hold
        if not self.broken:
            differing = (stream.watch.differs_already for stream in self._gradients)
            self.broken = next((_of_gradient(why) for why in differing if why), "")

    def why_void(self, tensors: StepTensors) -> str:
        """What has changed; empty if nothing has."""
        return self._why_written_void(tensors) or self._why_gradients_void(tensors)

    def _watch(self, schema: Schema, part: Part, tensors: StepTensors) -> None:
        reader = load_reader()
        for index, number in enumerate(stream_numbers(schema)):
            watched = tensors.lists[number]
            if not watched or part.places.of(watched)[0] is None:
                continue
            any_strides = number == GRAD and part.any_strides
            watch = reader.watch_tensors(watched, part.places, any_strides=any_strides)
            stream = _Stream(number, index, watch, part)
            (self._gradients if number == GRAD else self._written).append(stream)

    def _why_written_void(self, tensors: StepTensors) -> str:
        moved = False
        for stream in self._written:
            found = tensors.lists[stream.number]
            if why := stream.watch.poll(found):
                return MISSING_STATE if any(one is None for one in stream.part.places.of(found)) else _of_written(why)
            if stream.watch.moved:
                moved = True
                stream.take_in()
        if moved:
            written = self._all_written(tensors)
            if sharing(list(enumerate(written)), []):
                return "parameters or states came to share memory"
            self._stretches = Stretches(written)
        return ""

    def _why_gradients_void(self, tensors: StepTensors) -> str:
        for stream in self._gradients:
            if why := stream.watch.poll(tensors.grads, self._stretches):
                return OTHER_GRADIENTS if any(grad is None for grad in tensors.grads) else _of_gradient(why)
            if stream.watch.moved:
                stream.take_in()
        return ""

    def _all_written(self, tensors: StepTensors) -> list[Tensor]:
        return [tensor for stream in self._written for tensor in stream.part.places.of(tensors.lists[stream.number])]


@dataclass(frozen=True, slots=True)
class _Stream:
    """One tensor of every member of a part."""

    number: int  # of its list among those of a step
    index: int  # of its column in the address table
    watch: TensorWatch
    part: Part

    def take_in(self) -> None:
        """Copy new addresses to the table of the bucket."""
        if self.part.work is not None:
            self.part.work.column(self.index).copy_(self.watch.addresses)
            self.part.work.mark_aligned()


def _of_written(differs: str) -> str:
    if differs == DEVICE:
        return "a parameter or state is on another device"
    return f"the {differs} of a parameter or state changed"


def _of_gradient(differs: str) -> str:
    if differs == DEVICE:
        return "a gradient is on another device"
    if differs == MEMORY:
        return "a gradient shares memory with a parameter or state"
    if differs == TYPE:
        return "a gradient has a type or layout that is not looked at quickly"
    return f"the {differs} of a gradient changed"
