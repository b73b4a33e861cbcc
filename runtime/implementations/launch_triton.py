"""Launches the generated Triton kernels of one bucket: moves tables to the device and starts one grid, or several.

In: the address table and scalar rows of a bucket, on the host. Out: a launch on the current stream. Must not know
what the rows mean. On the CPU, where Triton's interpreter runs the kernel, tables are passed as they are.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import cast

import torch
from torch import Tensor

from thetac.runtime.implementations.generated_modules import Kernel, triton_kernels_of
from thetac.runtime.implementations.launcher import LaunchedBucket
from thetac.runtime.implementations.tables import ALIGNMENT, HEADER, chunk_table
from thetac.runtime.implementations.triton_sequence import Launch, launches_of, triton_dtype
from thetac.runtime.param_groups.grad_scaling import NONE, Scaling


@cache
def norm_kernel() -> Kernel:
    """Return the kernel that adds up squares of gradients, imported at the first call."""
    module = importlib.import_module("thetac.runtime.implementations.triton_norm")  # only where gradients are clipped
    return cast(Kernel, module.sum_of_squares)


class TritonLauncher:
    """Launches kernels; keeps everything that is the same in every step."""

    def __init__(self, bucket: LaunchedBucket) -> None:
        module = triton_kernels_of(bucket.schema.package)
        self.device = bucket.device
        self._grad_dtype = bucket.dtypes["grad"]
        self._chunk = module.CHUNK
        self._chunks = chunk_table(bucket.sizes, module.CHUNK).to(self.device)
        self._launches = launches_of(module, bucket, self._chunks)
        every = self._launches.launches
        self._kept = {id(one): one for launch in every for one in (launch.programs, *launch.scratch)}
        self._staging: _Staging | None = None
        if self.device.type != "cpu":
            self._staging = _Staging(self.device)
            self._compile(len(bucket.sizes), HEADER + len(bucket.dtypes), bucket.dtypes["param"])

    @property
    def launches(self) -> int:
        """See `Launcher`."""
        return len(self._launches.launches)

    def launch(self, tensors: Tensor, rows: Tensor, scaling: Scaling = NONE) -> None:
        """Update every tensor of the bucket, with tables on the host; see `Launcher`."""
        self._launch(self._launches.launches, tensors, rows, scaling)

    def launch_passes(self, tensors: Tensor, rows: Tensor, scaling: Scaling, passes: tuple[int, int | None]) -> None:
        """Do some passes of a step, with tables on the host; see `StagedLauncher`."""
        self._launch(self._launches.of(passes), tensors, rows, scaling)

    def _launch(self, launches: Sequence[Launch], tensors: Tensor, rows: Tensor, scaling: Scaling) -> None:
        """Start kernels, with tables on the host."""
        if not launches:
            return
        if self._staging is None:
            self._update(launches, tensors, rows, scaling)
            return
        with torch.cuda.device(self.device):
            stream = torch.cuda.current_stream()
            tensors, rows = self._staging.move(stream, tensors, rows)
            for kept in self._kept.values():
                kept.record_stream(stream)
            self._update(launches, tensors, rows, scaling)
            self._staging.mark_read(stream)

    def read_terms(self) -> list[list[float]]:
        """Return for each total what each tensor adds to it, when kernels are done; see `StagedLauncher`."""
        with self._as_current():
            return cast(list[list[float]], torch.stack(tuple(self._launches.terms)).tolist())

    def sum_of_squares(self, tensors: Tensor) -> Tensor:
        """Return the sum of squares of all gradients: 0-d float64 on their device, without waiting for it."""
        if self._staging is None or not len(self._chunks):
            return self._add_up(tensors)
        with torch.cuda.device(self.device):
            stream = torch.cuda.current_stream()
            on_device, _ = self._staging.move(stream, tensors, torch.empty(0, dtype=torch.float32, device="cpu"))
            self._chunks.record_stream(stream)
            total = self._add_up(on_device)
            self._staging.mark_read(stream)
            return total

    def launch_on_device(self, tensors: Tensor, rows: Tensor, scaling: Scaling = NONE) -> None:
        """Update every tensor of the bucket, with tables on the device: no copy, so that a graph can capture it."""
        with self._as_current():
            self._update(self._launches.launches, tensors, rows, scaling)

    def sum_of_squares_on_device(self, tensors: Tensor) -> Tensor:
        """Return the sum of squares of all gradients, from a table on the device; see `sum_of_squares`."""
        with self._as_current():
            return self._add_up(tensors)

    def _update(self, launches: Sequence[Launch], tensors: Tensor, rows: Tensor, scaling: Scaling) -> None:
        """Start kernels, with tables where they run."""
        on_device = {
            "grad_scale": self._here(scaling.grad_scale),
            "clip_factor": self._here(scaling.clip_coefficient),
            "found_inf": self._here(scaling.found_inf),
        }
        for launch in launches:
            launch.start(tensors, rows, on_device)

    def _add_up(self, tensors: Tensor) -> Tensor:
        """Return the sum of squares, from a table where the kernel runs; 0 if every tensor is empty."""
        wide = self._grad_dtype == torch.float64
        programs = len(self._chunks)
        sums = torch.zeros(programs, dtype=torch.float64 if wide else torch.float32, device=self.device)
        if programs:
            norm_kernel()[(programs,)](
                tensors,
                self._chunks,
                sums,
                columns=tensors.shape[1],
                header=HEADER,
                grad_dtype=triton_dtype(self._grad_dtype),
                chunk_size=self._chunk,
            )
        return sums.sum(dtype=torch.float64)

    def _here(self, number: Tensor | None) -> Tensor | None:
        """Return a scalar on the kernel's device: one scalar scales parameters on several devices."""
        return None if number is None else number.to(self.device)

    def _as_current(self) -> AbstractContextManager[object]:
        """Return a context in which the kernel's device is the current one."""
        return nullcontext() if self._staging is None else torch.cuda.device(self.device)

    def _compile(self, tensors: int, columns: int, dtype: torch.dtype) -> None:
        """Compile the kernels, so that an error in one is raised before anything is written."""
        with torch.cuda.device(self.device):
            table = torch.empty((tensors, columns), dtype=torch.int64, device=self.device)
            rows = torch.empty(
                (1, 1), dtype=torch.float64 if dtype == torch.float64 else torch.float32, device=self.device
            )
            for launch in self._launches.launches:
                launch.compile(table, rows)


class _Staging:
    """Copies host tables to the device: one asynchronous copy per step, from two pinned buffers in turn.

    The copy of the last step may still be in flight when the next one is prepared, so a buffer is filled again only
    when its own copy is complete. The buffer on the device is filled again only when the kernel that reads it has
    finished, which matters where steps run on different streams.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pinned: list[Tensor] = []
        self._copied = [_event(), _event()]
        self._read = _event()
        self._on_device = torch.empty(0, dtype=torch.uint8, device=device)
        self._stream: torch.cuda.Stream | None = None  # the one that used the buffers last
        self._turn = 0

    def move(self, stream: torch.cuda.Stream, tensors: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tables on the device, ready for kernels on this stream."""
        begin_of_rows = -(-tensors.nbytes // ALIGNMENT) * ALIGNMENT
        size = begin_of_rows + rows.nbytes
        if self._on_device.numel() < size:
            self._grow(2 * size)
        if self._stream is not None and stream != self._stream:
            stream.wait_event(self._read)
        self._stream = stream
        self._turn = 1 - self._turn
        pinned = self._pinned[self._turn]
        self._copied[self._turn].synchronize()
        pinned[: tensors.nbytes].copy_(tensors.view(-1).view(torch.uint8))
        pinned[begin_of_rows:size].copy_(rows.view(-1).view(torch.uint8))
        self._on_device[:size].copy_(pinned[:size], non_blocking=True)
        self._on_device.record_stream(stream)
        self._copied[self._turn].record(stream)
        on_device = self._on_device
        return (
            on_device[: tensors.nbytes].view(torch.int64).view(tensors.shape),
            on_device[begin_of_rows:size].view(rows.dtype).view(rows.shape),
        )

    def mark_read(self, stream: torch.cuda.Stream) -> None:
        """Record that the kernel that reads the buffer has been launched on this stream."""
        self._read.record(stream)

    def _grow(self, size: int) -> None:
        """Replace the buffers by larger ones of `size` bytes, after copies in flight are complete."""
        for event in self._copied:
            event.synchronize()
        with torch.inference_mode(False):  # later steps write them outside of inference mode
            self._pinned = [torch.empty(size, dtype=torch.uint8, device="cpu", pin_memory=True) for _ in range(2)]
            self._on_device = torch.empty(size, dtype=torch.uint8, device=self._device)


def _event() -> torch.cuda.Event:
    return torch.cuda.Event()  # type: ignore[no-untyped-call]
