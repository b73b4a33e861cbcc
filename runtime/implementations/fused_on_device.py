"""Fused work whose host knows no numbers: for capturable steps, and for steps under `found_inf`.

In: as for `fused.py`, members whose counters and scalar states lie beside their parameters. Out: a launch that reads a
table of addresses which stays on the device, and rows that are computed there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from thetac.runtime.implementations.device_table import ResidentTable
from thetac.runtime.implementations.fused import Bucket
from thetac.runtime.implementations.launch_triton import TritonLauncher
from thetac.runtime.implementations.launcher import LaunchedBucket
from thetac.runtime.implementations.scalar_rows_on_device import DeviceRows
from thetac.runtime.implementations.tables import ROW
from thetac.runtime.param_groups.grad_scaling import Scaling
from thetac.runtime.param_groups.groups import option, values_of
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.step_tensors import StepTensors
from thetac.runtime.schema import Group, Schema
from thetac.runtime.tensor_facts.places import Places


def counts_on_device(schema: Schema, group: Group, member: Member) -> bool:
    """Whether the host would have to wait for the numbers of a member, or must not read them at all."""
    if option(group, "capturable"):
        return True
    numbers = [
        state
        for declared, state in zip(schema.states, member.states, strict=True)
        if declared.kind != "tensor" and state is not None
    ]
    on_host = member.param.device.type == "cpu"
    return bool(numbers) and not on_host and all(state.device == member.param.device for state in numbers)


class ResidentWork(Bucket):
    """Parameters of any groups that one launch updates, by numbers that the host does not read."""

    def __init__(
        self,
        schema: Schema,
        members: Sequence[Member],
        places: Places,
        specialisations: Mapping[str, bool],
        tensors: StepTensors,
    ) -> None:
        super().__init__(schema, members, places, tensors)
        device = members[0].param.device
        self._schema = schema
        self._groups = list(dict.fromkeys(member.group for member in members))
        self.table[:, ROW] = torch.arange(len(members), dtype=torch.int64, device="cpu")
        self._resident = ResidentTable(device)
        self._rows = DeviceRows(schema, members, self.dtypes["param"], places)
        self._launcher = TritonLauncher(LaunchedBucket(schema, device, self.dtypes, specialisations, self.sizes))

    def prepare(self, groups: Sequence[Group], numbers: Mapping[int, Mapping[str, float]], tensors: StepTensors) -> str:
        if why := self._rows.why_void(tensors):
            return why
        self._rows.take({index: values_of(self._schema, groups[index]) for index in self._groups})
        return ""

    def sum_of_squares(self, tensors: StepTensors) -> Tensor:
        return self._launcher.sum_of_squares_resident(self._resident.of(self.table))

    def takes_found_inf(self, tensors: StepTensors) -> bool:
        """So do its counters."""
        return True

    def run(self, tensors: StepTensors, scaling: Scaling) -> None:
        skipped = None if scaling.found_inf is None else scaling.is_skipped_on(self._launcher.device)
        rows = self._rows.advance(tensors, skipped)
        self.mark_written(tensors, scaling)
        self._launcher.launch_resident(self._resident.of(self.table), rows, scaling)

    def finish(self) -> None:
        self._rows.finish()
