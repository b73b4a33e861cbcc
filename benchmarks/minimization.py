"""What a step of a minimization costs beside its evaluations, which are cheap here.

In: an algorithm that torch has too, a number of elements, seconds. Out: a dictionary for a JSON file.
"""

from __future__ import annotations

from dataclasses import asdict

import torch

import thetac
from benchmarks.timing import Timed, take_turns

HISTORY = 10
STEEPEST = 1e4  # the condition of the quadratic function: 20 directions do not reach its minimum
LABELS = {
    "ours fused": (thetac, {}),
    "ours for-loop": (thetac, {"foreach": False}),
    "torch for-loop": (torch.optim, {}),
}


def minimization(algorithm: str, elements: int, budget: float) -> dict[str, object]:
    """Steps of 20 directions without a search, each from the same point, with the pairs of the step before."""
    functions = {label: _steps(algorithm, label, elements) for label in LABELS}
    rounds = take_turns(functions, budget)
    ours = "ours fused"
    return {
        "kind": "minimization",
        "algorithm": algorithm,
        "shapes": f"{elements:,} elements",
        "times": {label: asdict(rounds.time(label)) for label in functions},
        "ratios": {f"{label} / {ours}": asdict(rounds.ratio(label, ours)) for label in functions if label != ours},
    }


def _steps(algorithm: str, label: str, elements: int) -> Timed:
    library, options = LABELS[label]
    param = torch.zeros(elements)
    param.grad = torch.zeros(elements)
    steepness = torch.logspace(0, 4, elements) / STEEPEST
    keywords = {"lr": 1, "history_size": HISTORY, "tolerance_grad": 0, "tolerance_change": 0, **options}
    optimizer = getattr(library, algorithm)([param], **keywords)

    def closure() -> float:
        assert param.grad is not None
        torch.sub(param, 1, out=param.grad)
        param.grad.mul_(steepness)
        return float(torch.dot(param.grad, param.grad))

    def begin() -> None:
        param.zero_()

    def step() -> object:
        return optimizer.step(closure)

    return Timed(step, begin)
