"""Train a small network on handwritten digits twice, with a generated AdamW and with torch's, from the same seed.

Run it by `make demo`. It prints how the two runs compare and what a step costs per implementation, and writes the
loss curves to demo-output/digits.png.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib as mpl
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import thetac

mpl.use("Agg")
import matplotlib.pyplot as plt

SEED, EPOCHS, BATCH = 0, 30, 64
OUTPUT = Path(__file__).resolve().parent.parent / "demo-output"
MakeOptimizer = Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images of 64 pixels in [0, 1] and labels 0 to 9: 1,437 to train on, 360 held out."""
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32) / 16
    y = torch.tensor(labels)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(SEED))
    train, test = order[:1437], order[1437:]
    return x[train], y[train], x[test], y[test]


def network() -> nn.Sequential:
    torch.manual_seed(SEED)
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))


def train(
    name: str, make: MakeOptimizer, data: tuple[Tensor, Tensor, Tensor, Tensor]
) -> tuple[list[float], float, nn.Module]:
    """Mean training loss of each epoch, accuracy on the held-out images, and the trained model."""
    x, y, x_test, y_test = data
    model = network()
    optimizer = make(model.parameters())
    shuffle = torch.Generator().manual_seed(SEED)
    losses = []
    for epoch in range(1, EPOCHS + 1):
        total = 0.0
        for batch in torch.randperm(len(y), generator=shuffle).split(BATCH):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        losses.append(total / len(y))
        show_progress(name, epoch, losses[-1])
    with torch.no_grad():
        accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
    return losses, accuracy, model


def show_progress(name: str, epoch: int, loss: float) -> None:
    """One line that is rewritten on a terminal; elsewhere a line for every tenth epoch."""
    bar = "#" * (20 * epoch // EPOCHS)
    line = f"{name:<18} epoch {epoch:>2}/{EPOCHS} [{bar:<20}] loss {loss:.4f}"
    if sys.stdout.isatty():
        print(f"\r{line}", end="\n" if epoch == EPOCHS else "", flush=True)
    elif epoch % 10 == 0:
        print(line, flush=True)


def step_times(contestants: dict[str, MakeOptimizer], rounds: int = 40) -> dict[str, list[float]]:
    """Seconds per step of each optimizer on the network of the demo, taken in turns in one run."""
    steps: dict[str, Callable[[], object]] = {}
    for name, make in contestants.items():
        model = network()
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(SEED))
        steps[name] = make(model.parameters()).step
        for _ in range(3):
            steps[name]()
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            for _ in range(5):
                step()
            times[name].append((time.perf_counter() - start) / 5)
    return times


def plot(curves: dict[str, list[float]], path: Path) -> None:
    """Both loss curves over the epochs, and under them how far they are apart."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(7, 6), sharex=True, height_ratios=(3, 1), layout="constrained")
    epochs = range(1, EPOCHS + 1)
    for (name, losses), style in zip(curves.items(), ("-", "--"), strict=True):
        above.plot(epochs, losses, style, label=name, linewidth=2)
    above.set(ylabel="training loss", yscale="log", title="Handwritten digits, the same seed")
    above.legend()
    first, second = curves.values()
    below.plot(epochs, [abs(a - b) for a, b in zip(first, second, strict=True)], color="gray")
    below.set(xlabel="epoch", ylabel="|difference|")
    for axes in (above, below):
        axes.grid(alpha=0.3)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for the plot")
    output = parser.parse_args().output

    data = digits()
    ours, ours_accuracy, ours_model = train("thetac.AdamW", lambda p: thetac.AdamW(p, lr=1e-3), data)
    theirs, their_accuracy, their_model = train("torch.optim.AdamW", lambda p: torch.optim.AdamW(p, lr=1e-3), data)
    apart = max(
        (a - b).abs().max().item() for a, b in zip(ours_model.parameters(), their_model.parameters(), strict=True)
    )
    print(f"\n{'':<18} {'last loss':>12} {'held-out accuracy':>18}")
    print(f"{'thetac.AdamW':<18} {ours[-1]:>12.6f} {ours_accuracy:>17.1%}")
    print(f"{'torch.optim.AdamW':<18} {theirs[-1]:>12.6f} {their_accuracy:>17.1%}")
    print(f"difference of the last losses {abs(ours[-1] - theirs[-1]):.3g}, of any parameter at most {apart:.3g}")

    times = step_times(
        {
            "torch for-loop": lambda p: torch.optim.AdamW(p, foreach=False),
            "torch foreach": lambda p: torch.optim.AdamW(p, foreach=True),
            "torch fused": lambda p: torch.optim.AdamW(p, fused=True),
            "thetac for-loop": lambda p: thetac.AdamW(p, foreach=False),
            "thetac foreach": lambda p: thetac.AdamW(p, foreach=True),
            "thetac default": lambda p: thetac.AdamW(p),
        }
    )
    base = times["torch for-loop"]
    print(f"\n{'one step of AdamW':<18} {'median':>10} {'torch for-loop / it':>20}")
    for name, seconds in times.items():
        ratio = statistics.median(b / s for b, s in zip(base, seconds, strict=True))
        print(f"{name:<18} {statistics.median(seconds) * 1e6:>7.0f} us {ratio:>19.2f}x")

    path = output / "digits.png"
    plot({"thetac.AdamW": ours, "torch.optim.AdamW": theirs}, path)
    print(f"\nloss curves: {path}")


if __name__ == "__main__":
    main()
