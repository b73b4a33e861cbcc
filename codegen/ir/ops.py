"""The registry of operations: one row holds everything about an operation that is data.

A row says how authors write the operation, what it means on numbers, how its value kind follows from its arguments',
and how documentation and tests speak of it. How a target writes it is a default where the operation is a function: a
function of the same name in the runtime or in torch. A backend's table holds operators and exceptions alone.

An operation that others define (`defined`) is composed: passes/expand.py writes the definition instead, and no
target has to know it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from thetac.codegen.ir import ieee
from thetac.shape_numbers import SHAPE_NUMBERS


class Shape(Enum):
    """What an operation takes and gives. The kind of its result joins those of its arguments (`value_kinds.join`)."""

    ELEMENTWISE = "elementwise"  # numbers give a number
    COMPARISON = "comparison"  # numbers give a truth value
    LOGIC = "logic"  # truth values give a truth value
    SELECT = "select"  # where(c, a, b): a truth value and two numbers give a number
    PREDICATE = "predicate"  # a name gives a truth value of the host: first(state), is_tensor(hyperparameter)
    OF_PARAM = "of param"  # `param` itself gives a number of the host: rank(param); passes/expand.py makes names of it


@dataclass(frozen=True, slots=True)
class Op:
    """An operation. What asks about a name, as predicates do, has neither meaning nor definition here."""

    name: str  # in Call.op
    arity: int
    shape: Shape
    syntax: str  # as an author writes it; a function with its arguments' names
    doc: str  # for the reference of the language
    meaning: Callable[..., float] | None = None  # on floats and truth values; raises nothing
    defined: str = ""  # a composed operation: an expression of other operations, over the names in `syntax`
    whole_on_elements: bool = False  # composed, but on elements the targets have a function for all of it
    linear: bool = False  # over elements with host factors: allowed in complex arithmetic
    host_only: bool = False  # takes no elements (yet)
    latex: str = ""  # of a function, with #1, #2 for its arguments; empty: its definition or its name
    noun: str = ""  # of a list of such values in foreach; empty: the plural of the name
    sample: str = ""  # the NumPy function that tests compare with; empty: that of the same name

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the arguments of a function, as `syntax` has them."""
        return tuple(self.syntax[len(self.name) + 1 : -1].split(", "))


_ROWS = (
    Op(
        "add", 2, Shape.ELEMENTWISE, "a + b", "sum",
        meaning=operator.add, linear=True, noun="sums",
    ),
    Op(
        "sub", 2, Shape.ELEMENTWISE, "a - b", "difference",
        meaning=operator.sub, linear=True, noun="differences", sample="subtract",
    ),
    Op(
        "mul", 2, Shape.ELEMENTWISE, "a * b", "product",
        meaning=operator.mul, noun="products", sample="multiply",
    ),
    Op(
        "div", 2, Shape.ELEMENTWISE, "a / b", "quotient (IEEE: x/0 is inf or NaN)",
        meaning=ieee.divide, noun="quotients", sample="divide",
    ),
    Op(
        "pow", 2, Shape.ELEMENTWISE, "a ** b", "power; of an element only the exponents 2, 3 and 0.5",
        meaning=ieee.power, noun="powers", sample="power",
    ),
    Op(
        "neg", 1, Shape.ELEMENTWISE, "-a", "negation",
        meaning=operator.neg, linear=True, noun="negatives", sample="negative",
    ),
    Op(
        "sqrt", 1, Shape.ELEMENTWISE, "sqrt(a)", "square root, NaN below 0",
        meaning=ieee.sqrt, latex=r"\sqrt{#1}", noun="roots",
    ),
    Op(
        "abs", 1, Shape.ELEMENTWISE, "abs(a)", "absolute value",
        meaning=abs, latex=r"\left| #1 \right|", noun="magnitudes",
    ),
    Op(
        "sign", 1, Shape.ELEMENTWISE, "sign(a)", "-1, 0 or 1; 0 for NaN",
        meaning=ieee.sign,
    ),
    Op(
        "exp", 1, Shape.ELEMENTWISE, "exp(a)", "exponential of a number",
        meaning=ieee.exp, host_only=True, latex=r"\exp\left( #1 \right)",
    ),
    Op(
        "log", 1, Shape.ELEMENTWISE, "log(a)", "natural logarithm of a number",
        meaning=ieee.log, host_only=True, latex=r"\ln\left( #1 \right)",
    ),
    Op(
        "lerp", 3, Shape.ELEMENTWISE, "lerp(a, b, w)", "a + w * (b - a), as torch computes it",
        meaning=ieee.lerp, linear=True, noun="means",
    ),
    Op(
        "maximum", 2, Shape.ELEMENTWISE, "maximum(a, b)", "the larger; NaN if either is",
        meaning=ieee.maximum, latex=r"\max\left( #1, #2 \right)", noun="maxima",
    ),
    Op(
        "minimum", 2, Shape.ELEMENTWISE, "minimum(a, b)", "the smaller; NaN if either is",
        meaning=ieee.minimum, latex=r"\min\left( #1, #2 \right)", noun="minima",
    ),
    Op(
        "clamp", 3, Shape.ELEMENTWISE, "clamp(a, low, high)", "minimum(maximum(a, low), high); NaN stays",
        defined="minimum(maximum(a, low), high)", whole_on_elements=True, sample="clip",
    ),
    Op(
        "where", 3, Shape.SELECT, "where(c, a, b)", "a where c holds, else b; both are computed",
        meaning=ieee.where,
    ),
    Op("gt", 2, Shape.COMPARISON, "a > b", "greater", meaning=operator.gt, sample="greater"),
    Op("ge", 2, Shape.COMPARISON, "a >= b", "greater or equal", meaning=operator.ge, sample="greater_equal"),
    Op("lt", 2, Shape.COMPARISON, "a < b", "less", meaning=operator.lt, sample="less"),
    Op("le", 2, Shape.COMPARISON, "a <= b", "less or equal", meaning=operator.le, sample="less_equal"),
    Op("eq", 2, Shape.COMPARISON, "a == b", "equal", meaning=operator.eq, sample="equal"),
    Op("ne", 2, Shape.COMPARISON, "a != b", "not equal", meaning=operator.ne, sample="not_equal"),
    Op("and", 2, Shape.LOGIC, "a and b", "both", meaning=ieee.both, sample="logical_and"),
    Op("or", 2, Shape.LOGIC, "a or b", "either", meaning=ieee.either, sample="logical_or"),
    Op("not", 1, Shape.LOGIC, "not a", "negation of a truth value", meaning=operator.not_, sample="logical_not"),
    Op(
        "first", 1, Shape.PREDICATE, "first(s)", "true in the step that creates the state s of this parameter",
        latex=r"\text{this is the first step}",
    ),
    Op(
        "is_tensor", 1, Shape.PREDICATE, "is_tensor(h)",
        "whether a hyperparameter was given as a tensor (in `require`)",
        latex=r"#1 \text{ is a tensor}",
    ),
    *(
        Op(one.name, 1, Shape.OF_PARAM, f"{one.name}(param)", one.doc, latex=rf"\mathrm{{{one.name}}}(\theta)")
        for one in SHAPE_NUMBERS.values()
    ),
)  # fmt: skip

OPS: dict[str, Op] = {op.name: op for op in _ROWS}
FUNCTIONS: dict[str, Op] = {op.name: op for op in _ROWS if op.syntax.startswith(f"{op.name}(")}  # written as calls

OF_NAMES = (Shape.PREDICATE, Shape.OF_PARAM)  # asked of a name, not of its value

# What targets need a function for, once composed operations are expanded: of numbers, and of elements.
_OF_VALUES = tuple(op for op in FUNCTIONS.values() if op.shape not in OF_NAMES)
HOST_FUNCTIONS = tuple(op for op in _OF_VALUES if not op.defined)
ELEMENT_FUNCTIONS = tuple(op for op in _OF_VALUES if (op.whole_on_elements if op.defined else not op.host_only))
