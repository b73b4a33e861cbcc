"""Optimizers that take the gradient at another point than the one that they update.

In: a closure. Out: the same step as without a driver, from the gradient at the point to which `perturb` moves the
parameters. They are copied before, and restored from the copy, to the bit and in their own memory.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch._compile import _disable_dynamo

from thetac.runtime.drivers.pieces import Pieces, missing_closure
from thetac.runtime.optimizer import Optimizer

PERTURB = "perturb"


class TwoPoint(Optimizer):
    """An optimizer that evaluates twice in every step: where the parameters are, and where `perturb` takes them."""

    _pieces: Pieces | None = None  # made at the first step, and never pickled
    _kept: tuple[list[Tensor], list[Tensor]] | None = None  # perturbed parameters, and their values before
    _why_not_traced = "a step that evaluates its closure twice"

    @_disable_dynamo
    def step(self, closure: Callable[[], float] | None = None) -> float:  # type: ignore[override]
        """Evaluate, perturb, evaluate, restore, and update from the second gradient.

        After an error in the closure or in a check, parameters, state and counters are as they were.

        Args:
            closure: Clears the gradients, evaluates the model, calls `backward` and returns the loss. It runs twice.

        Returns:
            The loss of the first evaluation.

        Raises:
            TypeError: There is no closure.
        """
        if closure is None:
            raise missing_closure(self)
        self._check_can_step()
        with torch.enable_grad():
            loss = closure()
        self.first_step()
        try:
            self.zero_grad()
            with torch.enable_grad():
                closure()
        finally:
            self._restore()
        self._step(None)
        return loss

    def first_step(self) -> None:
        """Perturb the parameters along the gradients that there are.

        For training loops that evaluate by themselves, such as those with a `GradScaler`: `first_step()`, then the
        second evaluation, then `second_step()`.
        """
        self._check_can_step()
        if self._kept is not None:
            raise RuntimeError("first_step was called before: the parameters are perturbed until second_step")
        if self._pieces is None:
            self._pieces = Pieces(self.schema)
        params = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        with torch.no_grad():
            self._kept = params, [param.clone() for param in params]
        try:
            self._pieces.run(PERTURB, self.param_groups, self.state)
        except BaseException:
            self._restore()
            raise

    def second_step(self) -> None:
        """Restore the parameters, and update them from the gradients that there are."""
        if self._kept is None:
            raise RuntimeError("second_step comes after first_step")
        self._restore()
        self._step(None)

    def _restore(self) -> None:
        """Give the parameters the values that they had before they were perturbed."""
        assert self._kept is not None
        params, values = self._kept
        with torch.no_grad():
            torch._foreach_copy_(params, values)
        self._kept = None
