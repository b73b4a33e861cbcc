"""The step plan: what a fused step needs to know, worked out once and checked at every step.

In: the members of all groups that a fused implementation serves. A plan sorts them into buckets of equal device,
dtypes and specialisations, each with one table of addresses and one launch per step. It remembers what it assumed:
`why_void` compares that with what is there now, without trusting that nobody assigned a state, swapped a parameter's
`.data` or changed strides in place. `state` and `param_groups` stay the truth; the plan keeps nothing that cannot be
read there.

A step is `why_void`, then `refresh` (addresses and scalar rows; the last place where anything can be wrong with what
a user did), then `run`, which writes. Must not know which fused implementation launches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter, is_
from typing import Protocol

import torch
from torch import Tensor

from thetac.runtime.gather import Member
from thetac.runtime.groups import option
from thetac.runtime.memory import Stretches, all_have_memory, integers, sharing
from thetac.runtime.rows import RowTable
from thetac.runtime.schema import Group, Schema
from thetac.runtime.state import Entry, states_of

HEADER = 3  # columns of the address table before the addresses: number of elements, row, whether all are aligned
ALIGNMENT = 16  # bytes, for 128-bit loads and stores

# What a plan assumes of a tensor is read for thousands of tensors at every step: without a call of Python for each.
_shape = attrgetter("shape")
_dtype = attrgetter("dtype")


class Launcher(Protocol):
    """A compiled kernel for one bucket."""

    def launch(self, tensors: Tensor, rows: Tensor) -> None: ...


class MakeLauncher(Protocol):
    def __call__(
        self,
        package: str,
        device: torch.device,
        dtypes: Mapping[str, torch.dtype],
        specialisations: Mapping[str, bool],
        sizes: Sequence[int],
    ) -> Launcher: ...


class Bucket:
    """Parameters of any groups that one launch updates."""

    def __init__(
        self, schema: Schema, members: list[Member], specialisations: Mapping[str, bool], make: MakeLauncher
    ) -> None:
        first = members[0]
        self.device = first.param.device
        self.is_complex = first.param.is_complex()
        dtypes = {
            name: _real(first.param.dtype if stream is None else stream.dtype)
            for name, stream in _streams(schema, first).items()
        }
        sizes = [member.param.numel() * (2 if self.is_complex else 1) for member in members]
        self.table = torch.zeros((len(members), HEADER + len(dtypes)), dtype=torch.int64)
        self.table[:, 0] = integers(sizes)
        self.rows = RowTable(schema, members, dtypes["param"])
        self.launcher = make(schema.package, self.device, dtypes, specialisations, sizes)

    def set_addresses(self, column: int, addresses: Sequence[int]) -> None:
        """Fill one column of addresses: 0 is the parameter, 1 the gradient, then the states in the schema's order."""
        self.table[:, HEADER + column] = integers(addresses)

    def mark_aligned(self) -> None:
        self.table[:, 2] = (self.table[:, HEADER:] % ALIGNMENT == 0).all(dim=1)


class _Stream:
    """The same tensor of every member of a bucket: parameter, gradient or one state. What the plan assumes of it."""

    def __init__(self, bucket: Bucket, column: int, tensors: list[Tensor]) -> None:
        self.bucket = bucket
        self.column = column
        self.tensors = tensors
        self.shapes = list(map(_shape, tensors))
        self.strides = list(map(Tensor.stride, tensors))
        self.dtypes = list(map(_dtype, tensors))
        self.addresses = list(map(Tensor.data_ptr, tensors))
        bucket.set_addresses(column, self.addresses)

    def why_void(self) -> str:
        """What differs from what the plan assumes, addresses apart."""
        if list(map(_dtype, self.tensors)) != self.dtypes:
            return "dtype"
        if list(map(_shape, self.tensors)) != self.shapes:
            return "shape"
        if list(map(Tensor.stride, self.tensors)) != self.strides:
            return "strides"
        if any(map(Tensor.is_neg, self.tensors)):
            return "lazy negation"
        if self.bucket.is_complex and any(map(Tensor.is_conj, self.tensors)):
            return "lazy conjugation"
        return ""

    def moved(self) -> bool:
        """Take new addresses into the table; whether there were any."""
        addresses = list(map(Tensor.data_ptr, self.tensors))
        if addresses == self.addresses:
            return False
        self.addresses = addresses
        self.bucket.set_addresses(self.column, addresses)
        self.bucket.mark_aligned()
        return True

    def elsewhere(self) -> bool:
        """Whether any tensor is on another device than the bucket; only one that moved can be."""
        return any(tensor.device != self.bucket.device for tensor in self.tensors)


class Plan:
    """Everything a fused step of these members needs, for as long as `why_void` says nothing."""

    def __init__(self, schema: Schema, groups: Sequence[Group], members: list[Member], make: MakeLauncher) -> None:
        self._schema = schema
        self._params = [member.param for member in members]
        self._counts = _members_per_group(len(groups), members)
        self._assumptions = [_assumptions(schema, group) for group in groups]
        self._keys: list[Tensor] = []
        self._entries: list[Entry] = []

        kinds: dict[tuple[object, ...], list[int]] = {}
        for index, member in enumerate(members):
            streams = _streams(schema, member).values()
            dtypes = tuple(None if stream is None else stream.dtype for stream in streams)
            specialised = tuple(_specialisations(schema, groups[member.group]).items())
            exist = tuple(state is not None for state in member.states)
            kinds.setdefault((member.param.device, dtypes, exist, specialised), []).append(index)
        self.buckets: list[Bucket] = []
        self._positions = list(kinds.values())
        self._written: list[_Stream] = []
        self._grads: list[_Stream] = []
        self._states: list[tuple[str, list[int], list[Tensor]]] = []  # name, positions of members, their tensors
        for positions in self._positions:
            inside = [members[position] for position in positions]
            bucket = Bucket(schema, inside, _specialisations(schema, groups[inside[0].group]), make)
            self.buckets.append(bucket)
            self._written.append(_Stream(bucket, 0, [member.param for member in inside]))
            self._grads.append(_Stream(bucket, 1, [member.grad for member in inside]))
            column = 2
            for index, declared in enumerate(schema.states):
                tensors = [state for member in inside if (state := member.states[index]) is not None]
                if tensors:
                    self._states.append((declared.name, positions, tensors))
                    if declared.kind == "tensor":
                        self._written.append(_Stream(bucket, column, tensors))
                column += declared.kind == "tensor"
            bucket.mark_aligned()
        self._stretches = Stretches(tensor for stream in self._written for tensor in stream.tensors)
        self._versioned = [tensor for stream in self._written for tensor in stream.tensors if not tensor.is_inference()]

    def remember(self, state: Mapping[Tensor, Entry]) -> None:
        """Take note of the entries that hold the members' state, once they are part of the optimizer."""
        self._keys = list(state.keys())
        self._entries = list(state.values())
        self._owners = [state.get(param, {}) for param in self._params] if self._states else []

    def why_void(
        self,
        groups: Sequence[Group],
        counts: list[int],
        params: list[Tensor],
        grads: list[Tensor],
        state: Mapping[Tensor, Entry],
    ) -> str:
        """What has changed so that a new plan is needed; empty if this one serves, with moved addresses taken in.

        `params` and `grads` are those that a fused implementation is to update now, `counts` how many there are per
        group.
        """
        if counts != self._counts or not all(map(is_, params, self._params)):
            return "other parameters have gradients"
        if [_assumptions(self._schema, group) for group in groups] != self._assumptions:
            return "an option or a condition on hyperparameters changed"
        same_entries = len(state) == len(self._keys) and all(map(is_, state, self._keys))
        if not same_entries or not all(map(is_, state.values(), self._entries)):
            return "a state entry was replaced"
        for name, positions, tensors in self._states:
            if not all(map(is_, [self._owners[position].get(name) for position in positions], tensors)):
                return f"`{name}` was replaced"
        for stream in self._written:
            if differing := stream.why_void():
                return f"the {differing} of a parameter or state changed"
        return self._why_gradients_void(grads) or self._why_addresses_void()

    def refresh(self, numbers: Mapping[int, Mapping[str, float]]) -> None:
        """Compute the scalar rows from each group's numbers. May raise what arithmetic on a user's numbers raises."""
        for bucket in self.buckets:
            bucket.rows.compute(numbers)
            bucket.table[:, 1] = integers(bucket.rows.index)

    def run(self) -> None:
        """Write: one launch per bucket, then the counters and scalar states."""
        for bucket in self.buckets:
            bucket.launcher.launch(bucket.table, bucket.rows.numbers)
        for bucket in self.buckets:
            bucket.rows.store()
        torch.autograd.graph.increment_version(self._versioned)
        self.release_gradients()

    def release_gradients(self) -> None:
        """Keep no gradient alive between steps."""
        for stream in self._grads:
            stream.tensors = []

    def _why_gradients_void(self, grads: list[Tensor]) -> str:
        for stream, positions in zip(self._grads, self._positions, strict=True):
            stream.tensors = [grads[position] for position in positions]
            if not all_have_memory(stream.tensors):
                return "a gradient has a type or layout that kernels do not take"
            if differing := stream.why_void():
                return f"the {differing} of a gradient changed"
            if stream.moved():
                if stream.elsewhere():
                    return "a gradient is on another device"
                if self._stretches.touch(stream.tensors):
                    return "a gradient shares memory with a parameter or state"
        return ""

    def _why_addresses_void(self) -> str:
        moved = [stream for stream in self._written if stream.moved()]
        if not moved:
            return ""
        if any(stream.elsewhere() for stream in moved):
            return "a parameter or state is on another device"
        everything = [tensor for stream in self._written for tensor in stream.tensors]
        grads = [tensor for stream in self._grads for tensor in stream.tensors]
        if sharing(list(enumerate(everything)), list(enumerate(grads, len(everything)))):
            return "parameters or states came to share memory"
        self._stretches = Stretches(everything)
        return ""


def _streams(schema: Schema, member: Member) -> dict[str, Tensor | None]:
    """The tensors of a parameter that a kernel reads, by name, in the order of the kernels' `STREAMS`."""
    streams: dict[str, Tensor | None] = {"param": member.param, "grad": member.grad}
    for declared, state in zip(schema.states, member.states, strict=True):
        if declared.kind == "tensor":
            streams[declared.name] = state
    return streams


def _members_per_group(groups: int, members: Sequence[Member]) -> list[int]:
    counts = [0] * groups
    for member in members:
        counts[member.group] += 1
    return counts


def _assumptions(schema: Schema, group: Group) -> tuple[object, ...]:
    """What a group decides about buckets and kernels; numbers that only enter the rows are not part of it."""
    options = tuple(option(group, name) for name in ("foreach", "fused", "capturable", "differentiable"))
    return (*options, *states_of(schema, group), *_specialisations(schema, group).values())


def _specialisations(schema: Schema, group: Group) -> dict[str, bool]:
    return {specialisation.name: bool(specialisation.holds(group)) for specialisation in schema.specialisations}


def _real(dtype: torch.dtype) -> torch.dtype:
    return dtype.to_real() if dtype.is_complex else dtype
