"""A real training loop: forward, backward, step, on a network of 120 tensors and 3.9 million parameters.

In: labels of contestants. Out: seconds per iteration, each contestant on a network of its own with the same data.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmarks.contestants import UnavailableError, optimizer_of
from benchmarks.timing import Rounds, Timed, take_turns

LAYERS, WIDTH, BATCH = 30, 360, 32


class Block(nn.Module):
    """A residual layer of four tensors."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + torch.relu(self.linear(self.norm(x)))
        return result


def network(layers: int = LAYERS, width: int = WIDTH) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*(Block(width) for _ in range(layers)))


def train(algorithm: str, labels: Sequence[str], budget: float, layers: int = LAYERS, width: int = WIDTH) -> Rounds:
    """Rounds of one iteration each."""
    data = torch.randn(BATCH, width, generator=torch.Generator().manual_seed(2))
    iterations: dict[str, Timed] = {}
    for label in labels:
        model = network(layers, width)
        try:
            optimizer = optimizer_of(algorithm, label, list(model.parameters()))
        except UnavailableError:
            continue
        iterations[label] = _iteration(model, optimizer, data)
    return take_turns(iterations, budget)


def _iteration(model: nn.Module, optimizer: torch.optim.Optimizer, data: Tensor) -> Timed:
    def iterate() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = (model(data) - 1).square().mean()
        loss.backward()
        optimizer.step()

    return Timed(iterate)
