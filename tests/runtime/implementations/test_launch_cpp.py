"""C++ kernels called by the runtime: on torch's threads, with the same bits for any number of them."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

import thetac as ours
from tests.support.comparing import assert_same_bits, assert_same_training
from tests.support.paths import ROOT
from tests.support.runtime_helpers import give_gradients, parameters, train
from thetac.codegen.cli.library import SPECS
from thetac.runtime.implementations import launch_cpp, openmp
from thetac.runtime.implementations.launch_cpp import CppLauncher
from thetac.runtime.implementations.launcher import LaunchedBucket
from thetac.runtime.implementations.openmp import OpenMP

CHUNK = 32768  # elements that one thread takes at once; sizes below are around it
SHAPES = ((3,), (CHUNK - 1,), (CHUNK,), (CHUNK + 1,), (3, CHUNK), (0,), ())
DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64, torch.complex128)


@pytest.fixture(autouse=True)
def as_many_threads_as_before() -> object:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def trained(threads: int, **options: object) -> ours.AdamW:
    torch.set_num_threads(threads)
    optimizer = ours.AdamW(parameters(SHAPES), fused=True, amsgrad=True, **options)
    train(optimizer, 3)
    assert "C++ for 7 parameters" in optimizer.explain()
    return optimizer


def test_any_number_of_threads_gives_the_same_bits() -> None:
    one = trained(1)
    for threads in (2, 3, 7):
        assert_same_bits(one, trained(threads), f"{threads} threads")


def test_every_level_of_the_cpu_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    best = trained(2, clip_grad_norm=0.5)
    monkeypatch.setenv("THETAC_CPU_LEVEL", "x86-64-v2")
    least = trained(2, clip_grad_norm=0.5)
    assert_same_bits(best, least, "levels of the processor")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_stays_beside_the_for_loop(dtype: torch.dtype) -> None:
    fused, forloop = (ours.AdamW(parameters(dtype=dtype), lr=0.01, **o) for o in ({"fused": True}, {"foreach": False}))
    train(fused, 4)
    train(forloop, 4)
    assert "C++" in fused.explain()
    rtol = 16 * torch.finfo(dtype).eps
    assert_same_training(fused, forloop, rtol=rtol, atol=rtol / 4)


def test_states_may_have_other_dtypes_than_the_parameter() -> None:
    """As after `.to(torch.bfloat16)` of a model whose optimizer has state."""
    fused = ours.AdamW(parameters(dtype=torch.bfloat16), lr=0.01, fused=True)
    train(fused, 1)
    for entry in fused.state.values():
        entry["exp_avg"], entry["exp_avg_sq"] = entry["exp_avg"].float(), entry["exp_avg_sq"].double()
    train(fused, 3)
    assert "C++ for 4 parameters" in fused.explain()
    twin = ours.AdamW(parameters(dtype=torch.bfloat16), lr=0.01, foreach=False)
    train(twin, 1)
    train(twin, 3)
    assert_same_training_of_parameters(fused, twin, 0.03)
    assert next(iter(fused.state.values()))["exp_avg_sq"].dtype is torch.float64


def assert_same_training_of_parameters(
    left: torch.optim.Optimizer, right: torch.optim.Optimizer, tolerance: float
) -> None:
    for a, b in zip(left.param_groups[0]["params"], right.param_groups[0]["params"], strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def test_a_loaded_spec_runs_in_cpp() -> None:
    made = ours.load((SPECS / "lion.yaml").read_text(encoding="utf-8").replace("optimizer: Lion", "optimizer: Lynx"))
    loaded, generated = made(parameters()), ours.Lion(parameters())
    train(loaded, 3)
    train(generated, 3)
    assert "C++ for 4 parameters" in loaded.explain()
    assert_same_training(loaded, generated)


# Threads


class Recorded:
    """An OpenMP runtime that runs its threads one after the other, and remembers how many it was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self._number = 0
        work = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

        def parallel(function: int, data: int, threads: int, flags: int) -> None:
            self.asked.append(threads)
            for self._number in reversed(range(threads)):
                work(function)(data)

        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
        self._parallel = kind(parallel)
        self._thread_number = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: self._number)
        functions = (self._parallel, self._thread_number)
        self.addresses = OpenMP(*(ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions))


def test_threads_are_as_many_as_torch_uses_and_none_for_little(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Recorded()
    monkeypatch.setattr(launch_cpp, "openmp", lambda: runtime.addresses)
    optimizer = ours.AdamW(parameters([(10 * CHUNK,)]), fused=True, clip_grad_norm=0.1)
    for threads in (3, 2, 1):
        torch.set_num_threads(threads)
        train(optimizer, 1)
    assert runtime.asked == [3, 3, 2, 2], "one region for the norm, one for the step"
    torch.set_num_threads(3)
    small = ours.AdamW(parameters(), fused=True, clip_grad_norm=0.1)
    train(small, 2)
    assert runtime.asked == [3, 3, 2, 2]


def test_without_an_openmp_runtime_there_is_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = trained(2)
    monkeypatch.setattr(launch_cpp, "openmp", lambda: openmp.NONE)
    assert_same_bits(expected, trained(2), "another OpenMP")


def test_there_is_one_openmp_runtime_and_it_is_torchs() -> None:
    code = (
        "import torch, thetac\n"
        "from thetac.runtime.implementations.openmp import openmp\n"
        "def libraries(): return {l.split()[-1] for l in open('/proc/self/maps') if 'omp' in l.rpartition('/')[2]}\n"
        "def of(a): return [line.split()[-1] for line in open('/proc/self/maps')\n"
        "    if int(line.split('-')[0], 16) <= a < int(line.split()[0].split('-')[1], 16)]\n"
        "before = libraries()\n"
        "torch.ones(1 << 20).add(1)\n"
        "param = torch.nn.Parameter(torch.ones(1 << 20)); param.grad = torch.ones(1 << 20)\n"
        "optimizer = thetac.AdamW([param], fused=True)\n"
        "threads = []\n"
        "import os\n"
        "for _ in range(3): optimizer.step(); threads.append(len(os.listdir('/proc/self/task')))\n"
        "torch.ones(1 << 20).add(1)\n"
        "threads.append(len(os.listdir('/proc/self/task')))\n"
        "assert 'C++' in optimizer.explain()\n"
        "assert len(set(threads)) == 1, threads\n"  # a pool of its own would have added its threads
        "assert libraries() == before and len(before) == 1, (before, libraries())\n"
        "assert of(openmp().parallel) == of(openmp().thread_number) == list(before)\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_process_forked_from_one_with_threads_does_not_hang() -> None:
    """GNU's OpenMP waits for ever for the threads that its pool had in the parent."""
    code = (
        "import os, torch, thetac\n"
        "def steps(optimizer, param):\n"
        "    for _ in range(2): param.grad = torch.ones(1 << 18); optimizer.step()\n"
        "param = torch.nn.Parameter(torch.ones(1 << 18))\n"
        "optimizer = thetac.AdamW([param], fused=True)\n"
        "steps(optimizer, param)\n"
        "child = os.fork()\n"
        "torch.set_num_threads(2)\n"
        "from thetac.runtime.implementations.openmp import openmp\n"
        "if not child:\n"
        "    optimizer.step()\n"  # torch's own operations on as many elements would hang here
        "    os._exit(7 if openmp().parallel == 0 else 8)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n"
        "assert openmp().parallel, 'the parent keeps its threads'\n"
        "steps(optimizer, param)\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


# The norm


def launcher(grads: Sequence[Tensor]) -> tuple[CppLauncher, Tensor]:
    """A launcher of plain descent for parameters of these gradients, and a table with only their addresses."""
    dtype = grads[0].dtype
    sizes = [grad.numel() for grad in grads]
    schema = ours.GradientDescent.schema
    dtypes, shapes = {"param": dtype, "grad": dtype}, [grad.shape for grad in grads]
    made = CppLauncher(LaunchedBucket(schema, torch.device("cpu"), dtypes, {}, sizes, shapes))
    rows = [[grad.numel(), 0, 0, 0, grad.data_ptr()] for grad in grads]
    return made, torch.tensor(rows, dtype=torch.int64).reshape(len(grads), 5)


@pytest.mark.parametrize("dtype", DTYPES[:4], ids=str)
def test_the_sum_of_squares(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    grads = [torch.randn(shape, generator=generator).to(dtype) for shape in (1, 15, 16, 17, 511, 513, CHUNK + 5, 0)]
    made, table = launcher(grads)
    expected = torch.cat([grad.double() for grad in grads]).square().sum()
    sums = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        sums.append(made.sum_of_squares(table))
    assert sums[0].dtype is torch.float64
    assert sums[0].dim() == 0
    torch.testing.assert_close(sums[0], expected, rtol=1e-13, atol=0)
    assert sums[0] == sums[1] == sums[2]


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("dtype", DTYPES[:4], ids=str)
def test_the_sum_of_squares_of_what_is_not_finite(dtype: torch.dtype, value: float) -> None:
    grads = [torch.ones(40, dtype=dtype), torch.ones(700, dtype=dtype)]
    grads[1][600] = value
    made, table = launcher(grads)
    expected = torch.tensor(value * value, dtype=torch.float64)
    torch.testing.assert_close(made.sum_of_squares(table), expected, equal_nan=True)


def test_the_sum_of_squares_of_nothing() -> None:
    made, table = launcher([torch.ones(0), torch.ones(0)])
    assert made.sum_of_squares(table).item() == 0
    made.launch(table, torch.zeros((1, 4)))


def test_large_and_small_numbers_do_not_leave_the_range() -> None:
    grads = [torch.full((100,), 1e38), torch.full((100,), 1e-38)]
    made, table = launcher(grads)
    assert made.sum_of_squares(table).item() == pytest.approx(1e78, rel=1e-6)


def test_kernels_know_the_gradients_of_the_last_moment() -> None:
    """A table of addresses is read when it is launched, not when it is made."""
    optimizer, twin = (ours.SGD(parameters(), lr=0.1, **o) for o in ({"fused": True}, {"foreach": False}))
    for step in range(3):
        for one in (optimizer, twin):
            give_gradients(one.param_groups[0]["params"], step)
            for param in one.param_groups[0]["params"]:
                param.grad = param.grad.clone()
            one.step()
    assert_same_training(optimizer, twin, rtol=1e-6, atol=1e-7)
