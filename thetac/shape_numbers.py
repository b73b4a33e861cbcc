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

    name: str  # the function of the language
    variable: str  # in generated code: that of one parameter, or of several that agree in it
    listed: str  # in generated code: the list of those of several parameters
    doc: str  # for the reference of the language
    of: Callable[[Sequence[int], float], float]  # from a shape, and the machine epsilon of a dtype


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
)  # fmt: skip

SHAPE_NUMBERS: Mapping[str, ShapeNumber] = {one.name: one for one in _ROWS}

VARIABLES = tuple(one.variable for one in _ROWS)  # in the order of the table


def shape_numbers(shape: Sequence[int], epsilon: float) -> dict[str, float]:
    """Return the numbers of a parameter, by name.

    Args:
        shape: Of the parameter, all of it where processes have parts of it.
        epsilon: The machine epsilon of its dtype.
    """
    return {name: one.of(shape, epsilon) for name, one in SHAPE_NUMBERS.items()}
