"""What rows and columns of a parameter are to a rule, written a second time for tests that run generated code alone."""

from __future__ import annotations

from thetac.codegen.ir.nodes import Rule, State
from thetac.codegen.ir.reductions import axes_in
from thetac.codegen.ir.value_kinds import Dim


def sees_matrix(rule: Rule) -> bool:
    """Return whether a rule sees a parameter as one matrix, with a row for each index of the first axis."""
    return bool(axes_in(rule.body) & {0, 1})


def shape_of_state(state: State, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a tensor state of a parameter of this shape."""
    rank = len(shape)
    last = max(rank - 1, 0)
    columns = range(1, rank) if state.of_matrix and rank > 1 else range(last, rank)
    rows = range(1) if state.of_matrix and rank > 1 else range(max(rank - 2, 0), last)
    gone = {axis for axes, dim in ((rows, state.dims[0]), (columns, state.dims[1])) if dim is Dim.ONE for axis in axes}
    return tuple(1 if axis in gone else size for axis, size in enumerate(shape))
