"""Steps without a closure for optimizers that need one: tests that run over all optimizers set gradients and step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import pytest
import torch

import thetac
from tests.support.every_optimizer import NAMES, Test, of_every_class
from thetac.drivers import DRIVERS
from thetac.runtime.drivers.curvature import Curvature
from thetac.runtime.optimizer import Optimizer

_DRIVERS = {driver.path.partition(":")[0] for driver in DRIVERS.values() if driver.needs_closure}


def needs_closure(optimizer: object) -> bool:
    """Return whether steps of an optimizer, or of its class, need a closure; oracles say so themselves."""
    cls = optimizer if isinstance(optimizer, type) else type(optimizer)
    return getattr(cls, "needs_closure", False) or any(base.__module__ in _DRIVERS for base in cls.__mro__)


def differentiates(optimizer: object) -> bool:
    """Return whether an optimizer, or a class, differentiates gradients; oracles say so themselves."""
    cls = optimizer if isinstance(optimizer, type) else type(optimizer)
    return getattr(optimizer, "differentiates", False) or issubclass(cls, Curvature)


CURVED = tuple(name for name in thetac.generated.__all__ if differentiates(getattr(thetac, name)))
DRIVEN = tuple(name for name in thetac.generated.__all__ if needs_closure(getattr(thetac, name)))


def every_class_that_evaluates_once(test: Test) -> Test:
    """Run a test as `every_class` does, but not for what evaluates or differentiates again in a step.

    No GradScaler and no graph can run such a step. Tests of drivers show the errors that say so.
    """
    names = of_every_class(name for name in NAMES if name not in (*DRIVEN, *CURVED))
    return pytest.mark.by_schema(pytest.mark.parametrize("name", names)(test))


def replay(optimizer: torch.optim.Optimizer) -> Callable[[], float]:
    """Return a closure that gives every parameter the gradient that it has now, whatever the parameters are."""
    grads = [(param, param.grad) for group in optimizer.param_groups for param in group["params"]]

    def closure() -> float:
        for param, grad in grads:
            param.grad = grad
        return 0.0

    return closure


def replay_gradients(cls: type[Optimizer], patch: pytest.MonkeyPatch) -> None:
    """Let steps of a class without a closure run with one that repeats the gradients that there are.

    Such a step of a driver that only looks for gradients elsewhere is one of the rule without the driver, to the bit.
    """
    given: Any = cls.step

    @wraps(given)
    def step(self: Any, closure: Callable[[], float] | None = None) -> object:
        if closure is not None:
            return given(self, closure)
        given(self, replay(self))
        return None

    patch.setattr(cls, "step", step)


def estimate_with_gradients(patch: pytest.MonkeyPatch) -> None:
    """Let the gradients, which have no graph in tests over all optimizers, be the estimates of the Hessian, too.

    Where autograd records the step, estimates are constants, which they are for it.
    """

    def estimates(self: Curvature, draw: int, flat: frozenset[int]) -> list[torch.Tensor | None]:
        return [
            torch.ones_like(param.grad) if param.grad is not None and group.get("differentiable") else param.grad
            for group in self.param_groups
            for param in group["params"]
        ]

    patch.setattr(Curvature, "estimates", estimates)


def step_as_others(arguments: Iterable[object], patch: pytest.MonkeyPatch) -> None:
    """Let the optimizers that a test over all of them names among its arguments step without a closure or a graph."""
    named = {one for one in arguments if isinstance(one, str)}
    for name in named & {*DRIVEN}:
        replay_gradients(getattr(thetac, name), patch)
    if named & {*CURVED}:
        estimate_with_gradients(patch)
