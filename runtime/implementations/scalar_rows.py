"""The scalar rows that fused kernels read: one for each distinct group, step count and scalar state of a bucket.

Where a rule reads numbers of the parameter's shape, also one for each of these.

In: members of one bucket, and the host scalars of their groups. Out: the rows, which member reads which, and, once the
kernel has been launched, the new values of counters and scalar states. Rows are computed in float64; new values
are rounded to the dtype of their state, and later steps read the rounded values.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import chain
from operator import is_
from typing import Any

import torch

from thetac.runtime.implementations.generated_modules import TakenScalars, keywords_of, scalars_of
from thetac.runtime.implementations.scalar_states import scalar_states_of
from thetac.runtime.param_groups.groups import HostScalars
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.step_tensors import StepTensors
from thetac.runtime.schema import Schema, Shape
from thetac.runtime.tensor_facts.memory import pack_integers
from thetac.runtime.tensor_facts.selection import Selection
from thetac.shape_numbers import SHAPE_NUMBERS


class ScalarRows:
    """The rows of one bucket; `compute` reads, `store` writes."""

    def __init__(
        self, schema: Schema, members: Sequence[Member], dtype: torch.dtype, selection: Selection, tensors: StepTensors
    ) -> None:
        self._module = scalars_of(schema.package)
        self._takes = keywords_of(self._module.scalars)
        # What members have in common where their counts are equal: the group, and numbers of the parameter.
        origins: dict[tuple[object, ...], int] = {}
        self._origins: list[int] = []  # of each member
        self._distinct: list[tuple[int, dict[str, float]]] = []  # group and numbers of each origin
        for member in members:
            numbers = numbers_of_param(schema, member.shape, self._takes)
            origin = origins.setdefault((member.group, *numbers.values()), len(origins))
            if origin == len(self._distinct):
                self._distinct.append((member.group, numbers))
            self._origins.append(origin)
        self._row_of_origin = pack_integers(self._origins)
        self._states = scalar_states_of(schema, members, selection, tensors)
        here = {state.name for state in self._states}
        self._scalars = [one.name for one in schema.states if one.kind == "scalar" and not one.constant]
        self._firsts = [declared.first for declared in schema.states if declared.first in self._takes]
        absent = [declared.name for declared in schema.states if declared.is_number and declared.name not in here]
        self._absent = [name for name in absent if name in self._takes]
        self._created = [member.created for member in members]
        self._any_created = any(self._created)
        self._given: list[HostScalars] | None = None  # what `rows` were computed from, where no state is read
        self._dtype = torch.float64 if dtype == torch.float64 else torch.float32
        self._taken = {group: TakenScalars(self._takes) for group, _ in self._distinct}
        self._new: list[list[float]] = []  # of each counter or scalar state the new value of each row
        self.row_of_member = torch.zeros(len(members), dtype=torch.int64, device="cpu")
        self._buffer = array("d" if self._dtype == torch.float64 else "f")
        self.rows = torch.zeros((1, max(len(self._module.ROW), 1)), dtype=self._dtype, device="cpu")

    def check(self, tensors: StepTensors) -> str:
        """Return why a counter or scalar state cannot be read any more; empty if all can."""
        for state in self._states:
            if why := state.check(tensors):
                return why
        return ""

    def compute(self, host_scalars: Mapping[int, HostScalars], tensors: StepTensors) -> bool:
        """Read counters and scalar states and compute `rows` and `row_of_member`.

        Args:
            host_scalars: those of each group, by its index
            tensors: those of the step

        Returns:
            whether `row_of_member` is another tensor than before
        """
        before, given = self.row_of_member, None
        if not self._states and not self._any_created:  # then rows depend on host scalars alone
            given = [host_scalars[group] for group, _ in self._distinct]
            if self._given is not None and all(map(is_, given, self._given)):
                return False
        found: dict[tuple[Any, ...], int]
        common = [state.read_common(tensors) for state in self._states]
        if not self._any_created and None not in common:
            found = {(origin, False, *common): origin for origin in range(len(self._distinct))}
            self.row_of_member = self._row_of_origin
        else:
            found = {}
            columns = [state.read(tensors) for state in self._states]
            keys = zip(self._origins, self._created, *columns, strict=True)
            self.row_of_member = pack_integers([found.setdefault(key, len(found)) for key in keys])
        self._new = [[] for _ in self._states]
        rows = [self._row(host_scalars, key) for key in found]
        if self._module.ROW:
            together = array(self._buffer.typecode, chain.from_iterable(rows))
            if len(together) == len(self._buffer):
                self._buffer[:] = together
            else:
                self._buffer = together
                self.rows = torch.frombuffer(together, dtype=self._dtype).view(len(rows), -1)
        self._given = given  # after all that may raise
        return self.row_of_member is not before

    def store(self, tensors: StepTensors) -> None:
        """Write the new counters and scalar states, and record that every state exists."""
        for state, new in zip(self._states, self._new, strict=True):
            if not state.is_constant:
                state.write(tensors, self.row_of_member, new)
        if self._any_created:
            self._created, self._any_created = [False] * len(self._created), False

    def _row(self, host_scalars: Mapping[int, HostScalars], key: tuple[Any, ...]) -> Sequence[float]:
        """Return the row of one key: origin, whether its states are new, then a value per counter and scalar state."""
        group, numbers = self._distinct[key[0]]
        keywords: dict[str, object] = {**self._taken[group].pick(host_scalars[group]), **numbers}
        if self._firsts:
            keywords |= dict.fromkeys(self._firsts, key[1])
        if self._absent:  # where a group does not have a state, its value is not read
            keywords |= dict.fromkeys(self._absent, 0.0)
        if "round_to" in self._takes:
            keywords["round_to"] = _keep
        for state, read, new in zip(self._states, key[2:], self._new, strict=True):
            value: float = read
            if state.is_counter:
                value = state.count_up(value)
                new.append(value)
            elif "round_to" in self._takes and not state.is_exact:
                keywords["round_to"] = state.round
            if state.name in self._takes:
                keywords[state.name] = value
        return self._numbers(keywords)

    def _numbers(self, keywords: Mapping[str, object]) -> Sequence[float]:
        """Return the row of these keywords, and keep the new values of scalar states."""
        row, new_states = self._module.scalars(**keywords)
        if self._scalars:
            self._keep_states(new_states)
        return row

    def _keep_states(self, values: Sequence[float]) -> None:
        """Keep the new values of scalar states, in the schema's order, for one row more."""
        news = dict(zip(self._scalars, values, strict=True))
        for state, new in zip(self._states, self._new, strict=True):
            if not state.is_counter and not state.is_constant:
                new.append(news[state.name])


def numbers_of_param(schema: Schema, shape: Shape, takes: frozenset[str]) -> dict[str, float]:
    """Return the numbers of a parameter that a function takes, by keyword."""
    wanted = [SHAPE_NUMBERS[name] for name in schema.shape_numbers]
    return {one.variable: shape[one.name] for one in wanted if one.variable in takes}


def _keep(value: float) -> float:
    """Return the value: where none of the scalar states exists, nothing is rounded to be stored."""
    return value
