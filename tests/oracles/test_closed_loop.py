"""The comparison with oracles finds what differs by little, comes late, or is no number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
import torch
from torch import Tensor

from tests.oracles.closed_loop import LATE, LIMIT, SHAPES, deviation

SGD = partial(torch.optim.SGD, lr=0.1)


class Skewed:
    """Gradient descent that differs in elements of one parameter."""

    def __init__(self, parameters: Sequence[Tensor], *, by: float, index: int = 0, steps: Sequence[int] = ()) -> None:
        self.parameters, self.by, self.index, self.steps, self.step_number = parameters, by, index, steps, 0
        self.optimizer = SGD(parameters)
        self.param_groups = self.optimizer.param_groups

    def step(self) -> None:
        self.optimizer.step()
        if not self.steps or self.step_number in self.steps:
            self.parameters[self.index].add_(self.by)
        self.step_number += 1


@pytest.mark.parametrize("late", [False, True])
def test_an_optimizer_does_not_come_apart_from_itself(late: bool) -> None:
    assert deviation(SGD, SGD, late=late) == 0.0


@pytest.mark.parametrize("index", range(len(SHAPES)))
def test_a_small_difference_in_any_parameter_is_found(index: int) -> None:
    apart = deviation(partial(Skewed, by=1e-11, index=index), SGD, late=False)
    assert LIMIT < apart < 1e-8


def test_a_difference_that_heals_is_found() -> None:
    assert deviation(partial(Skewed, by=1e-10, steps=[20]), SGD, late=False) > LIMIT


def test_rounding_is_let_through() -> None:
    def descend(parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=0.1 * (1 + 1e-15))

    assert 0.0 < deviation(descend, SGD, late=False) <= LIMIT


def test_a_late_gradient_shows_whether_steps_are_counted_per_parameter() -> None:
    class CountsTogether:
        """Descends by 1 / t, where t counts the steps of all parameters."""

        def __init__(self, parameters: Sequence[Tensor], *, apart: bool) -> None:
            self.parameters, self.apart, self.counts = parameters, apart, [0] * len(parameters)
            self.param_groups: list[dict[str, object]] = []

        def step(self) -> None:
            for index, parameter in enumerate(self.parameters):
                if parameter.grad is not None or not self.apart:
                    self.counts[index] += 1
                if parameter.grad is not None:
                    parameter.sub_(0.1 / self.counts[index] * parameter.grad)

    together, apart = partial(CountsTogether, apart=False), partial(CountsTogether, apart=True)
    assert LATE > 0
    assert deviation(together, apart, late=False) == 0.0
    assert deviation(together, apart, late=True) > LIMIT


@pytest.mark.parametrize("by", [float("nan"), float("inf")])
def test_what_is_no_number_is_found(by: float) -> None:
    assert deviation(partial(Skewed, by=by), SGD, late=False) == float("inf")


def test_what_stands_still_beside_what_moves_is_found() -> None:
    still = partial(torch.optim.SGD, lr=0.0)
    assert deviation(SGD, still, late=False) == float("inf")
    assert deviation(still, SGD, late=False) >= 1.0


def test_what_copies_lr_in_a_step_instead_of_the_constructor_is_found() -> None:
    class KeepsLr:
        """Descends by the first lr that it sees."""

        def __init__(self, parameters: Sequence[Tensor], *, in_constructor: bool) -> None:
            self.parameters, self.param_groups = parameters, [{"lr": 0.1}]
            self.kept = 0.1 if in_constructor else None

        def step(self) -> None:
            self.kept = self.kept or self.param_groups[0]["lr"]
            for parameter in self.parameters:
                assert parameter.grad is not None
                parameter.sub_(self.kept * parameter.grad)

    early, late = partial(KeepsLr, in_constructor=True), partial(KeepsLr, in_constructor=False)
    assert deviation(early, late, late=False) > LIMIT
    assert deviation(SGD, early, late=False) > LIMIT
