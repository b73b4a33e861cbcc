"""What a step costs besides time in the kernel: Python, memory, and the wait for the first step.

In: an algorithm, shapes. Out: numbers. Cold starts run in processes of their own.
"""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import tracemalloc
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.contestants import contestant, gradients, parameters
from benchmarks.shapes import Shape
from benchmarks.timing import Timed
from thetac.runtime.implementations.launch_cpp import CppLauncher

ROOT = Path(__file__).resolve().parents[1]


def _nothing(*_: object, **__: object) -> None:
    """Stand in for a launch; a mock would take longer than what is measured."""


@contextmanager
def without_kernels() -> Iterator[None]:
    """C++ kernels are not called: what remains of a step is Python."""
    with (
        mock.patch.object(CppLauncher, "launch", _nothing),
        mock.patch.object(CppLauncher, "launch_passes", _nothing),
    ):
        yield


def python_time(step: Timed, rounds: int = 200) -> float:
    """Median seconds of a steady-state fused step without its kernel."""
    for _ in range(3):
        step.seconds(1)
    with without_kernels():
        return statistics.median([step.seconds(1) for _ in range(rounds)])


class FailedError(Exception):
    """What a process said last that did not come to its end."""


class _Living(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of the storages that operations have made and that still live."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        given = {leaf.untyped_storage()._cdata for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and not leaf.is_sparse:
                storage = leaf.untyped_storage()
                if storage._cdata not in given and storage._cdata not in self._known:
                    self._add(storage)
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def memory(algorithm: str, label: str, shapes: Sequence[Shape]) -> tuple[int, int]:
    """Bytes beyond parameters, gradients and state: what a step allocates at its peak, and what is kept between steps.

    Kept is what goes away with the optimizer's plan: tables and Python objects. Other libraries keep nothing.
    """
    one = contestant(algorithm, label, parameters(gradients(shapes)))
    tracemalloc.start()
    with _Living() as made:
        one.step()
    with _Living() as again:
        one.step()
    kept = 0
    if hasattr(one.optimizer, "_stepper"):
        tables, objects = made.now + again.now, tracemalloc.get_traced_memory()[0]
        one.optimizer._stepper = None
        gc.collect()
        kept = tables - made.now - again.now + objects - tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return again.peak, kept


_COLD = """
import sys, time
sys.path.insert(0, {root!r})
import torch
from benchmarks.contestants import contestant, gradients, parameters
from benchmarks.shapes import ALL
one = contestant({algorithm!r}, {label!r}, parameters(gradients(ALL["160 ResNet-like"][:{tensors}])))
begin = time.perf_counter()
one.step()
print(time.perf_counter() - begin)
"""


def cold_start(algorithm: str, label: str, tensors: int, cache: Path) -> float:
    """Seconds of the first step in a new process that keeps what it compiles in a folder. Raises FailedError."""
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(cache),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        "TRITON_CACHE_DIR": str(cache / "triton"),
    }
    program = _COLD.format(root=str(ROOT), algorithm=algorithm, label=label, tensors=tensors)
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise FailedError((done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1])
    return float(done.stdout.split()[-1])
