"""Counters and scalar states of many parameters: read together, and written together.

In: one such state of each of several members, among the tensors of a step. Out: its values as Python floats, and what a
counter's dtype makes of them. Must not know how tensors are read and written.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.step_tensors import FIRST_STATE, StepTensors
from thetac.runtime.schema import Schema, State
from thetac.runtime.tensor_facts.places import Places
from thetac.runtime.tensor_facts.reader_choice import load_reader

_EXACT_INTEGERS = 2**24  # float32 counts exactly up to here


def numbers_of_members(
    schema: Schema, members: Sequence[Member], places: Places, tensors: StepTensors
) -> list[Numbers]:
    """The counters and scalar states that members of equal kinds of groups have; `places` are those of the members."""
    return [
        Numbers(declared, FIRST_STATE + index, places, tensors)
        for index, declared in enumerate(schema.states)
        if declared.kind != "tensor" and members[0].states[index] is not None
    ]


class Numbers:
    """One counter or scalar state of every member."""

    def __init__(self, declared: State, number: int, places: Places, tensors: StepTensors) -> None:
        self.name = declared.name
        self.is_counter = declared.kind == "counter"
        self._list = number  # of its tensors among those of a step
        self._dtype = places.of(tensors.lists[number])[0].dtype
        self._scalars = load_reader().access_scalars(tensors.lists[number], places)

    def why_void(self, tensors: StepTensors) -> str:
        """Whether a tensor has come to be of another kind, or went; empty if not. Takes in where they lie."""
        return "" if self._scalars.refresh(tensors.lists[self._list]) else f"`{self.name}` is of another kind"

    def common(self, tensors: StepTensors) -> float | None:
        """The value of all, if they are equal; NaN equals nothing."""
        return self._scalars.read_common(tensors.lists[self._list])

    def read(self, tensors: StepTensors) -> list[float]:
        """The value of each, as it is now."""
        return self._scalars.read(tensors.lists[self._list])

    def incremented(self, value: float) -> float:
        """One more, as the counter's own dtype counts."""
        dtype = self._dtype
        if value < _EXACT_INTEGERS and dtype in (torch.float32, torch.float64):
            return value + 1
        return (torch.tensor(value, dtype=dtype, device="cpu") + 1).item()

    def rounded(self, value: float) -> float:
        """What reading it gives once it has been stored."""
        if self._dtype == torch.float32:
            return ctypes.c_float(value).value
        return torch.tensor(value, dtype=torch.float64, device="cpu").to(self._dtype).item()

    def write(self, tensors: StepTensors, index: Tensor, values: Sequence[float]) -> None:
        """Write to each the value of its row: `index` is int64. Must follow a read, with nothing in between."""
        self._scalars.write(tensors.lists[self._list], index, values)
