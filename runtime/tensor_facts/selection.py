"""Select the items of some positions from lists that have one item per member of a step.

In: positions among all members of a step. Out: the items at these positions, and the positions as compiled code reads
them. Must not know what the items are.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, TypeVar

T = TypeVar("T")


class Selection:
    """Some positions in lists of `size` items, in ascending order, or all of them."""

    def __init__(self, positions: Sequence[int], size: int) -> None:
        self.size = size
        self.count = len(positions)
        self.is_everything = self.count == size
        self.positions = range(size) if self.is_everything else positions
        self._array = array("q", () if self.is_everything else positions)
        # The address of the positions as 64-bit integers; None selects everything.
        self.address = None if self.is_everything else self._array.buffer_info()[0]
        self._pick: Callable[[Any], tuple[Any, ...]] | None = None
        if self.count > 1 and not self.is_everything:
            self._pick = itemgetter(*positions)

    @classmethod
    def all_of(cls, size: int) -> Selection:
        """Return a selection of all items of lists of a size."""
        return cls(range(size), size)

    def select(self, items: list[T]) -> list[T]:
        """Return the items at the selected positions; the list itself if everything is selected."""
        if self.is_everything:
            return items
        return [items[position] for position in self.positions] if self._pick is None else list(self._pick(items))

    def scatter(self, items: list[Any]) -> list[Any]:
        """Return a list of `size` with these items at the selected positions and None elsewhere.

        If everything is selected, the list itself is returned.
        """
        if self.is_everything:
            return items
        found: list[Any] = [None] * self.size
        for position, item in zip(self.positions, items, strict=True):
            found[position] = item
        return found
