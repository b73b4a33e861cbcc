"""Captured and scaled steps on a GPU: CUDA graphs as torch's own tests make them, and nothing that waits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.support.comparing import assert_same_training
from tests.support.every_optimizer import every_class, ours, remembering, runs_kernels
from tests.support.runtime_helpers import give_gradients, parameters, states
from thetac.runtime.optimizer import Optimizer
from thetac.runtime.stepping.requirements import triton_interprets

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available() or triton_interprets(), reason="needs a GPU"),
]

SHAPES = ((5, 3), (7,), ())


def takes_capturable(name: str) -> bool:
    return "capturable" in ours(name)([torch.zeros(1)]).param_groups[0]


def params_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


def on_gpu(name: str, **options: object) -> Optimizer:
    params = [torch.nn.Parameter(param.detach().cuda()) for param in parameters(SHAPES)]
    return ours(name)(params, **{**remembering(name), **options})


def loss_of(optimizer: Optimizer, inputs: Tensor) -> Tensor:
    terms = [(param * inputs).square().sum() for param in params_of(optimizer)]
    return torch.stack(terms).sum()


@pytest.mark.parametrize("options", [{}, {"fused": True}, {"foreach": False}, {"foreach": True}], ids=str)
@every_class
def test_a_graph_of_backward_and_step(name: str, options: dict[str, bool]) -> None:
    """As torch's own tests: steps to warm up on a side stream, then capture; gradients lie in the graph's memory."""
    if not takes_capturable(name):
        return
    graphed, eager = (on_gpu(name, capturable=True, **options) for _ in range(2))
    inputs = torch.ones((), device="cuda")

    def step(optimizer: Optimizer) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss_of(optimizer, inputs).backward()
        optimizer.step()

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step(graphed)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(graphed)
    for round_ in range(5):
        inputs.fill_(1.0 + round_)
        graph.replay()
    torch.cuda.synchronize()
    for value in (1.0, 1.0, 1.0, *(1.0 + round_ for round_ in range(5))):
        inputs.fill_(value)
        step(eager)
    assert_same_training(graphed, eager, rtol=1e-5, atol=1e-6)
    step(graphed)  # outside of the graph again, with gradients elsewhere
    step(eager)
    assert_same_training(graphed, eager, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("capturable", [False, True])
@every_class
def test_a_scaled_step_does_not_wait(name: str, capturable: bool) -> None:
    if not (takes_capturable(name) if capturable else runs_kernels(name, {"fused": True})):
        return
    optimizer = on_gpu(name, fused=True, **({"capturable": True} if capturable else {}))
    scaler = torch.amp.GradScaler("cuda", init_scale=1024.0)
    inputs = torch.ones((), device="cuda")
    for step in range(6):
        inputs.fill_(float("inf") if step in (1, 4) else 1.0)
        optimizer.zero_grad()
        scaler.scale(loss_of(optimizer, inputs)).backward()
        torch.cuda.synchronize()
        if step >= 3:
            torch.cuda.set_sync_debug_mode("error")
        try:
            scaler.step(optimizer)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        scaler.update()
    for entry in states(optimizer):
        assert all(entry[s.name].item() == 4 for s in optimizer.schema.states if s.kind == "counter")
    assert all(param.isfinite().all() for param in params_of(optimizer))


@every_class
def test_a_step_captured_once_ends_where_eager_steps_end(name: str) -> None:
    if not takes_capturable(name):
        return
    runs = []
    for captured in (False, True):
        params = [torch.nn.Parameter(param.detach().cuda()) for param in parameters()]
        give_gradients([param.cpu() for param in params], 0)
        for index, param in enumerate(params):
            param.grad = torch.full_like(param, 0.25 * (index + 1))
        optimizer = ours(name)(params, capturable=True, **remembering(name))
        optimizer.step()
        if captured:
            graph = torch.cuda.CUDAGraph()
            torch.cuda.synchronize()
            with torch.cuda.graph(graph):
                optimizer.step()
            for _ in range(5):
                graph.replay()
        else:
            for _ in range(5):
                optimizer.step()
        torch.cuda.synchronize()
        runs.append(optimizer)
    assert_same_training(*runs)
