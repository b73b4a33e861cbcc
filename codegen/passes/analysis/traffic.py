"""How much memory a step moves: the streams that the passes load and store, with the defaults of a rule.

In: a Rule and its `Fused`. Out: bytes. Must not know targets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from thetac.codegen.ir.fused import Fused
from thetac.codegen.ir.interpret import FLOATS, defaults
from thetac.codegen.ir.nodes import Call, Const, Expr, Ref, Rule
from thetac.shape_numbers import SHAPE_NUMBERS, shape_numbers

FLOAT32 = 4  # bytes
# Conditions on shapes are decided for a large square matrix.
_OF_A_MATRIX = shape_numbers((1024, 1024), 2.0**-23)


def accesses(fused: Fused) -> dict[str, tuple[Expr, ...]]:
    """Return for each stream the conditions of its loads and stores, pass by pass, and for each small state likewise.

    Each condition is on specialisations: the kernels load or store all of the stream once where it holds.
    """
    uses = [use for one in fused.passes for use in one.streams] + [*fused.small]
    names = (*fused.streams, *(state.name for state in fused.small))
    return {
        name: tuple(condition for use in uses if use.name == name for condition in (use.loaded, use.stored))
        for name in names
    }


def bytes_moved(rule: Rule, fused: Fused) -> int:
    """Return the bytes that kernels load and store per element of a parameter, in a step with the defaults.

    Args:
        rule: The rule, after all passes.
        fused: The same rule, split for kernels.

    Returns:
        The bytes for a matrix in float32 and states of its dtype. States with one number per row, column or parameter
        are left out: they are small beside it.
    """
    names = defaults(rule) | {SHAPE_NUMBERS[name].variable: number for name, number in _OF_A_MATRIX.items()}
    names |= {one.name: bool(_value(one.condition, names)) for one in fused.specialisations}
    found = accesses(fused)
    moved = sum(bool(_value(condition, names)) for stream in fused.streams for condition in found[stream])
    return FLOAT32 * moved


def _value(expression: Expr, names: Mapping[str, float | bool]) -> float | bool:
    """Return the value of an expression that a parameter group and a shape decide."""
    match expression:
        case Const(value=value):
            return value if isinstance(value, bool) else float(value)
        case Ref(name=name):
            return names[name]
        case Call(op=op, args=args):
            return FLOATS.operations[op](*(_value(argument, names) for argument in args))
        case _:
            assert_never(expression)
