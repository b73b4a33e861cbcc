"""What `explain()` tells, which implementation runs by default, and what importing costs."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import thetac as ours
from tests.support.runtime_helpers import give_gradients, parameters, train
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
