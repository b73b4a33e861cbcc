"""Where the parameters of a step are, with the loss and the gradient that were found last.

In: a closure and lengths along directions. Out: losses and gradients of what is minimized. Must not know how lengths
are chosen.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from thetac.runtime.drivers.flat_view import FlatView
from thetac.runtime.drivers.line_search import Number, Point
from thetac.runtime.drivers.sums import Sums

Closure = Callable[[], float]


class Walk:
    """Moves the parameters, and evaluates the closure."""

    def __init__(self, closure: Closure, view: FlatView, sums: Sums, *, negated: bool) -> None:
        """Begin where the parameters are.

        Args:
            closure: Returns the loss, and leaves its gradients.
            view: The parameters.
            sums: What adds up their flat vectors.
            negated: Whether the loss is to be maximized.
        """
        self.sums = sums
        self.evaluations = 0
        self.loss = 0.0
        self.grad: Tensor  # flat; no evaluation overwrites it
        self._closure, self._view, self._negated = closure, view, negated
        self._start: list[Tensor] = []  # of the line that is searched
        self._parts: list[Tensor] = []  # of its direction
        self._length: Number = None  # at which the parameters are along it; None: at its start

    def evaluate(self) -> float:
        """Evaluate where the parameters are, and return what the closure has returned."""
        with torch.enable_grad():
            returned = self._closure()
        self.loss, self.grad = self.sums.agreed(float(returned)), self._view.gradient()
        if self._negated:
            self.loss, self.grad = -self.loss, self.grad.neg_()
        self.evaluations += 1
        return returned

    def move(self, d: Tensor, t: Number) -> None:
        """Move the parameters by a direction times a length."""
        self._view.move(self._view.split(d), t)

    def along(self, d: Tensor) -> Callable[[Number], tuple[float, Tensor]]:
        """Return a function that evaluates at lengths along a direction, from where the parameters are now."""
        self._parts, self._length = self._view.split(d), None
        self._start = self._view.copy(self._start)

        def evaluate_at(t: Number) -> tuple[float, Tensor]:
            """Return loss and gradient at a length, where the parameters stay."""
            self._place(t)
            self.evaluate()
            return self.loss, self.grad

        return evaluate_at

    def arrive(self, point: Point) -> None:
        """Go to the point that a search has found along the last direction."""
        if point.t is not self._length:
            self._place(point.t)
        self.loss, self.grad = point.loss, point.grad

    def _place(self, t: Number) -> None:
        if self._length is not None:
            self._view.restore(self._start)
        self._view.move(self._parts, t)
        self._length = t
