"""The runtime on a GPU: the default there, tables in flight, streams, capturable. Skips itself where there is none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

import thetac as ours
from tests.support.comparing import assert_same_training
from tests.support.runtime_helpers import SHAPES
from thetac.runtime.optimizer import Optimizer
from thetac.runtime.stepping.requirements import triton_interprets

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available() or triton_interprets(), reason="needs a GPU"),
]

NAMES = ("SGD", "AdamW", "NAdam", "ASGD", "Adagrad", "Rprop", "Lion", "LAMB", "Adafactor", "DoG", "Prodigy")
SIZES = (*SHAPES, (100_000,), (257, 129))


def _params(dtype: torch.dtype = torch.float32) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator).to("cuda", dtype)) for shape in SIZES]


def _train(optimizer: Optimizer, steps: int) -> None:
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        for group in optimizer.param_groups:
            for param in group["params"]:
                param.grad = torch.randn(param.shape, generator=generator).to("cuda", param.dtype)
        optimizer.step()


@pytest.mark.parametrize("name", NAMES)
def test_the_default_is_fused_and_agrees_with_the_for_loop(name: str) -> None:
    fused, forloop = getattr(ours, name)(_params()), getattr(ours, name)(_params(), foreach=False)
    for optimizer in (fused, forloop):
        _train(optimizer, 5)
    assert "Triton" in fused.explain()
    assert_same_training(fused, forloop, rtol=2e-5, atol=1e-6)


def test_many_steps_without_waiting_use_the_right_numbers() -> None:
    """Tables of a step may still be in flight when the next one is prepared; the learning rate differs in each."""
    fused, forloop = ours.AdamW(_params()), ours.AdamW(_params(), foreach=False)
    for optimizer in (fused, forloop):
        for param in optimizer.param_groups[0]["params"]:
            param.grad = torch.ones_like(param)
        for step in range(50):
            optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
            optimizer.step()
    assert_same_training(fused, forloop, rtol=2e-5, atol=1e-6)


def test_steps_on_changing_streams() -> None:
    fused, forloop = ours.AdamW(_params()), ours.AdamW(_params(), foreach=False)
    streams = [torch.cuda.Stream() for _ in range(3)]
    for optimizer in (fused, forloop):
        for param in optimizer.param_groups[0]["params"]:
            param.grad = torch.ones_like(param)
        previous = torch.cuda.current_stream()
        for step in range(12):
            stream = streams[step % 3]
            stream.wait_stream(previous)
            with torch.cuda.stream(stream):
                optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
                optimizer.step()
            previous = stream
        torch.cuda.current_stream().wait_stream(previous)
    assert_same_training(fused, forloop, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_counters_of_a_torch_checkpoint_go_on(device: str) -> None:
    theirs, mine = torch.optim.AdamW(_params(), fused=True), ours.AdamW(_params())
    for param in theirs.param_groups[0]["params"]:
        param.grad = torch.ones_like(param)
    theirs.step()
    mine.load_state_dict(theirs.state_dict())
    assert all(entry["step"].device.type == "cpu" for entry in mine.state.values())
    for entry in mine.state.values():
        entry["step"] = entry["step"].to(device)
    _train(mine, 2)
    assert all(entry["step"].item() == 3 for entry in mine.state.values())


def test_capturable_steps_replay_in_a_graph() -> None:
    results: list[list[Tensor]] = []
    for use_graph in (True, False):
        params = _params()
        optimizer = ours.AdamW(params, lr=torch.tensor(0.1, device="cuda"), capturable=True)
        for param in params:
            param.grad = torch.ones_like(param)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            optimizer.step()
        torch.cuda.current_stream().wait_stream(side)
        if use_graph:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                optimizer.step()
            for _ in range(3):
                graph.replay()
        else:
            for _ in range(3):
                optimizer.step()
        results.append([param.detach() for param in params])
        assert all(entry["step"].item() == 4 for entry in optimizer.state.values())
    for left, right in zip(*results, strict=True):
        torch.testing.assert_close(left, right)


def test_capturing_what_is_not_capturable_is_an_error() -> None:
    optimizer = ours.AdamW(_params())
    _train(optimizer, 1)
    graph = torch.cuda.CUDAGraph()
    with pytest.raises(RuntimeError, match="capturable is False"), torch.cuda.graph(graph):
        optimizer.step()


@pytest.mark.parametrize("device", ["cuda", "meta", "cpu"])
@pytest.mark.parametrize("of", ["cuda", "cpu"])
@pytest.mark.parametrize("options", [{}, {"fused": True}, {"foreach": True}, {"foreach": False}], ids=str)
def test_the_default_device_makes_no_difference(of: str, options: dict[str, bool], device: str) -> None:
    optimizers = []
    for is_default in (True, False):
        params = [torch.nn.Parameter(param.detach().to(of)) for param in _params()]
        gradients = [torch.full_like(param, 0.1) for param in params]
        if is_default:
            torch.set_default_device(device)
        try:
            optimizer = ours.AdamW(params, **options)  # type: ignore[arg-type]
            for _ in range(3):
                for param, grad in zip(params, gradients, strict=True):
                    param.grad = grad.clone()
                optimizer.step()
        finally:
            torch.set_default_device(None)
        optimizers.append(optimizer)
    assert_same_training(*optimizers)


@pytest.mark.parametrize("options", [{}, {"foreach": True}, {"foreach": False}, {"capturable": True}], ids=str)
def test_state_that_leaves_the_gpu_leaves_its_memory(options: dict[str, bool]) -> None:
    """As in offloading: what a step keeps of it would be held until the next one."""
    params = [torch.nn.Parameter(torch.ones(1 << 20, device="cuda")) for _ in range(8)]
    optimizer = ours.AdamW(params, **options)  # type: ignore[arg-type]
    for _ in range(2):
        for param in params:
            param.grad = torch.ones_like(param)
        optimizer.step()
    for param in params:
        param.grad = None
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    for entry in optimizer.state.values():
        for name in ("exp_avg", "exp_avg_sq"):
            entry[name] = entry[name].cpu()
    assert before - torch.cuda.memory_allocated() >= 2 * 8 * (4 << 20)
    for entry in optimizer.state.values():
        for name in ("exp_avg", "exp_avg_sq"):
            entry[name] = entry[name].cuda()
    for param in params:
        param.grad = torch.ones_like(param)
    optimizer.step()
    assert all(entry["step"].item() == 3 for entry in optimizer.state.values())


@pytest.mark.parametrize("options", [{}, {"foreach": False}, {"capturable": True}], ids=str)
def test_the_graph_of_a_step_replays(options: dict[str, bool]) -> None:
    graphed, eager = ours.AdamW(_params(), **options), ours.AdamW(_params(), **options)  # type: ignore[arg-type]
    for optimizer in (graphed, eager):
        _train(optimizer, 2)
    params = graphed.param_groups[0]["params"]

    def step(*grads: Tensor) -> None:
        for param, grad in zip(params, grads, strict=True):
            param.grad = grad
        graphed.step()

    gradients = [torch.full_like(param, 0.1) for param in params]
    graph = make_fx(step)(*gradients)
    with torch.no_grad():
        graph(*gradients)
    for _ in range(2):
        for param in eager.param_groups[0]["params"]:
            param.grad = torch.full_like(param, 0.1)
        eager.step()
    assert_same_training(graphed, eager, rtol=2e-5, atol=1e-6)


def test_gradients_of_another_dtype() -> None:
    """float32 ones of bfloat16 parameters, where the parameter allows it."""
    optimizers = []
    for options in ({}, {"foreach": False}):
        params = _params(torch.bfloat16)
        for param in params:
            param.grad_dtype = torch.float32  # type: ignore[attr-defined]
        optimizer = ours.AdamW(params, lr=0.1, **options)  # type: ignore[arg-type]
        for _ in range(3):
            for param in params:
                param.grad = torch.full(param.shape, 0.1, dtype=torch.float32, device="cuda")
            optimizer.step()
        optimizers.append(optimizer)
    assert "Triton" in optimizers[0].explain()
    assert_same_training(*optimizers, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("feature", ["trust_ratio", "cautious", "centralization"])
def test_rules_with_reductions_agree_with_the_for_loop_and_with_themselves(feature: str) -> None:
    """Sums have one order: two runs have the same bits."""
    cls = ours.compose("AdamW", **{feature: True})
    fused, again, forloop = cls(_params()), cls(_params()), cls(_params(), foreach=False)
    for optimizer in (fused, again, forloop):
        _train(optimizer, 5)
    assert "Triton" in fused.explain()
    assert_same_training(fused, again)
    assert_same_training(fused, forloop, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("feature", ["trust_ratio", "centralization"])
def test_capturable_rules_with_reductions_replay_in_a_graph(feature: str) -> None:
    graphed, eager = (ours.compose("AdamW", **{feature: True})(_params(), capturable=True) for _ in range(2))
    for optimizer in (graphed, eager):
        for param in optimizer.param_groups[0]["params"]:
            param.grad = torch.full_like(param, 0.1)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        graphed.step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        graphed.step()
    for _ in range(3):
        graph.replay()
    for _ in range(4):
        eager.step()
    assert_same_training(graphed, eager)
