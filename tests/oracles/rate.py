"""An lr that changes while a reference in NumPy runs: it takes one number, and gradients of all steps."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence

from tests.references.algorithms.forms import Array

Operation = Callable[[object, object], object]


class Rate:
    """Computes as the number that it is at the moment: at first the lr that a constructor is given."""

    __array_ufunc__ = None  # arrays leave operations with it to it

    def __init__(self, first: float) -> None:
        self._now = first

    def of_steps(self, gradients: Sequence[Array], rates: Sequence[float]) -> Sequence[Array]:
        """Return the gradients; going through them makes this the rate of each one's step."""
        return _Gradients(gradients, self, rates)

    def become(self, now: float) -> None:
        """Compute as another number from now on."""
        self._now = now

    def __float__(self) -> float:
        return self._now

    def __neg__(self) -> float:
        return -self._now

    def __eq__(self, other: object) -> bool:
        return self._now == other

    def __hash__(self) -> int:
        return id(self)


class _Gradients(list[Array]):
    """Gradients of which each has the rate of its step."""

    def __init__(self, gradients: Sequence[Array], rate: Rate, rates: Sequence[float]) -> None:
        super().__init__(gradients)
        self._rate, self._rates = rate, rates

    def __iter__(self) -> Iterator[Array]:
        for gradient, now in zip(super().__iter__(), self._rates, strict=True):
            self._rate.become(now)
            yield gradient


def _on_the_left(operation: Operation) -> Operation:
    return lambda rate, other: operation(float(rate), _plain(other))  # type: ignore[arg-type]


def _on_the_right(operation: Operation) -> Operation:
    return lambda rate, other: operation(_plain(other), float(rate))  # type: ignore[arg-type]


def _plain(value: object) -> object:
    return float(value) if isinstance(value, Rate) else value


for _name in ("add", "sub", "mul", "truediv", "pow"):
    _operation = getattr(operator, _name)
    setattr(Rate, f"__{_name}__", _on_the_left(_operation))
    setattr(Rate, f"__r{_name}__", _on_the_right(_operation))
for _name in ("lt", "le", "gt", "ge"):
    setattr(Rate, f"__{_name}__", _on_the_left(getattr(operator, _name)))
