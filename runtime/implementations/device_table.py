"""Tables that stay on the device, for steps without host scalars and for graphs that replay such steps.

In: a table on the host. Out: its copy on the device. A table is never overwritten, and one that a captured graph reads
is kept: `stepping/stepper.py` keeps plans that were captured.
"""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.implementations.graph_capture import is_captured


class DeviceTable:
    """An address table on the device, copied there only when it has changed.

    Under capture nothing can be copied from the host. Addresses that have changed since the last step outside of a
    capture (usually those of all gradients) are then written into a copy of the table that belongs to the graph, by
    launches that have the addresses as arguments.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._host = torch.empty(0, dtype=torch.int64, device="cpu")  # contents of the table on the device
        self._table = torch.empty(0, dtype=torch.int64, device="cpu")
        self._copied: torch.cuda.Event | None = None
        self._stream: torch.cuda.Stream | None = None  # the one of the copy
        self._of_graphs: list[Tensor] = []

    def of(self, table: Tensor) -> Tensor:
        """Return the same table on the device, ready for kernels on the current stream."""
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
        """Return a copy on the device; on a GPU, record an event after it on the current stream."""
        if self._device.type == "cpu":
            return table.clone()
        # torch's allocator of pinned memory does not use the memory again before this copy is complete.
        on_device = table.pin_memory().to(self._device, non_blocking=True)
        self._stream = torch.cuda.current_stream(self._device)
        self._copied = self._stream.record_event()
        return on_device

    def _of_graph(self, table: Tensor) -> Tensor:
        """Return the table of a graph. Capture begins after the device has finished all work, the copy included."""
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
        cells = [own[cell] for cell in moved]
        torch._foreach_zero_(cells)
        torch._foreach_add_(cells, list(moved.values()))
        return own
