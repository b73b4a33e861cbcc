"""C++ kernels of rules that reduce, as optimizers run them: what torch's operations give, and what they cannot take."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

import thetac
from tests.support.runtime_helpers import give_gradients, run_kernels_of
from thetac.runtime.implementations import launch_cpp
from thetac.runtime.implementations.fused import usual_dtypes
from thetac.runtime.optimizer import Optimizer

HEAD = """
optimizer: {name}
summary: Made for a test.
references: [none]
"""

TRUST = """
hyperparameters:
  lr: {default: 0.01, range: "[0, inf)"}
  beta: {default: 0.9, doc: decay}
state:
  step: counter
  exp_avg: {init: zeros}
update: |
  exp_avg = lerp(exp_avg, grad, 1 - beta)
  direction = exp_avg / (1 - beta ** step) + 0.01 * param
  trust = where(norm(param) > 0 and norm(direction) > 0, norm(param) / norm(direction), 1)
  param = param - lr * trust * direction
"""

LAYERWISE = """
hyperparameters:
  lr: {default: 0.01, range: "[0, inf)"}
  beta: {default: 0.9, doc: decay}
complex: unsupported
state:
  second: {init: zeros, shape: number}
  peak: {init: zeros, shape: number}
update: |
  second = beta * second + (1 - beta) * sum(grad * grad)
  peak = maximum(peak, max(abs(grad)))
  param = param - lr * grad / (sqrt(second) + 0.1 * peak + 1e-8)
"""

FACTORED = """
hyperparameters:
  lr: {default: 0.01, range: "[0, inf)"}
  beta: {default: 0.9, doc: decay}
complex: unsupported
state:
  of_rows: {init: zeros, shape: rows, when: rank(param) > 1}
  of_columns: {init: zeros, shape: columns, when: rank(param) > 1}
  of_elements: {init: zeros, when: rank(param) <= 1}
update: |
  if rank(param) > 1:
    of_rows = lerp(of_rows, mean(grad * grad, axis=-1), 1 - beta)
    of_columns = lerp(of_columns, mean(grad * grad, axis=-2), 1 - beta)
    estimate = of_rows * of_columns / maximum(mean(of_rows, axis=-2), 1e-10)
  else:
    of_elements = lerp(of_elements, grad * grad, 1 - beta)
    estimate = of_elements
  update = grad / sqrt(maximum(estimate, 1e-10))
  param = param - lr / maximum(1, rms(update)) * update
"""

# A tensor program before the first sweep, and one after the last.
DELAYED = """
hyperparameters:
  lr: {default: 0.01, range: "[0, inf)"}
  beta: {default: 0.9, doc: decay}
complex: unsupported
state:
  scale: {init: 1, shape: number}
update: |
  param = param - lr * grad / (scale + 0.5)
  if beta > 0.5:
    scale = beta * scale + (1 - beta) * rms(grad)
  else:
    scale = norm(grad)
"""

RULES = {"Delayed": DELAYED, "Trust": TRUST, "Layerwise": LAYERWISE, "Factored": FACTORED}
SHAPES = ((5,), (300, 40), (2, 3, 4), (70, 600), (40_000,), (0,), (), (3, 0))


@cache
def loaded(name: str) -> type[Optimizer]:
    return thetac.load(HEAD.replace("{name}", name) + RULES[name])


def parameters(dtype: torch.dtype) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator).to(dtype)) for shape in SHAPES]


def step(optimizer: Optimizer, number: int) -> None:
    generator = torch.Generator().manual_seed(100 + number)
    for group in optimizer.param_groups:
        for param in group["params"]:
            param.grad = torch.randn(param.shape, generator=generator).to(param.dtype)
    optimizer.step()


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-14), (torch.bfloat16, 1e-2)], ids=str
)
@pytest.mark.parametrize("name", RULES)
def test_kernels_do_what_the_for_loop_does(
    name: str, dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For parameters of every shape in one bucket, states of every shape included."""
    run_kernels_of("C++", monkeypatch)
    make = loaded(name)
    fused, loop = make(parameters(dtype), fused=True), make(parameters(dtype), foreach=False)  # type: ignore[call-arg]
    for number in range(4):
        step(fused, number)
        step(loop, number)
    assert "C++" in fused.explain()
    for ours, theirs in zip(fused.param_groups[0]["params"], loop.param_groups[0]["params"], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance, equal_nan=True)
        assert fused.state[ours].keys() == loop.state[theirs].keys()
        for key, state in fused.state[ours].items():
            torch.testing.assert_close(
                state, loop.state[theirs][key], rtol=tolerance * 4, atol=tolerance, equal_nan=True
            )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("name", RULES)
def test_objects_that_are_built_before_are_those_that_are_used(name: str, dtype: torch.dtype) -> None:
    optimizer = loaded(name)([torch.nn.Parameter(torch.ones(3, 4, dtype=dtype))], foreach=False)  # type: ignore[call-arg]
    step(optimizer, 0)
    schema = optimizer.schema
    (state,) = optimizer.state.values()
    declared = sorted((one for one in schema.states if not one.is_number), key=lambda one: not one.like_param)
    found = [state[one.name].dtype if one.name in state else dtype for one in declared]
    assert usual_dtypes(schema, dtype) == [dtype, dtype, *found]


def test_a_transposed_parameter_falls_back_where_there_are_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    run_kernels_of("C++", monkeypatch)
    for name, runs in (("Trust", True), ("Factored", False)):
        params = [torch.nn.Parameter(torch.randn(40, 30).t()), torch.nn.Parameter(torch.randn(8))]
        optimizer = loaded(name)(params)
        for param in params:
            param.grad = torch.randn_like(param)
        optimizer.step()
        reason = "the parameter is not contiguous, and the rule computes numbers per row or column"
        assert (reason not in " ".join(optimizer.explain().split())) == runs


def test_a_gradient_is_unscaled_in_one_pass_only(monkeypatch: pytest.MonkeyPatch) -> None:
    run_kernels_of("C++", monkeypatch)
    for name in RULES:
        plain, scaled = (loaded(name)([torch.nn.Parameter(torch.ones(30, 20))], fused=True) for _ in range(2))  # type: ignore[call-arg]
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        for number in range(3):
            step(plain, number)
            (param,) = scaled.param_groups[0]["params"]
            wanted = plain.param_groups[0]["params"][0].grad
            loss = (param * wanted).sum()
            scaled.zero_grad()
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            scaler.step(scaled)
            scaler.update()
            assert torch.equal(param.grad, wanted)
        assert torch.equal(plain.param_groups[0]["params"][0], scaled.param_groups[0]["params"][0])


@pytest.mark.parametrize(("shape", "share"), [((20, 50), 0.05), ((768, 768), 0.05), ((32,), 2.0)])
def test_little_memory_is_kept_beside_many_tensors(
    shape: tuple[int, ...], share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a small tensor only where it is; what is computed per row and column of it is on the stack of a thread."""
    kept: list[Tensor] = []

    def prepare(launcher: launch_cpp.CppLauncher, *arguments: Any) -> None:
        original(launcher, *arguments)
        kept.append(launcher._scratch)

    original = launch_cpp.CppLauncher._prepare
    monkeypatch.setattr(launch_cpp.CppLauncher, "_prepare", prepare)
    params = [torch.nn.Parameter(torch.ones(shape)) for _ in range(20)]
    give_gradients(params, 0)
    thetac.Adafactor(params, fused=True).step()
    (scratch,) = kept
    assert scratch.nbytes <= share * 20 * params[0].nbytes, scratch.nbytes / (20 * params[0].nbytes)
