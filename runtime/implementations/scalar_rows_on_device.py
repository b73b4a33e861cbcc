"""Scalar rows computed on the device of the kernel: one row per member, and the host waits for nothing.

In: members of one bucket whose counters and scalar states are on the device of their parameters, and the values of
their groups. Out: the rows, on the device, and new values of counters and scalar states. A captured graph replays all
of it: floats of a group are constants of the graph, tensors are read in every replay. As on the host, rows are computed
in float64, and new values are rounded to the dtype of their state. Must not know launchers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thetac.runtime.implementations.generated_modules import keywords_of, scalars_of, taken
from thetac.runtime.implementations.scalar_rows import numbers_of_param
from thetac.runtime.implementations.scalar_states_on_device import scalar_states_on_device
from thetac.runtime.param_groups.groups import Value
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.step_tensors import FIRST_STATE, StepTensors
from thetac.runtime.schema import Schema
from thetac.runtime.tensor_facts.selection import Selection
from thetac.runtime.tensors import Scalar
from thetac.shape_numbers import SHAPE_NUMBERS


@dataclass(frozen=True, slots=True)
class _Part:
    """Members whose rows are computed together: those of one group, all before their first step or all after it.

    They agree in the numbers of their shapes that conditions read, too: the host branches on these.
    """

    group: int
    created: bool
    numbers: Mapping[str, float]  # of the parameters, by keyword
    positions: Tensor | None  # int64, on the device; None: all

    def of(self, column: Tensor) -> Tensor:
        """Return the entries of these members."""
        return column if self.positions is None else column[self.positions]

    def put(self, column: Tensor, value: Scalar) -> None:
        """Write a value to the entries of these members."""
        if self.positions is None:
            column.copy_(value) if isinstance(value, Tensor) else column.fill_(value)
        elif isinstance(value, Tensor):
            column.index_copy_(0, self.positions, value.to(column.dtype).expand(len(self.positions)))
        else:
            column.index_fill_(0, self.positions, value)


class ScalarRowsOnDevice:
    """The rows of one bucket. `take` reads no tensor and may raise; `advance` computes and writes."""

    def __init__(self, schema: Schema, members: Sequence[Member], dtype: torch.dtype, selection: Selection) -> None:
        self._module = scalars_of(schema.package)
        self._takes = keywords_of(self._module.scalars_on_tensors)
        self._device = members[0].param.device
        self._dtype = torch.float64 if dtype == torch.float64 else torch.float32
        self._firsts = [declared.first for declared in schema.states if declared.first]
        self._counters = {declared.name for declared in schema.states if declared.kind == "counter"}
        self._scalars = [one.name for one in schema.states if one.kind == "scalar" and not one.constant]
        self._rounded = [one.name for one in schema.states if one.name in self._scalars and not one.float64]
        declared_states = [(index, declared) for index, declared in enumerate(schema.states) if declared.is_number]
        self._stored = {
            declared.name: scalar_states_on_device(
                FIRST_STATE + index,
                selection,
                [state for member in members if (state := member.states[index]) is not None],
            )
            for index, declared in declared_states
            if members[0].states[index] is not None
        }
        self._absent = [declared.name for _, declared in declared_states if declared.name not in self._stored]
        taken_numbers = [numbers_of_param(schema, member.shape, self._takes) for member in members]
        deciding = {SHAPE_NUMBERS[name].variable for name in schema.shape_conditions}
        self._origins = [
            (member.group, tuple((name, number) for name, number in numbers.items() if name in deciding))
            for member, numbers in zip(members, taken_numbers, strict=True)
        ]
        # The other numbers, as columns: parts that differ in them alone would be as many as shapes.
        self._numbers = {
            name: torch.tensor([one[name] for one in taken_numbers], dtype=torch.float64, device=self._device)
            for name in taken_numbers[0].keys() - deciding
        }
        self._parts = self._parted([member.created for member in members])
        self._values: dict[int, dict[str, Value]] = {}

    def take(self, values: Mapping[int, Mapping[str, Value]]) -> None:
        """Take the values of groups for the next step: numbers, and tensors of one element."""
        self._values = {
            part.group: {name: self._usable(value) for name, value in values[part.group].items()}
            for part in self._parts
        }

    def check(self, tensors: StepTensors) -> str:
        """Return why a counter or scalar state cannot be read any more; empty if all can."""
        differ = (name for name, stored in self._stored.items() if not stored.is_unchanged(tensors))
        return next((f"`{name}` is of another kind" for name in differ), "")

    def advance(self, tensors: StepTensors, skipped: Tensor | None) -> Tensor:
        """Count this step, write scalar states and return the rows; where `skipped` holds, write nothing."""
        read = {
            name: stored.count_up(tensors, skipped) if name in self._counters else stored.read(tensors)
            for name, stored in self._stored.items()
        }
        new = {name: torch.empty_like(read[name]) for name in self._scalars if name in read}
        rows = torch.empty((len(self._origins), max(len(self._module.ROW), 1)), dtype=self._dtype, device=self._device)
        for part in self._parts:
            row, scalars = self._module.scalars_on_tensors(**self._keywords(part, read))
            for index, value in enumerate(row):
                part.put(rows[:, index], value)
            for name, value in zip(self._scalars, scalars, strict=True):
                if name in new:
                    part.put(new[name], value)
        for name, values in new.items():
            self._stored[name].write(tensors, values if skipped is None else torch.where(skipped, read[name], values))
        return rows

    def finish(self) -> None:
        """Record that every state exists."""
        if any(part.created for part in self._parts):
            self._parts = self._parted([False] * len(self._origins))

    def _parted(self, created: Sequence[bool]) -> list[_Part]:
        """Return the members in parts, by group, deciding numbers, and by whether their states are new."""
        found: dict[tuple[tuple[int, tuple[tuple[str, float], ...]], bool], list[int]] = {}
        for position, key in enumerate(zip(self._origins, created, strict=True)):
            found.setdefault(key, []).append(position)
        if len(found) == 1:
            return [_Part(group, is_new, dict(numbers), None) for (group, numbers), is_new in found]
        return [
            _Part(group, is_new, dict(numbers), torch.tensor(positions, dtype=torch.int64, device=self._device))
            for ((group, numbers), is_new), positions in found.items()
        ]

    def _usable(self, value: Value) -> Value:
        """Return a tensor on the device as it is, and one on the host as a float, which needs no copy."""
        if not isinstance(value, Tensor) or value.device == self._device:
            return value
        if value.device.type != "cpu":
            raise RuntimeError(f"a hyperparameter is a tensor on {value.device}, but parameters are on {self._device}")
        return value.item()

    def _keywords(self, part: _Part, read: Mapping[str, Tensor]) -> dict[str, object]:
        """Return the keywords of the generated function for one part."""
        keywords: dict[str, object] = {
            name: value.to(torch.float64) if isinstance(value, Tensor) else value
            for name, value in self._values[part.group].items()
        }
        keywords |= dict.fromkeys(self._firsts, part.created)
        # Where a group does not have a state, its value is not read.
        keywords |= dict.fromkeys(self._absent, 0.0)
        keywords |= {name: part.of(column) for name, column in (*read.items(), *self._numbers.items())}
        keywords |= part.numbers
        if self._rounded:
            dtypes = {self._stored[name].dtype for name in self._rounded if name in self._stored}
            keywords["round_to"] = _Rounding(next(iter(dtypes), torch.float64))
        return taken(self._takes, keywords)


class _Rounding:
    """Rounds a value to the dtype of its state, as storing and reading it does."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype

    def __call__(self, value: Scalar) -> Scalar:
        if isinstance(value, Tensor):
            return value.to(self._dtype).to(torch.float64)
        return torch.tensor(value, dtype=torch.float64, device="cpu").to(self._dtype).item()
