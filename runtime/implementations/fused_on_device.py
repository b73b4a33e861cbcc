"""Fused steps whose scalars stay on the device: for capturable steps, and for steps under `found_inf`.

In: as for `fused.py`, members whose counters and scalar states are on the device of their parameters. Out: a launch
that reads an address table which stays on the device, and rows that are computed there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from thetac.runtime.implementations.device_table import DeviceTable
from thetac.runtime.implementations.fused import Bucket
from thetac.runtime.implementations.launch_triton import TritonLauncher
from thetac.runtime.implementations.launcher import LaunchedBucket
from thetac.runtime.implementations.scalar_rows_on_device import ScalarRowsOnDevice
from thetac.runtime.implementations.tables import ROW
from thetac.runtime.param_groups.grad_scaling import Scaling
from thetac.runtime.param_groups.groups import HostScalars, option, values_of
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.step_tensors import StepTensors
from thetac.runtime.schema import Group, Schema
from thetac.runtime.tensor_facts.selection import Selection


def counts_on_device(schema: Schema, group: Group, member: Member) -> bool:
    """Return whether scalars of a member stay on the device: the host would wait for them, or must not read them."""
    if option(group, "capturable"):
        return True
    scalar_states = [
        state
        for declared, state in zip(schema.states, member.states, strict=True)
        if declared.is_number and state is not None
    ]
    on_host = member.param.device.type == "cpu"
    return bool(scalar_states) and not on_host and all(state.device == member.param.device for state in scalar_states)


class FusedOnDeviceExecutor(Bucket):
    """Updates a bucket with one launch per step, and scalar rows that are computed on the device."""

    def __init__(
        self,
        schema: Schema,
        members: Sequence[Member],
        selection: Selection,
        specialisations: Mapping[str, bool],
        tensors: StepTensors,
    ) -> None:
        super().__init__(schema, members, selection, tensors)
        device = members[0].param.device
        self._schema = schema
        self._groups = list(dict.fromkeys(member.group for member in members))
        self.table[:, ROW] = torch.arange(len(members), dtype=torch.int64, device="cpu")
        self._on_device = DeviceTable(device)
        self._rows = ScalarRowsOnDevice(schema, members, self.dtypes["param"], selection)
        self._launcher = TritonLauncher(
            LaunchedBucket(schema, device, self.dtypes, specialisations, self.sizes, self.shapes)
        )

    @property
    def launches(self) -> int:
        """Return how many launches a step takes."""
        return self._launcher.launches

    def check(self, tensors: StepTensors) -> str:
        """See `Executor`."""
        return self._rows.check(tensors)

    def refresh(self, groups: Sequence[Group], host_scalars: Mapping[int, HostScalars], tensors: StepTensors) -> None:
        """Take the values of the groups; tensors among them stay on the device."""
        self._rows.take({index: values_of(self._schema, groups[index]) for index in self._groups})

    def sum_of_squares(self, tensors: StepTensors) -> Tensor:
        """See `Executor`."""
        return self._launcher.sum_of_squares_on_device(self._on_device.of(self.table))

    def can_skip_on_device(self, tensors: StepTensors) -> bool:
        """Return True: counters are on the device, and a skipped step leaves them unchanged there."""
        return True

    def run(self, tensors: StepTensors, scaling: Scaling) -> None:
        """Compute the scalar rows on the device, then launch."""
        skipped = None if scaling.found_inf is None else scaling.is_skipped_on(self._launcher.device)
        rows = self._rows.advance(tensors, skipped)
        self.mark_written(tensors, scaling)
        self._launcher.launch_on_device(self._on_device.of(self.table), rows, scaling)

    def finish(self) -> None:
        """See `Executor`."""
        self._rows.finish()
