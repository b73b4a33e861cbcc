"""The runtime on a GPU: the default there, tables in flight, streams, capturable. Skips itself where there is none."""

from __future__ import annotations

import pytest
import torch
from runtime_helpers import SHAPES, assert_same_training
from torch import Tensor

import thetac as ours
from thetac.runtime.choice import triton_interprets
from thetac.runtime.optimizer import Optimizer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available() or triton_interprets(), reason="needs a GPU"),
]

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


@pytest.mark.parametrize("name", ["SGD", "AdamW", "NAdam", "ASGD", "Adagrad", "Rprop", "Lion"])
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
