"""Train a small network on handwritten digits without a schedule, and with a cosine schedule, from the same seed.

A cosine schedule has to know when training ends: it is right at its last step only. ScheduleFreeAdamW has no schedule.
After each epoch its model is evaluated at the average of its points, which is as good as if training ended there.

Run it by `python examples/schedule_free.py`. It takes some seconds on one core, and writes the curves to
demo-output/schedule_free.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from thetac import AdamW, ScheduleFreeAdamW

mpl.use("Agg")
import matplotlib.pyplot as plt

SEED, BATCH = 0, 64
OUTPUT = Path(__file__).resolve().parent.parent / "demo-output"
Data = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one way to train."""

    name: str
    losses: Sequence[float]  # on images that were held out, after each epoch
    accuracy: float  # the share of them that is right at the end


def digits() -> Data:
    """Images of 64 pixels in [0, 1] and labels 0 to 9: 1,437 to train on, 360 held out."""
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(SEED))
    train, test = order[:1437], order[1437:]
    return x[train], y[train], x[test], y[test]


def network() -> nn.Sequential:
    torch.manual_seed(SEED)
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


def train_without_schedule(data: Data, epochs: int) -> Run:
    model = network()
    optimizer = ScheduleFreeAdamW(model.parameters(), lr=3e-2, warmup_steps=20)
    losses = []
    for epoch in range(epochs):
        optimizer.train()
        for x, y in batches(data, epoch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        optimizer.eval()
        losses.append(evaluate(model, data)[0])
    return Run("ScheduleFreeAdamW, no schedule", losses, evaluate(model, data)[1])


def train_with_cosine(data: Data, epochs: int) -> Run:
    model = network()
    optimizer = AdamW(model.parameters(), lr=1e-2)
    steps = epochs * -(-len(data[0]) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = []
    for epoch in range(epochs):
        for x, y in batches(data, epoch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            schedule.step()
        losses.append(evaluate(model, data)[0])
    return Run("AdamW, cosine schedule", losses, evaluate(model, data)[1])


def batches(data: Data, epoch: int) -> list[tuple[Tensor, Tensor]]:
    """Return the images and labels to train on, in an order of its own for each epoch."""
    x, y, *_ = data
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(epoch))
    return [(x[batch], y[batch]) for batch in order.split(BATCH)]


@torch.no_grad()
def evaluate(model: nn.Module, data: Data) -> tuple[float, float]:
    """Return the loss and the share of right answers on the images that were held out."""
    *_, x, y = data
    answers = model(x)
    return nn.functional.cross_entropy(answers, y).item(), (answers.argmax(1) == y).float().mean().item()


def plot(runs: Sequence[Run], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for run in runs:
        axes.semilogy(range(1, len(run.losses) + 1), run.losses, label=f"{run.name} ({run.accuracy:.1%})")
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss on held-out images")
    axes.legend()
    path.parent.mkdir(exist_ok=True, parents=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> list[Run]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--out", type=Path, default=OUTPUT / "schedule_free.png")
    options = parser.parse_args(arguments)
    data = digits()
    runs = [train(data, options.epochs) for train in (train_without_schedule, train_with_cosine)]
    for run in runs:
        at = {epoch: run.losses[epoch - 1] for epoch in (1, options.epochs // 2, options.epochs) if epoch}
        shown = ", ".join(f"{loss:.4f} after {epoch}" for epoch, loss in at.items())
        print(f"{run.name:<31} loss {shown} epochs; {run.accuracy:.1%} right")
    plot(runs, options.out)
    print(f"curves: {options.out}")
    return runs


if __name__ == "__main__":
    main()
