"""The numbers a fused kernel reads: one row per distinct group, step count and scalar state.

In: members of one bucket, and the numbers of their groups. Out: the rows, which member reads which, and, once the
kernel has been launched, the new values of counters and scalar states. Numbers are computed in float64; what is
stored has the dtype of the state it is stored in, and so have later reads.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import cast

import torch

from thetac.runtime.implementations.generated_modules import keywords_of, scalars_of
from thetac.runtime.implementations.scalar_states import numbers_of_members
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.step_tensors import StepTensors
from thetac.runtime.schema import Schema
from thetac.runtime.tensor_facts.memory import integers
from thetac.runtime.tensor_facts.places import Places


class RowTable:
    """The rows of one bucket; `compute` reads, `store` writes."""

    def __init__(
        self, schema: Schema, members: Sequence[Member], dtype: torch.dtype, places: Places, tensors: StepTensors
    ) -> None:
        self._module = scalars_of(schema.package)
        self._takes = keywords_of(self._module.scalars)
        self._groups = [member.group for member in members]
        self._distinct = list(dict.fromkeys(self._groups))
        rows = {group: row for row, group in enumerate(self._distinct)}
        self._row_of_group = integers([rows[group] for group in self._groups])  # where counts do not differ
        self._numbers = numbers_of_members(schema, members, places, tensors)
        here = {numbers.name for numbers in self._numbers}
        self._scalars = [declared.name for declared in schema.states if declared.kind == "scalar"]
        self._firsts = [declared.first for declared in schema.states if declared.first in self._takes]
        absent = [s.name for s in schema.states if s.kind != "tensor" and s.name not in here]
        self._absent = [name for name in absent if name in self._takes]
        self._created = [member.created for member in members]
        self._any_created = any(self._created)
        self._dtype = torch.float64 if dtype == torch.float64 else torch.float32
        self._new: list[list[float]] = []  # of each counter or scalar state the new value of each row
        self.index = torch.zeros(len(members), dtype=torch.int64, device="cpu")  # the row of each member
        self._buffer = array("d" if self._dtype == torch.float64 else "f")
        self.numbers = torch.zeros((1, max(len(self._module.ROW), 1)), dtype=self._dtype, device="cpu")

    def why_void(self, tensors: StepTensors) -> str:
        """What has become of a counter or scalar state that this cannot read; empty if nothing."""
        for numbers in self._numbers:
            if why := numbers.why_void(tensors):
                return why
        return ""

    def compute(self, values: Mapping[int, Mapping[str, float]], tensors: StepTensors) -> bool:
        """Read counters and scalar states and compute the rows; `values` are the numbers of each group by its index.

        Returns whether members came to read other rows than in the step before.
        """
        before = self.index
        found: dict[tuple[object, ...], int]
        common = [numbers.common(tensors) for numbers in self._numbers]
        if not self._any_created and None not in common:
            found = {(group, False, *common): row for row, group in enumerate(self._distinct)}
            self.index = self._row_of_group
        else:
            found = {}
            columns = [numbers.read(tensors) for numbers in self._numbers]
            keys = zip(self._groups, self._created, *columns, strict=True)
            self.index = integers([found.setdefault(key, len(found)) for key in keys])
        self._new = [[] for _ in self._numbers]
        rows = [self._row(values[cast(int, key[0])], key) for key in found]
        if self._module.ROW:
            together = array(self._buffer.typecode, chain.from_iterable(rows))
            if len(together) == len(self._buffer):
                self._buffer[:] = together
            else:
                self._buffer = together
                self.numbers = torch.frombuffer(together, dtype=self._dtype).view(len(rows), -1)
        return self.index is not before

    def store(self, tensors: StepTensors) -> None:
        """Write the new counters and scalar states, and take it that every state exists from now on."""
        for numbers, new in zip(self._numbers, self._new, strict=True):
            numbers.write(tensors, self.index, new)
        if self._any_created:
            self._created, self._any_created = [False] * len(self._created), False

    def _row(self, values: Mapping[str, float], key: tuple[object, ...]) -> Sequence[float]:
        """The row of one key: group, whether the state is new, then a number per counter and scalar state."""
        keywords: dict[str, object] = {name: value for name, value in values.items() if name in self._takes}
        keywords |= dict.fromkeys(self._firsts, key[1])
        # What a group has no state for is not read there.
        keywords |= dict.fromkeys(self._absent, 0.0)
        if "round_to" in self._takes:
            keywords["round_to"] = _unrounded
        for numbers, read, new in zip(self._numbers, key[2:], self._new, strict=True):
            value = cast(float, read)
            if numbers.is_counter:
                value = numbers.incremented(value)
                new.append(value)
            elif "round_to" in self._takes:
                keywords["round_to"] = numbers.rounded
            if numbers.name in self._takes:
                keywords[numbers.name] = value
        row, new_states = self._module.scalars(**keywords)
        news = dict(zip(self._scalars, new_states, strict=True))
        for numbers, new in zip(self._numbers, self._new, strict=True):
            if not numbers.is_counter:
                new.append(news[numbers.name])
        return row


def _unrounded(value: float) -> float:
    """Where none of the scalar states exists, nothing is stored."""
    return value
