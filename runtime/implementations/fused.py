"""The executor of fused kernels: one bucket, one table of addresses, few launches per step.

In: members of any groups that agree in device, dtypes and specialisations; of one group where the rule has totals.
Out: a launch per step, or one between each two barriers, at which all executors wait for totals. Must not know which
fused implementation launches, nor whether the plan is still valid: `stepping/guards.py` checks it, and
`stepping/plan.py` hands over the addresses that have changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor

from thetac.runtime.implementations.executor import Unfinished
from thetac.runtime.implementations.launcher import LaunchedBucket, MakeLauncher, StagedLauncher
from thetac.runtime.implementations.scalar_rows import ScalarRows
from thetac.runtime.implementations.staged_rows import StagedRows
from thetac.runtime.implementations.tables import ALIGNED, ALIGNMENT, ELEMENTS, HEADER, ROW
from thetac.runtime.param_groups.grad_scaling import Scaling
from thetac.runtime.param_groups.groups import HostScalars
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.shared_numbers import numbers_of
from thetac.runtime.param_groups.state import number_dtype
from thetac.runtime.param_groups.step_tensors import FIRST_STATE, GRAD, PARAM, StepTensors
from thetac.runtime.schema import Group, Schema, Shape
from thetac.runtime.tensor_facts.memory import pack_integers
from thetac.runtime.tensor_facts.reader_choice import load_reader
from thetac.runtime.tensor_facts.selection import Selection
from thetac.runtime.totals import Terms, Waiting


class Bucket:
    """Parameters of any groups that one launch updates, and the table that tells kernels where they are."""

    def __init__(self, schema: Schema, members: Sequence[Member], selection: Selection, tensors: StepTensors) -> None:
        self._reader = load_reader()
        self._selection = selection
        first = members[0]
        self.dtypes = {
            name: _real(first.param.dtype if stream is None else stream.dtype)
            for name, stream in streams(schema, first).items()
        }
        self.sizes = [member.param.numel() * (2 if first.param.is_complex() else 1) for member in members]
        self.shapes = [member.param.shape for member in members]
        self.table = torch.zeros((len(members), HEADER + len(self.dtypes)), dtype=torch.int64, device="cpu")
        self.table[:, ELEMENTS] = pack_integers(self.sizes)
        # Views of the table, made once: making a view costs more than writing through it.
        self._addresses = self.table[:, HEADER:]
        self._streams = self._addresses.unbind(dim=1)
        self._of_elements = self._addresses[:, : 2 + sum(declared.like_param for declared in schema.states)]
        self._aligned = self.table[:, ALIGNED]
        self._written: list[int] = []
        for index, (number, stream) in enumerate(
            zip(stream_numbers(schema), streams(schema, first).values(), strict=True)
        ):
            if stream is not None:
                self.put_addresses(
                    index, pack_integers(list(map(Tensor.data_ptr, selection.select(tensors.lists[number]))))
                )
                self._written += [number] if number != GRAD else []
        self.mark_aligned()

    def put_addresses(self, stream: int, addresses: Tensor) -> None:
        """Copy the addresses of one stream into the table; `mark_aligned` has to follow.

        Args:
            stream: 0 is the parameter, 1 the gradient, then the states in the order of `stream_numbers`
            addresses: int64 of shape [members]
        """
        self._streams[stream].copy_(addresses)

    def mark_aligned(self) -> None:
        """Update the column that tells kernels which members are aligned in all streams of elements."""
        self._aligned.copy_((self._of_elements & (ALIGNMENT - 1) == 0).all(dim=1))

    def written(self, tensors: StepTensors) -> list[Tensor]:
        """Return the tensors that a launch writes, gradients left out."""
        return [tensor for number in self._written for tensor in self._selection.select(tensors.lists[number])]

    def mark_written(self, tensors: StepTensors, scaling: Scaling) -> None:
        """Tell autograd which tensors a launch writes."""
        lists = [tensors.lists[number] for number in self._written]
        self._reader.mark_written(lists if scaling.grad_scale is None else [*lists, tensors.grads], self._selection)


class FusedExecutor(Bucket):
    """Updates a bucket with one launch per step, and scalar rows that the host computes."""

    def __init__(
        self,
        schema: Schema,
        members: Sequence[Member],
        selection: Selection,
        specialisations: Mapping[str, bool],
        make: MakeLauncher,
        tensors: StepTensors,
    ) -> None:
        super().__init__(schema, members, selection, tensors)
        self._schema = schema
        self._group = members[0].group  # of all members, where they wait for totals
        rows = StagedRows if schema.waits else ScalarRows
        self._rows = rows(schema, members, self.dtypes["param"], selection, tensors)
        device = members[0].param.device
        self._launcher = make(LaunchedBucket(schema, device, self.dtypes, specialisations, self.sizes, self.shapes))

    @property
    def launches(self) -> int:
        """Return how many launches a step takes."""
        return self._launcher.launches

    def check(self, tensors: StepTensors) -> str:
        """See `Executor`."""
        return self._rows.check(tensors)

    def refresh(self, groups: Sequence[Group], host_scalars: Mapping[int, HostScalars], tensors: StepTensors) -> None:
        """Compute the scalar rows, or what they hold before totals are known."""
        if self._schema.shared:
            shared = numbers_of(self._schema, groups[self._group])
            host_scalars = {self._group: {**host_scalars[self._group], **shared}}
        if self._rows.compute(host_scalars, tensors):
            self.table[:, ROW] = self._rows.row_of_member

    def sum_of_squares(self, tensors: StepTensors) -> Tensor:
        """See `Executor`."""
        return self._launcher.sum_of_squares(self.table)

    def can_skip_on_device(self, tensors: StepTensors) -> bool:
        """Return False: the host computes counters."""
        return False

    def run(self, tensors: StepTensors, scaling: Scaling) -> Unfinished | None:
        """Store counters and scalar states, then launch; or return what waits for totals."""
        if isinstance(self._rows, StagedRows):
            return Unfinished(self._group, self._rest(self._rows, tensors, scaling))
        # Before the launch, which evicts the scalar states just read from the caches: 3-8% of a step on a CPU.
        self._rows.store(tensors)
        self.mark_written(tensors, scaling)
        self._launcher.launch(self.table, self._rows.rows, scaling)
        return None

    def _rest(self, rows: StagedRows, tensors: StepTensors, scaling: Scaling) -> Waiting:
        """Return the step, which waits for all other members at each total."""
        launcher = cast(StagedLauncher, self._launcher)  # a rule that waits has no other
        self.mark_written(tensors, scaling)

        def launch(begin: int, end: int | None) -> None:
            self.call(lambda: launcher.launch_passes(self.table, rows.rows, scaling, (begin, end)), tensors)

        begin, totals = 0, 0
        for barrier in rows.barriers:
            launch(begin, barrier.passes)
            terms, sums = launcher.read_terms()[totals:], []
            for of_members, in_group in zip(terms, barrier.in_group, strict=False):
                sums.append((yield Terms(of_members, in_group)))
            rows.advance(sums)
            begin, totals = barrier.passes, totals + len(sums)
        rows.store(tensors)
        launch(begin, None)
        return rows.shared

    def call(self, launch: Callable[[], None], tensors: StepTensors) -> None:
        """Call a launch between two totals."""
        launch()

    def finish(self) -> None:
        """Do nothing: `ScalarRows.store` has recorded that every state exists."""


def stream_numbers(schema: Schema) -> list[int]:
    """Return for each stream of the kernels, in their order, the number of its list among those of a step."""
    return [PARAM, GRAD, *(FIRST_STATE + index for index in _states_of_kernels(schema))]


def streams(schema: Schema, member: Member) -> dict[str, Tensor | None]:
    """Return the tensors of a member whose addresses kernels get, by name, in the order of these."""
    found: dict[str, Tensor | None] = {"param": member.param, "grad": member.grad}
    return found | {schema.states[index].name: member.states[index] for index in _states_of_kernels(schema)}


def _states_of_kernels(schema: Schema) -> list[int]:
    """Return the indices of states that kernels have addresses of: those of elements, then the small ones."""
    states = list(enumerate(schema.states))
    of_elements = [index for index, declared in states if declared.like_param]
    return of_elements + [index for index, declared in states if declared.is_small]


def usual_dtypes(schema: Schema, dtype: torch.dtype) -> list[torch.dtype]:
    """Return the dtype of each stream where parameters have this one, and states the ones that the runtime makes."""
    states = [schema.states[index] for index in _states_of_kernels(schema)]
    return [dtype, dtype, *(dtype if state.follows_dtype else number_dtype(state, dtype) for state in states)]


def specialisations_of(schema: Schema, group: Group, shape: Shape) -> dict[str, bool]:
    """Return the values of the specialisations for parameters of a group and shape, by name."""
    return {specialisation.name: specialisation.value(group, shape) for specialisation in schema.specialisations}


def _real(dtype: torch.dtype) -> torch.dtype:
    return dtype.to_real() if dtype.is_complex else dtype
