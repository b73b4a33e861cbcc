"""What tests of torch's GradScaler share: implementations, scaled gradients, training."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from tests.support.every_optimizer import ours, remembering
from tests.support.runtime_helpers import parameters, run_kernels_of
from thetac.runtime.optimizer import Optimizer

IMPLEMENTATIONS: dict[str, dict[str, bool]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "default": {},
    "C++": {"fused": True},
    "Triton": {"fused": True},
}
SHAPES = ((5, 3), (7,), ())
SCALE = 1000.0  # no power of two, so that unscaling rounds
TORCH_FUSED = ("Adagrad", "Adam", "AdamW", "SGD")


@pytest.fixture(params=IMPLEMENTATIONS)
def options(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bool]]:
    if request.param in ("C++", "Triton"):
        run_kernels_of(request.param, monkeypatch)
    return IMPLEMENTATIONS[request.param]


@pytest.fixture
def triton(monkeypatch: pytest.MonkeyPatch) -> None:
    run_kernels_of("Triton", monkeypatch)


def scaler(scale: float = SCALE) -> torch.amp.GradScaler:
    return torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=2)


def make(name: str, **arguments: object) -> Optimizer:
    return ours(name)(parameters(SHAPES), **{**remembering(name), **arguments})


def params_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


def backward(optimizer: torch.optim.Optimizer, step: int, by: torch.amp.GradScaler, *, overflow: bool = False) -> None:
    """Gradients that are the same for every optimizer of equal parameters, as the scaler scales them."""
    generator = torch.Generator().manual_seed(step)
    optimizer.zero_grad()
    terms = [(param * torch.randn(param.shape, generator=generator)).sum() for param in params_of(optimizer)]
    if overflow:
        terms.append(params_of(optimizer)[1].flatten()[0] * 3e38)
    by.scale(torch.stack(terms).sum()).backward()


def train(optimizer: torch.optim.Optimizer, by: torch.amp.GradScaler, overflows: tuple[int, ...] = ()) -> list[float]:
    """Five steps. Returns the scale after each."""
    scales = []
    for step in range(5):
        backward(optimizer, step, by, overflow=step in overflows)
        by.step(optimizer)
        by.update()
        scales.append(by.get_scale())
    return scales


def gradients(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [param.grad.clone() for param in params_of(optimizer)]


def pretending_to_unscale(optimizer: torch.optim.Optimizer, scale: float) -> None:
    """What kernels do: divide. torch's scaler multiplies by the reciprocal."""
    for param in params_of(optimizer):
        param.grad.div_(scale)
