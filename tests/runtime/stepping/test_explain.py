"""What `explain()` tells, which implementation runs by default, and what importing costs."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
import torch

import thetac as ours
from tests.support.every_optimizer import class_of, every_optimizer
from tests.support.paths import ROOT
from tests.support.runtime_helpers import give_gradients, parameters, train
from thetac.runtime.implementations.launch_cpp import CppLauncher
from thetac.runtime.optimizer import Optimizer
from thetac.runtime.stepping.choice import choose
from thetac.runtime.stepping.implementation import Implementation


def test_before_the_first_step_it_says_what_would_run() -> None:
    optimizer = ours.AdamW(parameters())
    assert optimizer.explain() == (
        "AdamW, 1 parameter group\n"
        "no step yet; what follows is what the parameters and options ask for\n"
        "group 0: C++ for 4 parameters of 47 elements (the fastest on cpu), 564 bytes per step\n"
        "564 bytes read and written per step"
    )


def test_bytes_groups_and_idle_parameters() -> None:
    first, second = parameters(), parameters(dtype=torch.float64)
    optimizer = ours.AdamW([{"params": first, "foreach": True}, {"params": second, "foreach": False}])
    give_gradients([*first, *second], 0)
    second[0].grad = None
    optimizer.step()
    assert optimizer.explain() == (
        "AdamW, 2 parameter groups\n"
        "group 0: foreach for 4 parameters of 47 elements (foreach=True), 1,316 bytes per step\n"  # 28 per element
        "group 1: for-loop for 3 parameters of 32 elements (foreach=False), 1,792 bytes per step\n"
        "group 1: 1 without a gradient in the last step that was re-planned\n"
        "3,108 bytes read and written per step\n"
        "plan made 1 time: the first step"
    )


def _bytes_per_element(optimizer: Optimizer, *, side: int = 256) -> float:
    """What it says after steps with a matrix of this height and width, which its groups have as their only one."""
    (param,) = (param for group in optimizer.param_groups for param in group["params"])
    for _ in range(2):
        param.grad = torch.ones_like(param)
        optimizer.step()
    found = re.search(r"^([\d,]+) bytes read and written per step$", optimizer.explain(), re.MULTILINE)
    assert found is not None
    return int(found[1].replace(",", "")) / side**2


def _matrix(dtype: torch.dtype = torch.float32, *, side: int = 256) -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.ones(side, side, dtype=dtype))]


@every_optimizer
def test_bytes_are_those_of_the_catalogue(name: str) -> None:
    """For a matrix in float32 with the defaults; beside its elements, rows and columns are few."""
    page = (ROOT / "docs" / "catalogue.md").read_text()
    (cells,) = re.findall(rf"^\| \[{name}\]\(.*$", page, re.MULTILINE)
    head = next(line for line in page.splitlines() if line.startswith("| name |"))
    column = [cell.strip() for cell in head.split(" | ")].index("bytes per step")
    expected = int(re.split(r" \| ", cells)[column])
    assert _bytes_per_element(class_of(name)(_matrix(), foreach=False)) == pytest.approx(expected, abs=0.2)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        # Pass 1 loads param, grad, m, v, and stores m, v; pass 2 loads param, m, v, and stores param.
        ({}, torch.float32, 4 * (6 + 4)),
        ({}, torch.bfloat16, 2 * (6 + 4)),
        # No norm of the parameter is needed, and there is one pass.
        ({"weight_decay": 0.0}, torch.float32, 4 * (5 + 4)),
        ({"weight_decay": 0.0, "always_adapt": True}, torch.float32, 4 * (6 + 4)),
    ],
    ids=str,
)
def test_bytes_count_every_pass(values: dict[str, object], dtype: torch.dtype, expected: int) -> None:
    assert _bytes_per_element(ours.LAMB(_matrix(dtype), fused=True, **values)) == expected  # type: ignore[arg-type]


def test_a_state_that_is_never_written_is_read_once() -> None:
    """The first value of the parameter: param, two sums and grad are 7 accesses, and it is the eighth."""
    assert _bytes_per_element(ours.MADGRAD(_matrix(), foreach=True)) == 4 * 8


@pytest.mark.parametrize(("name", "calls"), [("AdamW", 1), ("LAMB", 1), ("Prodigy", 2), ("DAdaptSGD", 3)])
def test_launches_are_calls_of_kernels(name: str, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call ends where a step waits for sums over all parameters."""
    made: list[object] = []
    launch = CppLauncher.launch

    def counted(self: CppLauncher, *arguments: Any) -> None:
        made.append(self)
        launch(self, *arguments)

    monkeypatch.setattr(CppLauncher, "launch", counted)
    optimizer = class_of(name)(parameters(), fused=True)  # type: ignore[call-arg]
    train(optimizer, 1)
    assert len(made) == calls
    line = f"step plan: {calls} launch{'es' if calls > 1 else ''} per step for 4 parameters"
    assert line in optimizer.explain().splitlines()


def test_plans_and_their_causes() -> None:
    optimizer = ours.AdamW([{"params": parameters()}, {"params": parameters(dtype=torch.bfloat16)}], fused=True)
    train(optimizer, 3)
    optimizer.param_groups[0]["maximize"] = True
    train(optimizer, 3)
    assert optimizer.explain() == (
        "AdamW, 2 parameter groups\n"
        "group 0: C++ for 4 parameters of 47 elements (fused=True), 1,316 bytes per step\n"
        "group 1: C++ for 4 parameters of 47 elements (fused=True), 658 bytes per step\n"
        "1,974 bytes read and written per step\n"
        "step plan: 2 launches per step for 8 parameters\n"
        "plan made 1 time: the first step\n"
        "plan made 1 time: an option or a condition on hyperparameters changed"
    )


@pytest.mark.parametrize(
    ("options", "expected", "reason"),
    [
        ({}, Implementation.CPP, "the fastest on cpu"),
        ({"foreach": True}, Implementation.FOREACH, "foreach=True"),
        ({"foreach": False}, Implementation.FOR_LOOP, "foreach=False"),
        ({"fused": False}, Implementation.FOR_LOOP, "fused=False"),
        ({"fused": False, "foreach": True}, Implementation.FOREACH, "foreach=True"),
        ({"fused": True}, Implementation.CPP, "fused=True"),
        ({"fused": True, "foreach": False}, Implementation.CPP, "fused=True"),
        ({"differentiable": True}, Implementation.ON_TENSORS, "differentiable=True"),
        ({"capturable": True}, Implementation.ON_TENSORS, "capturable=True keeps every number on the device"),
    ],
    ids=str,
)
def test_options_choose(options: dict[str, bool], expected: Implementation, reason: str) -> None:
    optimizer = ours.AdamW(parameters(), **options)
    choice = choose(optimizer.schema, optimizer.param_groups[0], optimizer.param_groups[0]["params"][0])
    assert (choice.implementation, choice.reason) == (expected, reason)


def test_only_who_asks_for_kernels_unscales_in_the_step() -> None:
    """As in torch: Lightning refuses to clip gradients where the step unscales them."""
    assert ours.AdamW(parameters(), fused=True)._step_supports_amp_scaling
    for options in ({}, {"fused": False}, {"foreach": True}, {"foreach": False}):
        assert not hasattr(ours.AdamW(parameters(), **options), "_step_supports_amp_scaling")


def _modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


def test_triton_is_imported_only_where_a_kernel_runs() -> None:
    code = """
import torch
from thetac import AdamW
param = torch.nn.Parameter(torch.ones(3))
for options in ({}, {"foreach": True}):
    optimizer = AdamW([param], **options)
    param.grad = torch.ones(3)
    optimizer.step()
    optimizer.explain()
"""
    loaded = _modules_after(code)
    of_torch = _modules_after("import torch\ntorch.optim.AdamW([torch.nn.Parameter(torch.ones(3))])")
    assert "thetac.runtime.optimizer" in loaded
    assert "triton" not in loaded - of_torch
    assert "thetac.generated.adamw.triton_kernels" not in loaded
    assert "thetac.codegen" not in loaded


def test_a_step_that_torch_compiles_around_is_an_ordinary_step() -> None:
    params = parameters()
    twins = [torch.nn.Parameter(param.detach().clone()) for param in params]
    optimizer, twin = ours.AdamW(params), ours.AdamW(twins)
    step = torch.compile(optimizer.step, backend="eager")
    for number in range(3):
        give_gradients(params, number)
        give_gradients(twins, number)
        step()
        twin.step()
    assert all(torch.equal(a, b) for a, b in zip(params, twins, strict=True))
