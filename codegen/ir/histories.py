"""The meaning of histories: pairs of a step and the change of the gradient along it.

In: pairs, vectors, and how to compute with them. Out: pairs, or a vector. Nothing is changed in place. Must not know
rules, nor how many elements a vector has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Vector = TypeVar("Vector")
Pairs = tuple[tuple[Vector, Vector], ...]  # oldest first
Combine = Callable[[Vector, float, Vector], Vector]  # the first vector and a multiple of the second
Dot = Callable[[Vector, Vector], float]


def remember(pairs: Pairs[Vector], s: Vector, y: Vector, *, bound: float, size: int, dot: Dot[Vector]) -> Pairs[Vector]:
    """Return the pairs with one more, the newest `size` of them, if the product of its vectors is above a bound."""
    return (*pairs, (s, y))[-size:] if dot(s, y) > bound else pairs


def inverse_hessian(pairs: Pairs[Vector], q: Vector, *, dot: Dot[Vector], combine: Combine[Vector]) -> Vector:
    """Return the product of a vector with the inverse Hessian that L-BFGS makes of the pairs, by its recursion.

    H is (1 - rho s y') H' (1 - rho y s') + rho s s' with the last pair and the H' of those before it; the H of none is
    a multiple of the identity, with the last pair of all.
    """
    if not pairs:
        return q
    last_s, last_y = pairs[-1]
    return _product(pairs, q, dot(last_s, last_y) / dot(last_y, last_y), dot, combine)


def _product(pairs: Pairs[Vector], q: Vector, scale: float, dot: Dot[Vector], combine: Combine[Vector]) -> Vector:
    if not pairs:
        return combine(q, scale - 1, q)
    *before, (s, y) = pairs
    rho = 1 / dot(y, s)
    alpha = rho * dot(s, q)
    inner = _product(tuple(before), combine(q, -alpha, y), scale, dot, combine)
    return combine(inner, alpha - rho * dot(y, inner), s)
