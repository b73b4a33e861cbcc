"""Train two optimizers side by side, each on gradients at its own parameters, and say how far they come apart.

In: what makes each of them. Out: the largest deviation as a fraction of the distance moved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tests.oracles.oracle import Steps

STEPS = 50
LIMIT = 1e-12  # of the distance moved
SHAPES: Sequence[tuple[int, ...]] = ((5,), (4, 3), (2, 3, 2), (), (4, 2, 3, 3))
LATE = 7  # in a late run, the second parameter has no gradient before this step

Start = Callable[[Sequence[Tensor]], Steps]


def deviation(ours: Start, theirs: Start, *, late: bool, shapes: Sequence[tuple[int, ...]] = SHAPES) -> float:
    """Return the largest difference between the parameters of both, in any step.

    Args:
        ours: Makes the optimizer to judge from its parameters, in float64.
        theirs: Makes the one to compare with.
        late: Whether the second parameter gets its first gradient late.
        shapes: Those of the parameters.

    Returns:
        For the parameter where it is largest: the largest difference of an element, divided by the largest distance of
        an element from where it began. Infinity if theirs does not move and ours does, or where there is a NaN.
    """
    generators = _generators(shapes)
    # As small as weights are: the rounding of large ones would drown the steps of a small lr.
    begin = [0.1 * draw for draw in _draws(shapes, generators)]
    mine, others = ([parameter.clone() for parameter in begin] for _ in range(2))
    optimizers = ours(mine), theirs(others)
    apart, moved = [0.0 for _ in begin], [0.0 for _ in begin]
    for step in range(STEPS):
        noise = _draws(shapes, generators)
        for optimizer, parameters in zip(optimizers, (mine, others), strict=True):
            for index, parameter in enumerate(parameters):
                missing = late and index == 1 and step < LATE
                # A new tensor each time: some authors write into the gradient, or keep it.
                parameter.grad = None if missing else noise[index] + 3 * parameter
            optimizer.step()
        apart = [max(before, _largest(a - b)) for before, a, b in zip(apart, mine, others, strict=True)]
        moved = [max(before, _largest(a - b)) for before, a, b in zip(moved, others, begin, strict=True)]
    return max(_fraction(difference, distance) for difference, distance in zip(apart, moved, strict=True))


def _generators(shapes: Sequence[tuple[int, ...]]) -> list[torch.Generator]:
    """Return a generator for each parameter: the last has one of its own, beside the others' common one."""
    common = torch.Generator().manual_seed(3)
    return [*(common for _ in shapes[:-1]), torch.Generator().manual_seed(4)]


def _draws(shapes: Sequence[tuple[int, ...]], generators: Sequence[torch.Generator]) -> list[Tensor]:
    return [torch.randn(s, generator=g, dtype=torch.float64) for s, g in zip(shapes, generators, strict=True)]


def _largest(tensor: Tensor) -> float:
    """Return the largest absolute value, infinity instead of NaN."""
    return tensor.abs().nan_to_num(nan=float("inf")).max().item()


def _fraction(difference: float, distance: float) -> float:
    if difference == 0.0:
        return 0.0
    return difference / distance if 0.0 < distance < float("inf") else float("inf")
