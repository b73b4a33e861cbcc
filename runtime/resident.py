"""Fused work whose host knows no numbers: for capturable steps, and for steps under `found_inf`.

In: as for `fused.py`, members whose counters and scalar states lie beside their parameters. Out: a launch that reads a
table of addresses which stays on the device, and rows that are computed there. A table is never overwritten, and one
that a captured graph reads is kept: `plan.py` keeps works that were captured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from thetac.runtime.fused import Bucket
from thetac.runtime.gather import Member
from thetac.runtime.groups import option, values_of
from thetac.runtime.launch_triton import TritonLauncher
from thetac.runtime.places import Places
from thetac.runtime.rows_on_device import DeviceRows
from thetac.runtime.scaling import Scaling
from thetac.runtime.schema import Group, Schema
from thetac.runtime.step_tensors import StepTensors


def is_captured(device: torch.device) -> bool:
    """Whether operations on the current stream become part of a graph instead of running."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


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


class ResidentTable:
    """An address table on the device, copied there only when it has changed.

    Under capture nothing can be copied from the host. What moved since the last step outside of it, usually all
    gradients, is then written by launches that carry the addresses as arguments, into a table of the graph's own.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._host = torch.empty(0, dtype=torch.int64, device="cpu")  # what the table on the device says
        self._table = torch.empty(0, dtype=torch.int64, device="cpu")
        self._copied: torch.cuda.Event | None = None
        self._stream: torch.cuda.Stream | None = None  # on which it was copied
        self._of_graphs: list[Tensor] = []

    def of(self, table: Tensor) -> Tensor:
        """The same table on the device, ready for kernels on the current stream."""
        if is_captured(self._device):
            return self._of_graph(table)
        if not torch.equal(table, self._host):
            self._host = table.clone()
            self._table = self._copy(table)
        if self._stream is not None and self._copied is not None:
            stream = torch.cuda.current_stream(self._device)
            if stream != self._stream:
                stream.wait_event(self._copied)
            self._table.record_stream(stream)
        return self._table

    def _copy(self, table: Tensor) -> Tensor:
        if self._device.type == "cpu":
            return table.clone()
        # torch's allocator of pinned memory knows when this copy is over, and does not use the memory again before.
        on_device = table.pin_memory().to(self._device, non_blocking=True)
        self._stream = torch.cuda.current_stream(self._device)
        self._copied = self._stream.record_event()
        return on_device

    def _of_graph(self, table: Tensor) -> Tensor:
        """Capturing starts when the device has done everything else, so that the copy is over."""
        self._of_graphs.append(self._table)
        moved = {
            (row, column): new
            for row, (known, found) in enumerate(zip(self._host.tolist(), table.tolist(), strict=True))
            for column, (old, new) in enumerate(zip(known, found, strict=True))
            if old != new
        }
        if not moved:
            return self._table
        own = self._table.clone()
        cells = [own[place] for place in moved]
        torch._foreach_zero_(cells)
        torch._foreach_add_(cells, list(moved.values()))
        return own


class ResidentWork(Bucket):
    """Parameters of any groups that one launch updates, by numbers that the host does not read."""

    def __init__(
        self, schema: Schema, members: Sequence[Member], places: Places, specialisations: Mapping[str, bool]
    ) -> None:
        super().__init__(schema, members, places)
        device = members[0].param.device
        self._schema = schema
        self._groups = list(dict.fromkeys(member.group for member in members))
        self.table[:, 1] = torch.arange(len(members), dtype=torch.int64, device="cpu")
        self._resident = ResidentTable(device)
        self._rows = DeviceRows(schema, members, self.dtypes["param"], places)
        self._launcher = TritonLauncher(schema, device, self.dtypes, specialisations, self.sizes)

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
