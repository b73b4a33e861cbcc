"""Optimizers with several passes, run by Triton kernels: against their for-loops, with numbers on the device too."""

from __future__ import annotations

import pytest
import torch

import thetac
from tests.support.comparing import assert_same_training
from tests.support.host_reads import no_host_reads
from tests.support.runtime_helpers import run_kernels_of
from thetac.runtime.optimizer import Optimizer
from thetac.runtime.param_groups import checks

SHAPES = ((), (5,), (7, 3), (0,), (130, 8), (2, 3, 3))
# Launches of one step: features that add a reduction of the parameter, and one along its rows.
FEATURES = {"trust_ratio": 3, "cautious": 3, "centralization": None}


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the CPU were a GPU, with Triton's interpreter."""
    run_kernels_of("Triton", monkeypatch)
    monkeypatch.setattr(checks, "_get_capturable_supported_devices", lambda: ["cpu"])


def made(feature: str, **options: bool) -> Optimizer:
    generator = torch.Generator().manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    optimizer: Optimizer = thetac.compose("AdamW", **{feature: True})(params, lr=0.01, **options)
    return optimizer


def give_gradients(optimizer: Optimizer, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for param in optimizer.param_groups[0]["params"]:
        param.grad = torch.randn(param.shape, generator=generator)


@pytest.mark.parametrize("capturable", [False, True])
@pytest.mark.parametrize("feature", FEATURES)
def test_steps_agree_with_the_for_loop(feature: str, capturable: bool) -> None:
    options = {"capturable": True} if capturable else {}
    kernels, loop = made(feature, fused=True, **options), made(feature, foreach=False)
    for step in range(3):
        for optimizer in (kernels, loop):
            give_gradients(optimizer, step)
        if capturable and step:
            with no_host_reads():
                kernels.step()
        else:
            kernels.step()
        loop.step()
    assert_same_training(kernels, loop, rtol=2e-5, atol=1e-6)
    assert "Triton for 6 parameters" in kernels.explain()
    if FEATURES[feature] is not None:
        assert f"step plan: {FEATURES[feature]} launches per step" in kernels.explain()


def test_a_matrix_that_is_not_contiguous_falls_back() -> None:
    param = torch.nn.Parameter(torch.randn(4, 6).t())
    optimizer = thetac.compose("AdamW", centralization=True)([param], fused=True)
    param.grad = torch.randn(4, 6).t()
    optimizer.step()
    assert "the parameter is not contiguous" in optimizer.explain()


STORED_AND_READ = """
optimizer: StoredAndRead
summary: A number that one program stores, whatever it was, and a later one reads.
hyperparameters:
  lr: {default: 0.1}
state:
  whole: {init: zeros, shape: number}
update: |
  n = norm(grad)
  if rank(param) > 1:
    whole = n / 2
  else:
    whole = whole - lr
  whole = 0.5 * whole + norm(grad * n)
  param = param - lr * whole * grad
"""


def test_what_an_earlier_program_has_stored_is_read() -> None:
    trained = []
    for options in ({"fused": True}, {"foreach": False}):
        params = [torch.nn.Parameter(torch.full(shape, 0.5)) for shape in ((7, 3), (5,))]
        optimizer: Optimizer = thetac.load(STORED_AND_READ)(params, **options)  # type: ignore[arg-type]
        for step in range(3):
            give_gradients(optimizer, step)
            optimizer.step()
        trained.append(optimizer)
    assert "Triton for 2 parameters" in trained[0].explain()
    assert_same_training(*trained, rtol=2e-5, atol=1e-6)


ONCE = """
optimizer: Once
summary: Sums of elements that a branch of the host asks for, in the first step alone.
hyperparameters:
  lr: {default: 0.1}
state:
  step: counter
  far: {init: zeros, shape: number}
complex: unsupported
update: |
  if step == 1:
    far = norm(param) + max(abs(grad))
  param = param - lr * far * grad
"""


def test_sums_that_a_branch_asks_for_are_those_of_the_for_loop() -> None:
    trained = []
    for options in ({"fused": True}, {"foreach": False}):
        params = [torch.nn.Parameter(torch.full(shape, 0.5)) for shape in ((7, 3), (5,))]
        optimizer: Optimizer = thetac.load(ONCE)(params, **options)  # type: ignore[arg-type]
        for step in range(3):
            give_gradients(optimizer, step)
            optimizer.step()
        trained.append(optimizer)
    assert "Triton for 2 parameters" in trained[0].explain()
    assert_same_training(*trained, rtol=2e-5, atol=1e-6)
