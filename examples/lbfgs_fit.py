"""Fit a damped oscillation to measurements to high precision: LBFGS beside torch's, and beside PolakRibiere.

    python examples/lbfgs_fit.py --plot fit.png

A fit has few parameters, and each digit of them counts. Steps along gradients are slow where parameters have different
sizes; directions of LBFGS know the curvature. The plot has the loss against the number of evaluations.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

import thetac

AMPLITUDE, DECAY, FREQUENCY, PHASE = 2.0, 0.3, 4.0, 0.5
GUESS = (1.0, 0.1, 3.9, 0.0)
Make = Callable[..., torch.optim.Optimizer]


def oscillation(times: Tensor, parameters: Tensor) -> Tensor:
    amplitude, decay, frequency, phase = parameters
    return amplitude * torch.exp(-decay * times) * torch.cos(frequency * times + phase)


def fit(make: Make, steps: int) -> tuple[Tensor, list[float]]:
    """Return the parameters that were found, and the loss of every evaluation."""
    times = torch.linspace(0, 5, 200, dtype=torch.float64)
    measured = oscillation(times, torch.tensor([AMPLITUDE, DECAY, FREQUENCY, PHASE], dtype=torch.float64))
    parameters = torch.nn.Parameter(torch.tensor(GUESS, dtype=torch.float64))
    optimizer = make([parameters], line_search_fn="strong_wolfe", tolerance_change=0.0, tolerance_grad=1e-14)
    losses: list[float] = []

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (oscillation(times, parameters) - measured).square().mean()
        loss.backward()
        losses.append(loss.item())
        return loss

    for _ in range(steps):
        optimizer.step(closure)  # type: ignore[arg-type]
    return parameters.detach(), losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=8, help="steps of at most 20 directions each")
    parser.add_argument("--plot", type=Path, help="where to write the plot, which needs matplotlib")
    options = parser.parse_args()
    contestants: dict[str, Make] = {
        "LBFGS": thetac.LBFGS,
        "torch's LBFGS": torch.optim.LBFGS,
        "PolakRibiere": thetac.PolakRibiere,
    }
    found = {name: fit(make, options.steps) for name, make in contestants.items()}
    right = torch.tensor([AMPLITUDE, DECAY, FREQUENCY, PHASE], dtype=torch.float64)
    for name, (parameters, losses) in found.items():
        error = (parameters - right).abs().max().item()
        print(f"{name}: loss {min(losses):.1e} after {len(losses)} evaluations, parameters to {error:.0e}")
    if options.plot is not None:
        import matplotlib.pyplot as plt

        for name, (_, losses) in found.items():
            plt.semilogy(losses, label=name)
        plt.xlabel("evaluations")
        plt.ylabel("loss")
        plt.legend()
        plt.savefig(options.plot)


if __name__ == "__main__":
    main()
