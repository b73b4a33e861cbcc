"""Places in the lists of a step: of the members that one work or one look is about.

In: positions among all members of a step. Out: the same positions, ready for Python and for compiled code.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, TypeVar

T = TypeVar("T")


class Places:
    """Some places in lists of `size` items, in ascending order, or all of them."""

    def __init__(self, positions: Sequence[int], size: int) -> None:
        self.size = size
        self.count = len(positions)
        self.are_all = self.count == size
        self.positions = range(size) if self.are_all else positions
        self._array = array("q", () if self.are_all else positions)
        # Where the positions lie as 64-bit integers; None stands for all places.
        self.address = None if self.are_all else self._array.buffer_info()[0]
        self._pick: Callable[[Any], tuple[Any, ...]] | None = None
        if self.count > 1 and not self.are_all:
            self._pick = itemgetter(*positions)

    @classmethod
    def all_of(cls, size: int) -> Places:
        return cls(range(size), size)

    def of(self, items: list[T]) -> list[T]:
        """The items at these places; the list itself where these are all."""
        if self.are_all:
            return items
        return [items[position] for position in self.positions] if self._pick is None else list(self._pick(items))

    def spread(self, items: list[Any]) -> list[Any]:
        """A list of all places with these items at these places, and None elsewhere, or the list itself."""
        if self.are_all:
            return items
        found: list[Any] = [None] * self.size
        for position, item in zip(self.positions, items, strict=True):
            found[position] = item
        return found
