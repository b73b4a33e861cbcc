"""The scalar rows of a rule whose parameters wait for totals: they are complete once all totals are known.

In: members of one bucket and group, with the group's shared numbers among its host scalars, and the totals, barrier by
barrier. Out: rows that gain numbers with every stage, and the new shared numbers. Must not know who adds up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from thetac.runtime.implementations.generated_modules import staged_scalars_of
from thetac.runtime.implementations.scalar_rows import ScalarRows
from thetac.runtime.param_groups.groups import HostScalars
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.step_tensors import StepTensors
from thetac.runtime.scalar_stages import Barrier, LastStage, Stages
from thetac.runtime.schema import Schema
from thetac.runtime.tensor_facts.selection import Selection


class StagedRows(ScalarRows):
    """The rows of one bucket; `compute` begins a step, and `advance` goes on with it."""

    def __init__(
        self, schema: Schema, members: Sequence[Member], dtype: torch.dtype, selection: Selection, tensors: StepTensors
    ) -> None:
        super().__init__(schema, members, dtype, selection, tensors)
        self._staged = staged_scalars_of(schema.package)
        self._programs: list[Stages] = []  # one for each row, where all of them wait
        self._known = 0  # numbers of each row
        self.shared: Mapping[str, float] = {}  # the new shared numbers, after the last stage

    @property
    def barriers(self) -> Sequence[Barrier]:
        """Return where a step waits for totals."""
        return self._staged.BARRIERS

    def compute(self, host_scalars: Mapping[int, HostScalars], tensors: StepTensors) -> bool:
        """Compute what rows hold before any total is known; see `ScalarRows`."""
        self._programs, self._known, self._given = [], 0, None
        return super().compute(host_scalars, tensors)

    def advance(self, totals: Sequence[float]) -> None:
        """Compute what rows gain with the totals of a barrier; after the last one, new states and shared numbers."""
        programs, self._programs = self._programs, []
        width, first = len(self._staged.ROW), self._known
        for index, program in enumerate(programs):
            numbers = self._go_on(program, totals)
            begin = index * width + first
            for offset, number in enumerate(numbers):
                self._buffer[begin + offset] = number  # `rows` is a view of it
            self._known = first + len(numbers)

    def _numbers(self, keywords: Mapping[str, object]) -> Sequence[float]:
        numbers = self._go_on(self._staged.scalars(**keywords), None)
        self._known = len(numbers)
        return [*numbers, *(0.0 for _ in self._staged.ROW[len(numbers) :])]

    def _go_on(self, program: Stages, totals: Sequence[float] | None) -> Sequence[float]:
        """Return what a row gains in the next stage of its program."""
        try:
            numbers = next(program) if totals is None else program.send(totals)
        except StopIteration as end:
            last: LastStage = end.value
            self._keep_states(last.states)
            self.shared = last.shared
            return last.row
        self._programs.append(program)
        return numbers
