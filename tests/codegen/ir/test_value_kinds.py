"""Value kinds: what an operation makes of its arguments' kinds (codegen/ir/value_kinds.py)."""

from __future__ import annotations

import itertools

import pytest

from thetac.codegen.ir.value_kinds import ELEMENT, HOST_NUMBER, HOST_TRUTH, Dim, Kind, Place, join

PER_PARAMETER = Kind(Place.TENSOR)
PER_MATRIX = Kind(Place.SHAPED, (Dim.ONE, Dim.ONE))
PER_ROW = Kind(Place.SHAPED, (Dim.ROWS, Dim.ONE))
PER_COLUMN = Kind(Place.SHAPED, (Dim.ONE, Dim.COLUMNS))
MASK = Kind(Place.SHAPED, (Dim.ROWS, Dim.COLUMNS), truth=True)


@pytest.mark.parametrize(
    ("arguments", "result"),
    [
        ((HOST_NUMBER,), HOST_NUMBER),
        ((HOST_NUMBER, PER_PARAMETER), PER_PARAMETER),
        ((HOST_NUMBER, PER_MATRIX), PER_MATRIX),
        ((PER_PARAMETER, PER_ROW), PER_ROW),
        ((PER_MATRIX, PER_COLUMN), PER_COLUMN),
        ((PER_ROW, PER_COLUMN), ELEMENT),
        ((PER_ROW, ELEMENT), ELEMENT),
        ((ELEMENT, ELEMENT), ELEMENT),
        ((HOST_TRUTH, ELEMENT), ELEMENT),
        ((MASK, HOST_NUMBER, HOST_NUMBER), ELEMENT),
    ],
)
def test_the_kind_of_an_operation_takes_those_of_its_arguments_in(arguments: tuple[Kind, ...], result: Kind) -> None:
    for order in itertools.permutations(arguments):
        assert join(order, truth=False) == result, order
        assert join(order, truth=True) == Kind(result.place, result.dims, truth=True), order


def test_different_dimensions_do_not_join() -> None:
    gram = Kind(Place.SHAPED, (Dim.ROWS, Dim.ROWS))
    with pytest.raises(ValueError, match=r"^different dimensions: columns and rows$"):
        join((gram, ELEMENT), truth=False)


def test_a_kind_has_dimensions_exactly_if_it_is_shaped() -> None:
    with pytest.raises(AssertionError, match="with the dimensions"):
        Kind(Place.SHAPED)
    with pytest.raises(AssertionError, match="with the dimensions"):
        Kind(Place.HOST, (Dim.ONE, Dim.ONE))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (HOST_NUMBER, "a number"),
        (HOST_TRUTH, "a truth value"),
        (PER_PARAMETER, "one number per parameter"),
        (PER_MATRIX, "one number per matrix"),
        (PER_ROW, "one number per row"),
        (PER_COLUMN, "one number per column"),
        (ELEMENT, "one number per element"),
        (MASK, "one truth value per element"),
    ],
)
def test_messages_to_authors_name_a_kind(kind: Kind, name: str) -> None:
    assert str(kind) == name
    assert kind.is_on_host == (kind in (HOST_NUMBER, HOST_TRUTH))
    assert kind.is_host_number == (kind == HOST_NUMBER)
    assert kind.is_element == (kind == ELEMENT)
