"""Train a small network on handwritten digits, a tenth of whose labels are wrong, with and without SAM.

Any optimizer becomes sharpness-aware by the feature `sam`: its gradient is taken at the point nearby where the loss is
about the largest. Such a network does not learn wrong labels by heart, and is right more often about other images.

Run it by `python examples/sam_digits.py`. It takes some seconds on one core.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import thetac

SEED, BATCH, WRONG = 0, 64, 0.1
Data = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one way to train."""

    name: str
    loss: float  # of the last epoch, on the labels that it was given
    accuracy: float  # the share of images that were held out of which it is right


def digits() -> Data:
    """Images of 64 pixels in [0, 1] and labels 0 to 9: 1,437 to train on, some of them wrong, and 360 held out."""
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)
    draw = torch.Generator().manual_seed(SEED)
    order = torch.randperm(len(y), generator=draw)
    train, test = order[:1437], order[1437:]
    given = y[train].clone()
    wrong = torch.rand(len(given), generator=draw) < WRONG
    given[wrong] = (given[wrong] + torch.randint(1, 10, (int(wrong.sum()),), generator=draw)) % 10
    return x[train], given, x[test], y[test]


def train(name: str, cls: Any, data: Data, epochs: int) -> Run:
    torch.manual_seed(SEED)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = cls(model.parameters(), lr=3e-3)
    x, y, held_out, right = data
    shuffle = torch.Generator().manual_seed(SEED)
    mean = 0.0
    for _ in range(epochs):
        mean = 0.0
        for batch in torch.randperm(len(y), generator=shuffle).split(BATCH):

            def closure(batch: Tensor = batch) -> Tensor:
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
                loss.backward()
                return loss

            mean += optimizer.step(closure).item() * len(batch) / len(y)
    with torch.no_grad():
        accuracy = (model(held_out).argmax(1) == right).float().mean().item()
    return Run(name, mean, accuracy)


def main(arguments: list[str] | None = None) -> list[Run]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=60)
    options = parser.parse_args(arguments)
    data = digits()
    ways = {"AdamW": thetac.AdamW, "AdamW with SAM": thetac.compose("AdamW", sam={"rho": 0.5})}
    runs = [train(name, cls, data, options.epochs) for name, cls in ways.items()]
    for run in runs:
        print(f"{run.name:<15} loss {run.loss:.3f} on {WRONG:.0%} wrong labels, {run.accuracy:.1%} of others right")
    return runs


if __name__ == "__main__":
    main()
