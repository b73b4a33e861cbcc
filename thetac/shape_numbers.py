"""The numbers that follow from the shape and the dtype of a parameter: one row each.

Updates and conditions read them as functions of `param`, such as `rank(param)`. The compiler names and documents them,
its interpreter and the runtime compute them. Compiler and runtime may not import each other, so the table lies where
both can read it. It imports nothing of either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShapeNumber:
    """A number of the host that a parameter alone decides."""

    name: str
    variable: str  # in generated code: that of one parameter, or of several that agree in it
    listed: str  # in generated code: the list of those of several parameters
    doc: str  # for the reference of the language
    of: Callable[[Sequence[int], float], float]  # from a shape, and the machine epsilon of a dtype
    # The function of the language that means this number where a rule sees a parameter as a matrix, which has one row
    # for each index of the first axis; empty: `name` is the function, everywhere.
    of_matrix: str = ""


_ROWS = (
    ShapeNumber(
        "rank", "param_rank", "ranks_of_params",
        "the number of the parameter's axes",
        lambda shape, epsilon: float(len(shape)),
    ),
    ShapeNumber(
        "size", "param_size", "sizes_of_params",
        "the number of the parameter's elements",
        lambda shape, epsilon: float(math.prod(shape)),
    ),
    ShapeNumber(
        "rows", "param_rows", "rows_of_params",
        "the parameter's extent along its last axis but one; 1 if there is none",
        lambda shape, epsilon: float(shape[-2]) if len(shape) > 1 else 1.0,
    ),
    ShapeNumber(
        "columns", "param_columns", "columns_of_params",
        "the parameter's extent along its last axis; 1 if there is none",
        lambda shape, epsilon: float(shape[-1]) if len(shape) > 0 else 1.0,
    ),
    ShapeNumber(
        "epsilon", "param_epsilon", "epsilons_of_params",
        "the distance from 1 to the next number of the parameter's dtype",
        lambda shape, epsilon: epsilon,
    ),
    ShapeNumber(
        "matrix_rows", "param_matrix_rows", "matrix_rows_of_params",
        "the same under `view: matrix`: the parameter's extent along its first axis; 1 if there is no other",
        lambda shape, epsilon: float(shape[0]) if len(shape) > 1 else 1.0,
        of_matrix="rows",
    ),
    ShapeNumber(
        "matrix_columns", "param_matrix_columns", "matrix_columns_of_params",
        "the same under `view: matrix`: the number of elements that belong to one index of the first axis",
        lambda shape, epsilon: float(math.prod(shape[1:] if len(shape) > 1 else shape)),
        of_matrix="columns",
    ),
)  # fmt: skip

SHAPE_NUMBERS: Mapping[str, ShapeNumber] = {one.name: one for one in _ROWS}

# Truth values of a parameter that requirements read besides, by the function of the language, each with its variable.
PARAM_FACTS: Mapping[str, str] = {"is_complex": "param_is_complex", "is_sparse": "param_is_sparse"}

OF_MATRIX: Mapping[str, str] = {one.of_matrix: one.name for one in _ROWS if one.of_matrix}

VARIABLES = tuple(one.variable for one in _ROWS)  # in the order of the table


def shape_numbers(shape: Sequence[int], epsilon: float) -> dict[str, float]:
    """Return the numbers of a parameter, by name.

    Args:
        shape: Of the parameter, all of it where processes have parts of it.
        epsilon: The machine epsilon of its dtype.
    """
    return {name: one.of(shape, epsilon) for name, one in SHAPE_NUMBERS.items()}
