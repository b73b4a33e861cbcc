"""A step is visible to modes that watch operations: graphs of it replay, and what counts operations counts it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from tests.support.comparing import assert_same_training
from tests.support.every_optimizer import every_class, ours, remembering, runs_kernels
from tests.support.runtime_helpers import FUSED, Watching, give_gradients, parameters, run_kernels_of
from tests.support.stepping import every_class_that_evaluates_once
from thetac.runtime.implementations.generated_modules import staged_scalars_of

EVERY: Mapping[str, Mapping[str, bool]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "default": {},
}
every_way = pytest.mark.parametrize("options", EVERY.values(), ids=EVERY)
SHAPES = ((5, 3), (7,), ())


def made(name: str, options: Mapping[str, Any]) -> torch.optim.Optimizer:
    return ours(name)(parameters(SHAPES), **remembering(name), **options)


def params_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


def traced(optimizer: torch.optim.Optimizer, grads: list[Tensor] | None = None) -> GraphModule:
    """The graph of one step, which that step takes, too."""

    def step(*grads: Tensor) -> None:
        for param, grad in zip(params_of(optimizer), grads, strict=True):
            param.grad = grad
        optimizer.step()

    return make_fx(step)(*(grads or gradients(2)))


def gradients(seed: int) -> list[Tensor]:
    params = parameters(SHAPES)
    give_gradients(params, seed)
    return [param.grad for param in params if param.grad is not None]


def steps(optimizer: torch.optim.Optimizer, seeds: range) -> None:
    for seed in seeds:
        for param, grad in zip(params_of(optimizer), gradients(seed), strict=True):
            param.grad = grad
        optimizer.step()


@every_way
@every_class
def test_the_graph_of_a_step_replays(name: str, options: Mapping[str, bool]) -> None:
    graphed, eager = made(name, options), made(name, options)
    steps(graphed, range(2))
    graph = traced(graphed)
    with torch.no_grad():
        for seed in (3, 4):
            graph(*gradients(seed))
    steps(eager, range(5))
    # Kernels have the bits of an ordinary step; the step on tensors rounds its numbers to float32.
    fused = runs_kernels(name, options)
    assert_same_training(graphed, eager, rtol=0.0 if fused else 2e-5, atol=0.0 if fused else 1e-6)
    steps(graphed, range(5, 7))  # an ordinary step after it
    steps(eager, range(5, 7))
    assert_same_training(graphed, eager, rtol=0.0 if fused else 2e-5, atol=0.0 if fused else 1e-6)


def test_torchs_graph_of_a_fused_step_is_the_control() -> None:
    graphed, eager = (torch.optim.AdamW(parameters(SHAPES), fused=True) for _ in range(2))
    steps(graphed, range(2))
    graph = traced(graphed)
    with torch.no_grad():
        graph(*gradients(3))
    steps(eager, range(4))
    assert_same_training(graphed, eager)


@pytest.mark.parametrize("implementation", FUSED)
def test_a_graph_holds_one_call_for_each_group(implementation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_kernels_of(implementation, monkeypatch)
    groups = [{"params": parameters(SHAPES)}, {"params": parameters(SHAPES, seed=1), "lr": 0.5}]
    optimizer = ours("AdamW")(groups, fused=True)
    for param in params_of(optimizer):
        param.grad = torch.ones_like(param)
    optimizer.step()
    graph = traced(optimizer, 2 * gradients(2))
    called = [node.target for node in graph.graph.nodes if node.op == "call_function"]
    assert called.count(torch.ops.thetac.fused_step.default) == 2


@every_way
@every_class_that_evaluates_once
def test_a_mode_that_counts_sees_every_step(name: str, options: Mapping[str, bool]) -> None:
    watched, eager = made(name, options), made(name, options)
    for optimizer in (watched, eager):
        steps(optimizer, range(2))
    before = [param.detach().clone() for param in params_of(watched)]
    with Watching() as counting:
        steps(watched, range(2, 3))
    steps(eager, range(2, 3))
    assert not all(map(torch.equal, before, params_of(watched)))
    if runs_kernels(name, options):
        params = params_of(watched)
        sets = {tuple(watched.state[param]) for param in params if param in watched.state}
        assert counting.operations.count("thetac.fused_step.default") == max(len(sets), 1), "one per set of states"
    elif ours(name).schema.waits and (options.get("fused") or not options):
        launches = 1 + len(staged_scalars_of(ours(name).schema.package).BARRIERS)
        assert counting.operations.count("thetac.fused_passes.default") == launches, "one per launch"
    else:
        assert len(counting.operations) > len(SHAPES)
    assert_same_training(watched, eager)
    steps(watched, range(3, 5))  # what is kept for ordinary steps still serves
    steps(eager, range(3, 5))
    assert_same_training(watched, eager)
    assert "plan made 1 time: the first step" in watched.explain()  # type: ignore[attr-defined]


@pytest.mark.parametrize("options", [{"fused": True}, {"foreach": True}], ids=str)
@pytest.mark.parametrize("inf", [False, True])
def test_scaled_and_clipped_steps_are_seen_too(options: dict[str, bool], inf: bool) -> None:
    found = []
    for watched in (False, True):
        optimizer = ours("AdamW")(parameters(SHAPES), clip_grad_norm=0.5, **options)
        steps(optimizer, range(2))
        for param, grad in zip(params_of(optimizer), gradients(2), strict=True):
            param.grad = grad
        optimizer.grad_scale, optimizer.found_inf = torch.tensor(4.0), torch.tensor(float(inf))  # type: ignore[attr-defined]
        if watched:
            with Watching():
                optimizer.step()
        else:
            optimizer.step()
        found.append(optimizer)
    assert_same_training(*found, rtol=1e-6, atol=1e-7)
    first, second = (optimizer.grad_norm for optimizer in found)
    torch.testing.assert_close(first, second)


def test_kernels_are_registered_once() -> None:
    from thetac.runtime.implementations.operator_call import kernels

    optimizer = made("AdamW", {"fused": True})
    steps(optimizer, range(2))
    counts = []
    for seed in range(2, 6):
        with Watching():
            steps(optimizer, range(seed, seed + 1))
        counts.append(len(kernels))
    assert len(set(counts)) == 1
