"""Pairs of steps and changes of the gradient, and the inverse Hessian that they approximate.

In: flat vectors. Out: products of a vector with the approximation (Liu and Nocedal, Math. Program. 45, 1989; the
recursion is algorithm 7.4 of Nocedal and Wright, Numerical Optimization). `remember` and `inverse_hessian` are what
generated directions call. In checkpoints the pairs have the keys of torch's. Must not know what a step is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor

from thetac.runtime.drivers.sums import Sums

KEYS = ("old_dirs", "old_stps", "ro", "H_diag")  # of a checkpoint: changes, steps, 1 / (y * s), and the initial scale
SCRATCH = "al"  # one number per pair, which means nothing between steps


class History:
    """The last pairs, with torch's operations in torch's order."""

    def __init__(self, size: int, sums: Sums) -> None:
        """Begin without pairs.

        Args:
            size: How many pairs are kept.
            sums: What adds up products of vectors.
        """
        self._size, self.sums = size, sums
        self.changes: list[Tensor] = []
        self.steps: list[Tensor] = []
        self.reciprocals: list[Tensor] = []
        self.scale: float | Tensor = 1
        self.scratch: list[Tensor | None] | None = None

    def load(self, entry: Mapping[str, Any]) -> None:
        """Take over the pairs of a checkpoint, whose lists stay as they are."""
        self.changes, self.steps, self.reciprocals = (list(entry[key]) for key in KEYS[:3])
        self.scale = entry["H_diag"]
        if entry.get(SCRATCH) is not None:
            self.scratch = list(entry[SCRATCH])

    def save(self) -> dict[str, Any]:
        """Return the pairs under the keys of checkpoints, in lists of their own."""
        return {
            "old_dirs": list(self.changes),
            "old_stps": list(self.steps),
            "ro": list(self.reciprocals),
            "H_diag": self.scale,
        }

    def remember(self, s: Tensor, y: Tensor, bound: float) -> None:
        """Keep a pair, if the product of its vectors is above a bound; the oldest ones go if there are too many.

        Args:
            s: A step.
            y: The change of the gradient along it.
            bound: Of their product.

        Raises:
            IndexError: No pair may be kept.
        """
        ys = self.sums.dot(y, s)
        if ys > bound:
            while len(self.changes) >= self._size:
                self._drop_oldest()
            self.changes.append(y)
            self.steps.append(s)
            self.reciprocals.append(1.0 / ys)
            self.scale = ys / self.sums.dot(y, y)

    def inverse_hessian(self, q: Tensor) -> Tensor:
        """Return the product of the approximation with a vector, which stays as it is."""
        count, dot = len(self.changes), self.sums.dot
        scratch, given = self._take_scratch(), q
        for i in range(count - 1, -1, -1):
            scratch[i] = dot(self.steps[i], q) * self.reciprocals[i]
            alpha = -cast(float, scratch[i])
            q = q.add(self.changes[i], alpha=alpha) if q is given else q.add_(self.changes[i], alpha=alpha)
        r = torch.mul(q, self.scale)
        for i in range(count):
            be = dot(self.changes[i], r) * self.reciprocals[i]
            r.add_(self.steps[i], alpha=cast(float, scratch[i]) - cast(float, be))
        return r

    def _drop_oldest(self) -> None:
        for kept in (self.changes, self.steps, self.reciprocals):
            kept.pop(0)

    def _take_scratch(self) -> list[Tensor | None]:
        """Return a list with room for a number per pair."""
        if self.scratch is None:
            self.scratch = [None] * self._size
        self.scratch += [None] * (len(self.changes) - len(self.scratch))
        return self.scratch


def remember(pairs: History, s: Tensor, y: Tensor, bound: float) -> None:
    """Keep the pair of a step and the change of the gradient along it, if their product is above a bound."""
    pairs.remember(s, y, bound)


def inverse_hessian(pairs: History, q: Tensor) -> Tensor:
    """Return the product of a vector with the inverse Hessian that pairs approximate."""
    return pairs.inverse_hessian(q)
