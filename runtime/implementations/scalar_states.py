"""Counters and scalar states of many parameters: read together, and written together.

In: one such state of each of several members, among the tensors of a step. Out: its values as Python floats, rounded to
the dtype of the state. Must not know how tensors are read and written.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.step_tensors import FIRST_STATE, StepTensors
from thetac.runtime.schema import Schema, State
from thetac.runtime.tensor_facts.reader_choice import load_reader
from thetac.runtime.tensor_facts.selection import Selection

_EXACT_INTEGERS = 2**24  # float32 counts exactly up to here


def scalar_states_of(
    schema: Schema, members: Sequence[Member], selection: Selection, tensors: StepTensors
) -> list[ScalarStates]:
    """Return access to each counter and scalar state that some members have.

    Args:
        schema: that of the optimizer
        members: those of which states are read
        selection: where the members are in the lists of a step
        tensors: those of this step
    """
    found: list[ScalarStates] = []
    for index, declared in enumerate(schema.states):
        if not declared.is_number:
            continue
        having = [
            position
            for position, member in zip(selection.positions, members, strict=True)
            if member.states[index] is not None
        ]
        if having:
            mine = selection if len(having) == selection.count else Selection(having, selection.size)
            found.append(ScalarStates(declared, FIRST_STATE + index, mine, tensors))
    return found


class ScalarStates:
    """Reads and writes one counter or scalar state of every member that has it."""

    def __init__(self, declared: State, number: int, selection: Selection, tensors: StepTensors) -> None:
        self.name = declared.name
        self.is_counter = declared.kind == "counter"
        self.is_constant = declared.constant
        self.is_exact = declared.float64  # no value that is stored is rounded
        self._list = number  # of its tensors among those of a step
        self._dtype = selection.select(tensors.lists[number])[0].dtype
        self._scalars = load_reader().access_scalars(tensors.lists[number], selection)

    def check(self, tensors: StepTensors) -> str:
        """Return that a tensor is of another kind or missing; empty if none is. Refreshes the known addresses."""
        return "" if self._scalars.refresh(tensors.lists[self._list]) else f"`{self.name}` is of another kind"

    def read_common(self, tensors: StepTensors) -> float | None:
        """Return the common value, or None if the values are not equal; NaN equals nothing."""
        return self._scalars.read_common(tensors.lists[self._list])

    def read(self, tensors: StepTensors) -> list[float]:
        """Return the current value of each."""
        return self._scalars.read(tensors.lists[self._list])

    def count_up(self, value: float) -> float:
        """Return `value + 1`, rounded to the counter's dtype."""
        dtype = self._dtype
        if value < _EXACT_INTEGERS and dtype in (torch.float32, torch.float64):
            return value + 1
        return (torch.tensor(value, dtype=dtype, device="cpu") + 1).item()

    def round(self, value: float) -> float:
        """Return a value rounded to the dtype of the state, as storing and reading it does."""
        if self._dtype == torch.float32:
            return ctypes.c_float(value).value
        return torch.tensor(value, dtype=torch.float64, device="cpu").to(self._dtype).item()

    def write(self, tensors: StepTensors, rows: Tensor, values: Sequence[float]) -> None:
        """Write to each the value of its row; `rows` is int64 [members]. Call it directly after a read."""
        self._scalars.write(tensors.lists[self._list], rows, values)
