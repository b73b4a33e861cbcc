"""Train two optimizers side by side, each on gradients at its own parameters, and say how far they come apart.

Their lr warms up, from the first step on, as schedulers change it: what an optimizer does with the lr of
its constructor differs then from what it does with the present one.

In: what makes each of them. Out: the largest deviation as a fraction of the distance moved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tests.oracles.oracle import Steps
from tests.support.stepping import differentiates, needs_closure
from tests.support.training_mode import call_train, evaluated

STEPS = 50
LIMIT = 1e-12  # of the distance moved
SHAPES: Sequence[tuple[int, ...]] = ((5,), (4, 3), (2, 3, 2), (), (4, 2, 3, 3))
WARMUP = 4  # steps in which lr rises from half of the constructor's to all of it
EVALUATED = 10  # an optimizer with modes is evaluated after every so many-th step
LATE = 7  # in a late run, the second parameter has no gradient before this step

Start = Callable[[Sequence[Tensor]], Steps]
Path = tuple[Tensor, ...]  # of each parameter, its elements after each step


def deviation(ours: Start, theirs: Start, *, late: bool, shapes: Sequence[tuple[int, ...]] = SHAPES) -> float:
    """Return the largest difference between the parameters of both, in any step, as `largest_deviation` does.

    Args:
        ours: Makes the optimizer to judge from its parameters, in float64.
        theirs: Makes the one to compare with.
        late: Whether the second parameter gets its first gradient late.
        shapes: Those of the parameters.
    """
    return largest_deviation(*(path(start, late=late, shapes=shapes) for start in (ours, theirs)))


def path(start: Start, *, late: bool, shapes: Sequence[tuple[int, ...]] = SHAPES, steps: int = STEPS) -> Path:
    """Train an optimizer on gradients at its own parameters.

    Args:
        start: Makes the optimizer from its parameters, in float64.
        late: Whether the second parameter gets its first gradient late.
        shapes: Those of the parameters.
        steps: How many steps to train.

    Returns:
        For each parameter its elements before the first step and after each one, of shape (1 + steps, elements). Where
        the optimizer has modes, there are further points: those at which a model would be evaluated.
    """
    generators = _generators(shapes)
    # As small as weights are: the rounding of large ones would drown the steps of a small lr.
    parameters = [0.1 * draw for draw in _draws(shapes, generators)]
    points = [[parameter.flatten().clone()] for parameter in parameters]
    optimizer = start(parameters)
    if is_curved := differentiates(optimizer):
        for parameter in parameters:
            parameter.requires_grad_()
    call_train(optimizer)
    rates = [group["lr"] for group in optimizer.param_groups]
    for step in range(steps):
        noise = _draws(shapes, generators)
        missing = 1 if late and step < LATE else None

        def closure(noise: Sequence[Tensor] = noise, missing: int | None = missing) -> float:
            for index, parameter in enumerate(parameters):
                # A new tensor each time: some authors write into the gradient, or keep it.
                parameter.grad = None if index == missing else noise[index] + 3 * parameter
            return 0.0

        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * _scheduled(step)
        if hasattr(optimizer, "update_hessian") and not is_curved and step % EVALUATED == 0:
            closure()
            optimizer.update_hessian()
        if is_curved:
            optimizer.step(lambda: _curved_loss(parameters, noise, missing))  # type: ignore[call-arg]  # noqa: B023
        elif needs_closure(optimizer):
            optimizer.step(closure)  # type: ignore[call-arg]
        else:
            closure()
            optimizer.step()
        for passed, parameter in zip(points, parameters, strict=True):
            passed.append(parameter.detach().flatten().clone())
        if step % EVALUATED == 0:
            for passed, point in zip(points, evaluated(optimizer, parameters), strict=False):
                passed.append(point.flatten())
    return tuple(torch.stack(passed) for passed in points)


def _curved_loss(parameters: Sequence[Tensor], noise: Sequence[Tensor], missing: int | None) -> Tensor:
    """Return a loss whose Hessian has a diagonal that varies, and elements beside it."""
    terms = []
    for index, (parameter, one) in enumerate(zip(parameters, noise, strict=True)):
        if index != missing:
            terms.append((one * parameter + 1.5 * parameter**2 + 5 * parameter**4).sum() + 0.3 * parameter.sum() ** 2)
    return torch.stack(terms).sum()


def largest_deviation(ours: Path, theirs: Path) -> float:
    """Return how far the paths of two optimizers from the same point come apart.

    Returns:
        For the parameter where it is largest: the largest difference of an element, divided by the largest distance of
        an element from where it began. Infinity if theirs does not move and ours does, or where there is a NaN.
    """
    return max(_fraction(_largest(a - b), _largest(b - b[0])) for a, b in zip(ours, theirs, strict=True))


def _scheduled(step: int) -> float:
    """Return the lr of a step as a fraction of the constructor's."""
    return min(1.0, 0.5 + (step + 1) / (2 * WARMUP))


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
