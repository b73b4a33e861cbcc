"""Value kinds: where a value lives, how many numbers it is, and whether they are truth values.

In: nothing. Out: `Kind`, its predicates, the kinds of today's names, and `join`, by which the kind of an operation
follows from its arguments. Must not know names, ops or rules: passes/analysis/kinds.py infers kinds from those.

Passes ask predicates, and do not compare with single kinds, so that they need no change when a kind is added here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Place(Enum):
    """Where a value lives. A later one takes an earlier one in: see `join`."""

    HOST = 0  # a Python number: one per step, parameter group and step count
    TENSOR = 1  # one number per parameter, on its device
    SHAPED = 2  # an array per parameter, on its device: see `Kind.dims`
    HISTORY = 3  # pairs of flat vectors, which two functions take and nothing else


class Dim(Enum):
    """The extent of a shaped value along one of the last two axes of its parameter."""

    ONE = "1"
    ROWS = "rows"
    COLUMNS = "columns"


Dims = tuple[Dim, Dim]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value is, inferred and never declared."""

    place: Place
    dims: Dims | None = None  # of a shaped value
    truth: bool = False

    def __post_init__(self) -> None:
        assert (self.dims is not None) == (self.place is Place.SHAPED), f"{self.place} with the dimensions {self.dims}"

    @property
    def is_on_host(self) -> bool:
        return self.place is Place.HOST

    @property
    def is_host_number(self) -> bool:
        return self.is_on_host and not self.truth

    @property
    def is_sweep(self) -> bool:
        """Whether there is one value for each element of the parameter, number or truth."""
        return self.dims == (Dim.ROWS, Dim.COLUMNS)

    @property
    def is_element(self) -> bool:
        """Whether there is one number for each element of the parameter."""
        return self.is_sweep and not self.truth

    def __str__(self) -> str:
        """Return the kind as messages to authors name it."""
        if self.place is Place.HISTORY:
            return "a history"
        what = "truth value" if self.truth else "number"
        return f"a {what}" if self.is_on_host else f"one {what} per {_COUNTED[self.dims]}"


_COUNTED: dict[Dims | None, str] = {
    None: "parameter",
    (Dim.ONE, Dim.ONE): "matrix",
    (Dim.ROWS, Dim.ONE): "row",
    (Dim.ONE, Dim.COLUMNS): "column",
    (Dim.ROWS, Dim.COLUMNS): "element",
}

EVERY_ELEMENT: Dims = (Dim.ROWS, Dim.COLUMNS)
ROW_VECTOR: Dims = (Dim.ROWS, Dim.ONE)  # one number per row
COLUMN_VECTOR: Dims = (Dim.ONE, Dim.COLUMNS)

HOST_NUMBER = Kind(Place.HOST)
TENSOR_NUMBER = Kind(Place.TENSOR)
HOST_TRUTH = Kind(Place.HOST, truth=True)
HISTORY = Kind(Place.HISTORY)
ELEMENT = Kind(Place.SHAPED, EVERY_ELEMENT)


def join(kinds: Iterable[Kind], *, truth: bool) -> Kind:
    """Return the kind of what an operation computes number by number.

    Args:
        kinds: Of the arguments, at least one.
        truth: Whether the operation gives truth values.

    Raises:
        ValueError: Two arguments have different dimensions, neither of which is `Dim.ONE`.
    """
    kinds = tuple(kinds)
    place = max((kind.place for kind in kinds), key=lambda place: place.value)
    if place is not Place.SHAPED:
        return Kind(place, truth=truth)
    return Kind(place, join_dims(kind.dims for kind in kinds if kind.dims is not None), truth)


def join_dims(dims: Iterable[Dims]) -> Dims:
    """Return the dimensions of arrays, at least one, that are broadcast together; raise ValueError if they differ."""
    rows, columns = (_joined(axis) for axis in zip(*dims, strict=True))
    return rows, columns


def reduced(kind: Kind, axis: int | None) -> Kind:
    """Return the kind of a reduction of numbers.

    Args:
        kind: Shaped.
        axis: -1 or -2, or 1 or 0 of a parameter that is seen as a matrix; None for all of the parameter.

    Raises:
        ValueError: There is one number along that axis already, or one in all.
    """
    if kind.dims is None:
        raise ValueError(f"{kind}: there is nothing to reduce")
    if axis is None:
        return TENSOR_NUMBER
    dims = list(kind.dims)
    if dims[axis] is Dim.ONE:
        raise ValueError(f"{kind}: there is nothing along the axis {axis}")
    dims[axis] = Dim.ONE
    return Kind(Place.SHAPED, (dims[0], dims[1]))


def _joined(dims: Iterable[Dim]) -> Dim:
    """Return the extent of one axis; raise ValueError if there are two."""
    extents = {dim for dim in dims if dim is not Dim.ONE}
    if len(extents) > 1:
        raise ValueError(f"different dimensions: {' and '.join(sorted(dim.value for dim in extents))}")
    return extents.pop() if extents else Dim.ONE
