"""Minimizations beside transcriptions in NumPy, written from the papers: Polak and Ribiere, Raydan's global method of
Barzilai and Borwein, and the search of Grippo, Lampariello and Lucidi. LBFGS is beside torch in its own tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

import thetac

Array = npt.NDArray[np.float64]
Objective = tuple[Callable[[Array], float], Callable[[Array], Array]]  # value and gradient
DIRECTIONS = 40
LIMIT = 1e-12  # of the distance moved


def quadratic() -> tuple[Array, Objective, Callable[[Tensor], Tensor]]:
    scales = np.linspace(1.0, 20.0, 12)
    of_torch = torch.from_numpy(scales)
    return (
        np.linspace(-2, 3, 12),
        (lambda x: float(0.5 * (scales * x) @ x), lambda x: scales * x),
        lambda x: 0.5 * (of_torch * x * x).sum(),
    )


def quartic() -> tuple[Array, Objective, Callable[[Tensor], Tensor]]:
    return (
        np.linspace(-1, 2, 7),
        (lambda x: float((0.25 * x**4 + 2 * x**2 - x).sum()), lambda x: x**3 + 4 * x - 1),
        lambda x: (0.25 * x**4 + 2 * x**2 - x).sum(),
    )


PROBLEMS = {"quadratic": quadratic, "quartic": quartic}


def walk(
    start: Array,
    objective: Objective,
    next_direction: Callable[[Array, Array, Array, float], Array],
    *,
    lr: float,
    is_searched: bool,
) -> Array:
    """Follow directions; the first one is the gradient's, with a step of at most 1 in the sum of magnitudes."""
    value, gradient = objective
    x, losses = start.copy(), []
    g = gradient(x)
    d = -g
    t = min(1.0, 1.0 / np.abs(g).sum()) * lr
    for number in range(DIRECTIONS):
        if number:
            d = next_direction(gradient(x), g, d, t)
            g, t = gradient(x), lr
        losses = [*losses, value(x)][-10:]
        slope = g @ d
        while is_searched and value(x + t * d) > max(losses) + 1e-4 * t * slope:
            best = -slope * t * t / (2 * (value(x + t * d) - value(x) - t * slope))
            t = min(max(best, 0.1 * t), 0.5 * t)
        x = x + t * d
    return x


def polak_ribiere(g: Array, before: Array, d: Array, t: float) -> Array:
    beta = max(g @ (g - before) / (before @ before), 0.0)
    following = -g + beta * d
    return following if following @ g < 0 else -g


class BarzilaiBorwein:
    """The step size that makes the change of the gradient and the step agree best."""

    def __init__(self, *, long: bool) -> None:
        self._long, self._size = long, 1.0

    def __call__(self, g: Array, before: Array, d: Array, t: float) -> Array:
        s, y = t * d, g - before
        if s @ y > 0:
            self._size = s @ s / (s @ y) if self._long else s @ y / (y @ y)
        return -self._size * g


def ours(
    cls: type[torch.optim.Optimizer], start: Array, loss: Callable[[Tensor], Tensor], **arguments: object
) -> Array:
    """Where it is after as many directions, half of them in each of two steps."""
    x = Parameter(torch.from_numpy(start.copy()))
    tolerances = {"tolerance_grad": 0.0, "tolerance_change": 0.0}
    most = {"max_iter": DIRECTIONS // 2, "max_eval": 1000}
    optimizer = cls([x], **tolerances, **most, **arguments)  # type: ignore[call-arg]

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(x)
        value.backward()
        return value

    for _ in range(2):
        optimizer.step(closure)  # type: ignore[arg-type]
    found: Array = x.detach().numpy()
    return found


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize(("search", "lr"), [(None, 0.02), ("nonmonotone", 0.3)])
def test_polak_ribiere(problem: str, search: str | None, lr: float) -> None:
    start, objective, loss = PROBLEMS[problem]()
    found = ours(thetac.PolakRibiere, start, loss, lr=lr, line_search_fn=search)
    wanted = walk(start, objective, polak_ribiere, lr=lr, is_searched=search is not None)
    assert np.abs(found - wanted).max() <= LIMIT * np.abs(wanted - start).max()


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("long", [True, False])
@pytest.mark.parametrize(("search", "lr"), [(None, 1.0), ("nonmonotone", 1.0), ("nonmonotone", 30.0)])
def test_barzilai_borwein(problem: str, long: bool, search: str | None, lr: float) -> None:
    start, objective, loss = PROBLEMS[problem]()
    found = ours(thetac.BarzilaiBorwein, start, loss, lr=lr, line_search_fn=search, long=long)
    wanted = walk(start, objective, BarzilaiBorwein(long=long), lr=lr, is_searched=search is not None)
    assert np.abs(found - wanted).max() <= LIMIT * np.abs(wanted - start).max()
