"""Searches: strong Wolfe is torch's to the bit, and the non-monotone one finds what it promises."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim.lbfgs import _strong_wolfe

from thetac.runtime.drivers.line_search import SUFFICIENT, Line, Point, nonmonotone, strong_wolfe

Function = Callable[[Tensor], Tensor]
FUNCTIONS: dict[str, Function] = {
    "quadratic": lambda x: (x * x * torch.arange(1, 5, dtype=x.dtype)).sum(),
    "quartic": lambda x: (x**4 - 3 * x**2 + x).sum(),
    "waves": lambda x: (torch.sin(7 * x) + 0.1 * x * x).sum(),
    "kink": lambda x: (x - 0.3).abs().sum(),
    "steep": lambda x: torch.exp(8 * x).sum(),
    "falling": lambda x: -x.sum(),
    "undefined beyond 2": lambda x: -(2 - x).log().sum() - 3 * x.sum(),
}


class Along:
    """A function along a direction, and where it was evaluated."""

    def __init__(self, function: Function, dtype: torch.dtype, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self._function = function
        self.start = torch.rand(4, generator=generator, dtype=torch.float64).to(dtype)
        self.loss, self.grad = self.at(self.start)
        self.d = -self.grad * (0.2 + torch.rand(4, generator=generator, dtype=torch.float64)).to(dtype)
        self.slope = self.grad.dot(self.d)
        self.tried: list[Any] = []

    def at(self, x: Tensor) -> tuple[float, Tensor]:
        x = x.clone().requires_grad_()
        loss = self._function(x)
        (grad,) = torch.autograd.grad(loss, x)
        return float(loss.detach()), grad

    def evaluate(self, t: Any) -> tuple[float, Tensor]:
        self.tried.append(t)
        return self.at(self.start.add(self.d, alpha=t))

    def line(self) -> Line:
        return Line(self.evaluate, Tensor.dot, self.d, self.d.abs().max(), self.loss, self.grad, self.slope)


def of_torch(along: Along, first: float, most: int) -> tuple[float, Tensor, Any, int]:
    """What torch's search returns."""
    start = along.d, along.loss, along.grad, along.slope
    found: tuple[float, Tensor, Any, int] = _strong_wolfe(
        lambda _, t, __: along.evaluate(t), None, first, *start, max_ls=most
    )
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_strong_wolfe_is_torchs_to_the_bit(name: str, dtype: torch.dtype) -> None:
    for seed in range(12):
        for first in (1.0, 1e-3, 30.0):
            for most in (0, 1, 2, 25):
                mine, theirs = (Along(FUNCTIONS[name], dtype, seed) for _ in range(2))
                point = strong_wolfe(mine.line(), first, most)
                try:
                    loss, grad, t, evaluations = of_torch(theirs, first, most)
                except IndexError:  # a place where the slope is small, and no loss
                    assert any(math.isnan(theirs.at(theirs.start.add(theirs.d, alpha=t))[0]) for t in theirs.tried)
                    continue
                assert mine.tried == theirs.tried or any(map(math.isnan, map(float, mine.tried)))
                assert len(mine.tried) == evaluations
                assert type(point.t) is type(t)
                assert float(point.t) == float(t) or math.isnan(t)
                assert point.loss == loss or math.isnan(loss)
                assert torch.equal(point.grad, grad) or grad.isnan().any()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("above", [0.0, 0.5])
def test_nonmonotone_finds_a_sufficient_decrease(name: str, above: float) -> None:
    """From the largest of the last losses; each step is cut to a tenth at least and to a half at most."""
    for seed in range(12):
        for first in (1.0, 1e-3, 30.0):
            along = Along(FUNCTIONS[name], torch.float64, seed)
            losses = [along.loss + above, along.loss]
            point: Point = nonmonotone(along.line(), first, 40, losses)
            assert along.tried[0] == first
            assert along.tried[-1] == point.t
            assert point.loss <= max(losses) + SUFFICIENT * point.t * float(along.slope)
            for t, shorter in zip(along.tried, along.tried[1:], strict=False):
                assert shorter / t * (1 + 1e-15) >= 0.1
                assert shorter / t <= 0.5
                loss, _ = along.at(along.start.add(along.d, alpha=t))
                assert not loss <= max(losses) + SUFFICIENT * t * float(along.slope)


def test_nonmonotone_stays_where_nothing_was_found() -> None:
    along = Along(lambda x: (x * x).sum(), torch.float64, 0)
    along.d = -along.d
    along.slope = -along.slope.abs()
    point = nonmonotone(along.line(), 1.0, 5, [along.loss])
    assert (point.t, point.loss) == (0.0, along.loss)
    assert len(along.tried) == 6
