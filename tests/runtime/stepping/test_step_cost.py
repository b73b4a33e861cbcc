"""What a step costs beside its arithmetic, where it can be counted: calls of Python, launches, memory."""

from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref
from collections.abc import Callable
from types import FrameType

import pytest
import torch
from torch import Tensor

import thetac as ours
from tests.support.runtime_helpers import Watching, give_gradients
from thetac.runtime.implementations.launch_cpp import CppLauncher
from thetac.runtime.optimizer import Optimizer

FUSED = ["AdamW", "SGD", "NAdam", "ASGD", "Lion"]


def steady(name: str, count: int, elements: int = 10, **options: bool) -> tuple[Optimizer, list[torch.nn.Parameter]]:
    """An optimizer that has done some steps, with gradients for the next."""
    params = [torch.nn.Parameter(torch.ones(elements)) for _ in range(count)]
    arguments = {"momentum": 0.9} if name == "SGD" else {}
    optimizer = getattr(ours, name)(params, **arguments, **options)
    for step in range(3):
        give_gradients(params, step)
        optimizer.step()
    give_gradients(params, 3)
    return optimizer, params


def python_calls(step: Callable[[], object]) -> int:
    """Calls of functions, written in Python or built in, that Python's own code makes in a step."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    gc.disable()
    sys.setprofile(count)
    try:
        step()
    finally:
        sys.setprofile(None)
        gc.enable()
    return calls


@pytest.fixture
def in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the compiled reader cannot be built."""
    monkeypatch.setenv("THETAC_COMPILED_READER", "0")


@pytest.mark.parametrize("name", FUSED)
def test_no_call_of_python_per_parameter(name: str) -> None:
    few, many = (python_calls(steady(name, count, fused=True)[0].step) for count in (100, 500))
    assert few == many
    assert many < 300


@pytest.mark.parametrize("name", FUSED)
def test_without_the_compiled_reader_few_calls_per_parameter(name: str, in_python: None) -> None:
    few, many = (python_calls(steady(name, count, fused=True)[0].step) for count in (100, 500))
    counters = sum(state.kind != "tensor" for state in getattr(ours, name).schema.states)
    # Gradients at new addresses are looked at one by one, and counters are read and written so.
    assert (many - few) / 400 <= 9 + 3 * counters


@pytest.mark.parametrize("foreach", [False, True])
def test_eager_steps_add_no_call_per_parameter(foreach: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What generated code does for each parameter is its own business."""
    counts = []
    for count in (100, 500):
        optimizer, _ = steady("AdamW", count, foreach=foreach)
        assert optimizer._stepper is not None
        assert optimizer._stepper.plan is not None
        for work in optimizer._stepper.plan.executors:
            monkeypatch.setattr(work, "_step", lambda *_, **__: None)
        counts.append(python_calls(optimizer.step))
    assert counts[0] == counts[1]


def test_one_launch_per_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    launches: list[int] = []
    launch = CppLauncher.launch

    def counted(self: CppLauncher, tensors: Tensor, *arguments: object) -> None:
        launches.append(len(tensors))
        launch(self, tensors, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(CppLauncher, "launch", counted)
    groups = [
        {"params": [torch.nn.Parameter(torch.ones(n + 1)) for n in range(7)], "lr": 0.1},
        {"params": [torch.nn.Parameter(torch.ones(n + 1)) for n in range(5)], "lr": 0.2},
        {"params": [torch.nn.Parameter(torch.ones(3, dtype=torch.float64))]},
    ]
    optimizer = ours.AdamW(groups, fused=True)
    for step in range(3):
        give_gradients([param for group in optimizer.param_groups for param in group["params"]], step)
        optimizer.step()
    assert sorted(launches) == sorted([12, 1] * 3)


@pytest.mark.parametrize("is_observed", [False, True])
def test_a_fused_step_makes_no_tensor_of_a_parameters_size(is_observed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thetac.runtime.stepping.stepper._active_modes", lambda: int(is_observed))
    optimizer, _ = steady("AdamW", 3, elements=50_000, fused=True)
    with Watching() as sizes:
        optimizer.step()
    assert max(sizes.sizes, default=0) < 1_000


@pytest.mark.parametrize("count", [500, 2_000])
def test_what_is_kept_between_steps_is_small(count: int) -> None:
    """At most 1 MiB and 128 bytes per tensor: tables, and everything that Python keeps for the plan."""
    optimizer, params = steady("AdamW", count, fused=True)
    for param in params:
        param.grad = None
    gc.collect()
    tracemalloc.start()
    try:
        optimizer._stepper = None
        give_gradients(params, 5)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        optimizer.step()
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert optimizer._stepper is not None
    plan = optimizer._stepper.plan
    assert plan is not None
    storages = {  # of the whole process: views share one
        one.untyped_storage().data_ptr(): one.untyped_storage().nbytes()
        for one in gc.get_objects()
        if type(one) is Tensor and one.dtype in (torch.int64, torch.int32)
    }
    tables = sum(storages.values())
    tensors = 4 * count  # a parameter, its gradient, two moments
    assert kept + tables <= (1 << 20) + 128 * tensors


@pytest.mark.parametrize("options", [{"fused": True}, {"foreach": True}, {"foreach": False}], ids=str)
def test_gradients_are_not_kept_alive(options: dict[str, bool]) -> None:
    optimizer, params = steady("AdamW", 3, **options)
    for _ in range(2):
        alive = [weakref.ref(param.grad) for param in params]
        optimizer.step()
        for param in params:
            param.grad = None
        gc.collect()
        assert not any(reference() is not None for reference in alive)
        give_gradients(params, 9)


@pytest.mark.parametrize("options", [{"fused": True}, {"foreach": True}, {"foreach": False}], ids=str)
def test_steps_do_not_leave_things_behind(options: dict[str, bool]) -> None:
    optimizer, params = steady("AdamW", 50, **options)

    def objects_after(steps: int) -> int:
        for step in range(steps):
            give_gradients(params, step)
            optimizer.step()
        gc.collect()
        return len(gc.get_objects())

    first = objects_after(3)
    assert objects_after(10) <= first + 5
