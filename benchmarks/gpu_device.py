"""The device that a GPU's kernels are measured on: its clock, its launches, and how fast it copies.

In: a function. Out: numbers. Needs torch and nothing else.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile


class Device:
    """The GPU, or in its place the CPU with Triton's interpreter."""

    def __init__(self, *, interpret: bool) -> None:
        self.interpret = interpret
        self.name = "cpu" if interpret else "cuda"

    def synchronize(self) -> None:
        if not self.interpret:
            torch.cuda.synchronize()

    def seconds(self, step: Callable[[], object], calls: int) -> tuple[float, float]:
        """Per call: on the device, and by the wall clock."""
        self.synchronize()
        begin = time.perf_counter()
        if self.interpret:
            for _ in range(calls):
                step()
            wall = (time.perf_counter() - begin) / calls
            return wall, wall
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        for _ in range(calls):
            step()
        end.record()
        self.synchronize()
        return start.elapsed_time(end) / 1e3 / calls, (time.perf_counter() - begin) / calls

    def launches(self, step: Callable[[], object]) -> int | None:
        """Kernels that one step starts, copies not counted."""
        if self.interpret:
            return None
        with profile(activities=[ProfilerActivity.CUDA]) as profiled:
            step()
            self.synchronize()
        kernels = [e for e in profiled.events() if e.device_type.name == "CUDA"]
        return sum("memcpy" not in e.name.lower() and "memset" not in e.name.lower() for e in kernels)


def copy_bandwidth(device: Device) -> float:
    """Bytes per second, read and written, of copying a large tensor."""
    elements = 1_000 if device.interpret else 1 << 28
    source = torch.zeros(elements, device=device.name)
    target = torch.empty_like(source)
    for _ in range(3):
        target.copy_(source)
    times = [device.seconds(lambda: target.copy_(source), 10)[0] for _ in range(5)]
    return 2 * source.nbytes / statistics.median(times)
