"""What a step plan assumes, and whether it still is so.

In: an optimizer's groups and state, now and when the plan was made. Out: what has changed, in words, or nothing. Users
assign `state[p]["exp_avg"]`, swap `.data`, move state to a replacement parameter, and torch honours it: so every step
compares identities of parameters and state entries, options and conditions of groups, and for every tensor type,
dtype, shape, strides and lazy negation; addresses that moved are taken in. Must not know what a plan does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from operator import attrgetter, is_, itemgetter

import torch
from torch import Tensor

from thetac.runtime.conditions import Conditions, is_immutable
from thetac.runtime.dtensors import Placed, Shards
from thetac.runtime.fused import Bucket, specialisations_of, streams
from thetac.runtime.gather import Member
from thetac.runtime.groups import known_keys, numbers_of, option
from thetac.runtime.memory import Stretches, sharing
from thetac.runtime.native import native
from thetac.runtime.polling import DEVICE, MEMORY, TYPE, Watch
from thetac.runtime.schema import Group, Schema
from thetac.runtime.state import Entry, states_of

OTHER_GRADIENTS = "other parameters have gradients"

_params_of = itemgetter("params")
_grad_of = attrgetter("grad")


@dataclass(frozen=True, slots=True)
class Part:
    """Members that agree in device and dtypes, and in which states they have."""

    positions: list[int]  # among all members
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
        self._read(group)
        return self._decides == before

    def numbers(self, group: Group) -> dict[str, float]:
        """Every number and flag, by element name."""
        if self._numbers is None or not (self._immutable and self._same_values(group)):
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
    """Everything that must not change, as it is now."""

    def __init__(
        self,
        schema: Schema,
        groups: Sequence[Group],
        watches: Sequence[GroupWatch],
        members: Sequence[Member],
        parts: Iterable[Part],
        state: Mapping[Tensor, Entry],
        shards: Shards | None,
    ) -> None:
        self._groups = watches
        self._shards = shards
        self._params: list[Tensor] = [param for group in groups for param in group["params"]]
        self._counts = [len(group["params"]) for group in groups]
        self._absent = [param.grad is None for param in self._params]
        self._some_absent = any(self._absent)
        self._keys, self._entries = list(state.keys()), list(state.values())
        self._states: list[tuple[str, list[Entry], list[Tensor]]] = []
        self._written: list[_Stream] = []
        self._gradients: list[tuple[_Stream, list[int] | None]] = []
        for part in parts:
            self._watch_states(schema, [members[position] for position in part.positions], state)
            self._watch_streams(schema, [members[position] for position in part.positions], part, len(members))
        self._stretches = Stretches(self._all_written())
        differing = (stream.watch.differs_already for stream in self._written)
        self.broken = next((_of_written(why) for why in differing if why), "")  # why these can never hold
        if not self.broken:
            differing = (stream.watch.differs_already for stream, _ in self._gradients)
            self.broken = next((_of_gradient(why) for why in differing if why), "")

    def why_void(
        self, groups: Sequence[Group], state: Mapping[Tensor, Entry], placed: Placed
    ) -> tuple[str, list[Tensor]]:
        """What has changed; if nothing has, all gradients in order, those of this process."""
        lists = list(map(_params_of, groups))
        params: list[Tensor] = lists[0] if len(lists) == 1 else list(chain.from_iterable(lists))
        if list(map(len, lists)) != self._counts or not _same(params, self._params):
            return "there are other parameters", []
        grads = _gradients(params)
        if self._some_absent:
            if list(map(is_, grads, repeat(None))) != self._absent:
                return OTHER_GRADIENTS, []
            grads = [grad for grad in grads if grad is not None]
        held = [watch.holds(group) for watch, group in zip(self._groups, groups, strict=True)]  # all of them look
        if not all(held):
            return "an option or a condition on hyperparameters changed", []
        if why := self._why_states_void(state):
            return why, []
        if self._shards is not None:
            if not self._shards.hold():
                return "a DTensor got another shard", []
            local = self._shards.of_gradients(grads, placed)
            if local is None:
                return "a gradient is no DTensor like its parameter", []
            grads = local
        return self._why_written_void() or self._why_gradients_void(grads), grads

    def _watch_states(self, schema: Schema, members: Sequence[Member], state: Mapping[Tensor, Entry]) -> None:
        if not schema.states:
            return
        entries = [state.get(member.known_param, {}) for member in members]
        for index, declared in enumerate(schema.states):
            known = [value for member in members if (value := member.known_states[index]) is not None]
            if known:
                self._states.append((declared.name, entries, known))

    def _watch_streams(self, schema: Schema, members: Sequence[Member], part: Part, total: int) -> None:
        found = [streams(schema, member) for member in members]
        for index, name in enumerate(found[0]):
            tensors = [tensor for stream in found if (tensor := stream[name]) is not None]
            if not tensors:
                continue
            column = torch.zeros(len(tensors), dtype=torch.int64) if part.work is None else part.work.column(index)
            if name == "grad":
                stream = _Stream(tensors, column, part, any_strides=part.any_strides, same_objects=False)
                stream.tensors = []
                self._gradients.append((stream, None if len(tensors) == total else part.positions))
            else:
                self._written.append(_Stream(tensors, column, part, any_strides=False, same_objects=True))
        if part.work is not None:
            part.work.mark_aligned()

    def _why_states_void(self, state: Mapping[Tensor, Entry]) -> str:
        if not _same(list(state), self._keys) or not _same(list(state.values()), self._entries):
            return "a state entry was replaced"
        for name, entries, known in self._states:
            if not _hold(entries, name, known):
                return f"`{name}` was replaced"
        return ""

    def _why_written_void(self) -> str:
        moved = False
        for stream in self._written:
            if why := stream.watch.poll(stream.tensors):
                return _of_written(why)
            if stream.watch.moved:
                moved = True
                stream.take_in()
        if moved:
            tensors = self._all_written()
            if sharing(list(enumerate(tensors)), []):
                return "parameters or states came to share memory"
            self._stretches = Stretches(tensors)
        return ""

    def _why_gradients_void(self, grads: list[Tensor]) -> str:
        for stream, positions in self._gradients:
            mine = grads if positions is None else [grads[position] for position in positions]
            if why := stream.watch.poll(mine, self._stretches):
                return OTHER_GRADIENTS if any(grad is None for grad in mine) else _of_gradient(why)
            if stream.watch.moved:
                stream.take_in()
        return ""

    def _all_written(self) -> list[Tensor]:
        return [tensor for stream in self._written for tensor in stream.tensors]


class _Stream:
    """One tensor of every member of a part."""

    def __init__(
        self, tensors: list[Tensor], column: Tensor, part: Part, *, any_strides: bool, same_objects: bool
    ) -> None:
        self.tensors = tensors
        self.watch = Watch(tensors, column, any_strides=any_strides, same_objects=same_objects)
        self._work = part.work

    def take_in(self) -> None:
        """New addresses stand in the column."""
        if self._work is not None:
            self._work.mark_aligned()


def _same(objects: list[Tensor] | list[Entry], known: list[Tensor] | list[Entry]) -> bool:
    """Whether two lists hold the same objects."""
    helper = native()
    if helper is not None:
        return bool(helper.first_different(objects, known) < 0)
    return len(objects) == len(known) and all(map(is_, objects, known))


def _gradients(params: list[Tensor]) -> list[Tensor]:
    """The gradient of each, or None."""
    helper = native()
    if helper is not None:
        grads: list[Tensor] = helper.attributes(params, "grad", helper.torch)
        return grads
    return list(map(_grad_of, params))


def _hold(entries: list[Entry], name: str, known: list[Tensor]) -> bool:
    """Whether every entry has the known tensor under a name."""
    helper = native()
    if helper is not None:
        return bool(helper.first_replaced(entries, name, known) < 0)
    return all(map(is_, [entry.get(name) for entry in entries], known))


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
