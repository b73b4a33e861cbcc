"""The op registry: which operations a spec may use, how it writes them, and what kinds they take.

One row per op. A backend's table has one row for each of these that can reach it; a test checks completeness.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Shape(Enum):
    """How an op's kind follows from its arguments' kinds."""

    ELEMENTWISE = "elementwise"  # HOST if all arguments are HOST, ELEMENT if any is an ELEMENT
    COMPARISON = "comparison"  # FLAG if all arguments are HOST, MASK if any is an ELEMENT
    LOGIC = "logic"  # FLAG of FLAGs, or MASK if any is a MASK
    SELECT = "select"  # where(mask or flag, a, b): the kind of a and b joined, ELEMENT under a mask
    PREDICATE = "predicate"  # FLAG of names: first(state), is_tensor(hyperparameter)


@dataclass(frozen=True, slots=True)
class Op:
    name: str  # in Call.op
    arity: int
    shape: Shape
    syntax: str  # as an author writes it, with a, b, c for the arguments
    doc: str  # for the reference of the language
    linear: bool = False  # over elements with host factors: allowed in complex arithmetic
    host_only: bool = False  # takes no elements (yet)


_ROWS = (
    Op("add", 2, Shape.ELEMENTWISE, "a + b", "sum", linear=True),
    Op("sub", 2, Shape.ELEMENTWISE, "a - b", "difference", linear=True),
    Op("mul", 2, Shape.ELEMENTWISE, "a * b", "product"),
    Op("div", 2, Shape.ELEMENTWISE, "a / b", "quotient (IEEE: x/0 is inf or NaN)"),
    Op("pow", 2, Shape.ELEMENTWISE, "a ** b", "power; of an element only the exponents 2, 3 and 0.5"),
    Op("neg", 1, Shape.ELEMENTWISE, "-a", "negation", linear=True),
    Op("sqrt", 1, Shape.ELEMENTWISE, "sqrt(a)", "square root, NaN below 0"),
    Op("abs", 1, Shape.ELEMENTWISE, "abs(a)", "absolute value"),
    Op("sign", 1, Shape.ELEMENTWISE, "sign(a)", "-1, 0 or 1; 0 for NaN"),
    Op("exp", 1, Shape.ELEMENTWISE, "exp(a)", "exponential of a number", host_only=True),
    Op("log", 1, Shape.ELEMENTWISE, "log(a)", "natural logarithm of a number", host_only=True),
    Op("lerp", 3, Shape.ELEMENTWISE, "lerp(a, b, w)", "a + w * (b - a), as torch computes it", linear=True),
    Op("maximum", 2, Shape.ELEMENTWISE, "maximum(a, b)", "the larger; NaN if either is"),
    Op("minimum", 2, Shape.ELEMENTWISE, "minimum(a, b)", "the smaller; NaN if either is"),
    Op("clamp", 3, Shape.ELEMENTWISE, "clamp(a, low, high)", "minimum(maximum(a, low), high); NaN stays"),
    Op("where", 3, Shape.SELECT, "where(c, a, b)", "a where c holds, else b; both are computed"),
    Op("gt", 2, Shape.COMPARISON, "a > b", "greater"),
    Op("ge", 2, Shape.COMPARISON, "a >= b", "greater or equal"),
    Op("lt", 2, Shape.COMPARISON, "a < b", "less"),
    Op("le", 2, Shape.COMPARISON, "a <= b", "less or equal"),
    Op("eq", 2, Shape.COMPARISON, "a == b", "equal"),
    Op("ne", 2, Shape.COMPARISON, "a != b", "not equal"),
    Op("and", 2, Shape.LOGIC, "a and b", "both"),
    Op("or", 2, Shape.LOGIC, "a or b", "either"),
    Op("not", 1, Shape.LOGIC, "not a", "negation of a truth value"),
    Op("first", 1, Shape.PREDICATE, "first(s)", "true in the step that creates the state s of this parameter"),
    Op(
        "is_tensor", 1, Shape.PREDICATE, "is_tensor(h)", "whether a hyperparameter was given as a tensor (in `require`)"
    ),
)

OPS: dict[str, Op] = {op.name: op for op in _ROWS}
FUNCTIONS: dict[str, Op] = {op.name: op for op in _ROWS if op.syntax.startswith(f"{op.name}(")}  # written as calls
