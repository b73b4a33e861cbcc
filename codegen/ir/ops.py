"""The registry of operations: one row holds everything about an operation that is data.

A row says how authors write the operation, what it means on numbers, how its value kind follows from its arguments',
and how documentation and tests speak of it. How a target writes it is a default where the operation is a function: a
function of the same name in the runtime or in torch. A backend's table holds operators and exceptions alone.

An operation that others define (`defined`) is composed: passes/expand.py writes the definition instead, and no
target has to know it.
"""

from __future__ import annotations

import math
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
    REDUCTION = "reduction"  # many numbers give one: of the whole parameter, or of each row or column
    BLOCKS = "blocks"  # one number per row and how many blocks of rows there are: for each row the mean of its block
    REMEMBER = "remember"  # a history, two flat vectors and a number give the history with one more pair
    OF_HISTORY = "of history"  # a history and a flat vector give a flat vector
    TOTAL = "total"  # a number of each parameter gives one of the host for all of them


@dataclass(frozen=True, slots=True)
class Op:
    """An operation. What asks about a name, as predicates do, has neither meaning nor definition here.

    A call of a reduction has its axis as a further argument: a constant, one of those in `reductions.py`. Without it,
    it is over everything.
    """

    name: str  # in Call.op
    arity: int  # without the axis of a reduction
    shape: Shape
    syntax: str  # as an author writes it; a function with its arguments' names
    doc: str  # for the reference of the language
    meaning: Callable[..., float] | None = None  # on floats and truth values, of a reduction on a list; raises nothing
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
        "mod", 2, Shape.ELEMENTWISE, "a % b", "remainder of a / b for numbers, with the sign of b; NaN if b is 0",
        meaning=ieee.modulo, host_only=True, noun="remainders", sample="remainder",
    ),
    Op(
        "pow", 2, Shape.ELEMENTWISE, "a ** b", "power, NaN for a negative a unless b is whole",
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
        "rsqrt", 1, Shape.ELEMENTWISE, "rsqrt(a)", "1 / sqrt(a), as torch computes it",
        meaning=ieee.rsqrt,
    ),
    Op(
        "cbrt", 1, Shape.ELEMENTWISE, "cbrt(a)", "cube root, with the sign of a",
        meaning=ieee.cbrt, latex=r"\sqrt[3]{#1}",
    ),
    Op(
        "exp", 1, Shape.ELEMENTWISE, "exp(a)", "exponential",
        meaning=ieee.exp, latex=r"\exp\left( #1 \right)",
    ),
    Op(
        "log", 1, Shape.ELEMENTWISE, "log(a)", "natural logarithm, NaN below 0",
        meaning=ieee.log, latex=r"\ln\left( #1 \right)",
    ),
    Op(
        "tanh", 1, Shape.ELEMENTWISE, "tanh(a)", "hyperbolic tangent",
        meaning=ieee.tanh, latex=r"\tanh\left( #1 \right)",
    ),
    Op(
        "atan2", 2, Shape.ELEMENTWISE, "atan2(a, b)", "angle of the point with the height a and the width b",
        meaning=ieee.atan2, sample="arctan2",
    ),
    Op(
        "floor", 1, Shape.ELEMENTWISE, "floor(a)", "the largest whole number that is not above a number",
        meaning=ieee.floor, host_only=True, latex=r"\left\lfloor #1 \right\rfloor",
    ),
    Op(
        "cos", 1, Shape.ELEMENTWISE, "cos(a)", "cosine of a number in radians",
        meaning=ieee.cos, host_only=True, latex=r"\cos\left( #1 \right)",
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
        "sum", 1, Shape.REDUCTION, "sum(x)", "sum over the parameter; of nothing 0",
        meaning=ieee.total, latex=r"\sum #1",
    ),
    Op(
        "mean", 1, Shape.REDUCTION, "mean(x)", "arithmetic mean over the parameter; of nothing NaN",
        meaning=ieee.mean, latex=r"\operatorname{mean}\left( #1 \right)", noun="averages",
    ),
    Op(
        "norm", 1, Shape.REDUCTION, "norm(x)", "Euclidean norm: the root of the sum of squares",
        meaning=ieee.norm, latex=r"\left\lVert #1 \right\rVert_2",
    ),
    Op(
        "max", 1, Shape.REDUCTION, "max(x)", "the largest of the parameter; NaN if one is; of nothing -inf",
        meaning=ieee.largest, latex=r"\max\left( #1 \right)", noun="largest",
    ),
    Op(
        "min", 1, Shape.REDUCTION, "min(x)", "the smallest of the parameter; NaN if one is; of nothing inf",
        meaning=ieee.smallest, latex=r"\min\left( #1 \right)", noun="smallest",
    ),
    Op(
        "rms", 1, Shape.REDUCTION, "rms(x)", "root of the mean of squares",
        defined="sqrt(mean(x * x))", latex=r"\operatorname{rms}\left( #1 \right)", noun="roots",
    ),
    Op(
        "dot", 2, Shape.REDUCTION, "dot(x, y)", "sum of products",
        defined="sum(x * y)", latex=r"\left\langle #1, #2 \right\rangle",
    ),
    Op(
        "mean_of_blocks", 2, Shape.BLOCKS, "mean_of_blocks(x, n)",
        "for each row the mean of one number per row over its block, of which there are n; the last may be shorter",
        latex=r"\operatorname{mean}_{\text{block}}\left( #1, #2 \right)",
    ),
    Op(
        "remember", 4, Shape.REMEMBER, "remember(pairs, s, y, bound)",
        "the history with the pair of a step and the change of the gradient along it, if `dot(s, y) > bound`",
        latex=r"#1 \cup \left( #2, #3 \right) \: \text{if} \: \left\langle #2, #3 \right\rangle > #4",
    ),
    Op(
        "inverse_hessian", 2, Shape.OF_HISTORY, "inverse_hessian(pairs, q)",
        "product of a vector with the inverse Hessian that the history approximates (L-BFGS)",
        latex=r"H_{#1} \left( #2 \right)",
    ),
    Op(
        "total", 1, Shape.TOTAL, "total(a)", "sum of a number over all parameters that have a gradient",
        meaning=ieee.total, latex=r"\sum_{\theta} #1",
    ),
    Op(
        "group_total", 1, Shape.TOTAL, "group_total(a)", "the same sum over those of the parameter group",
        meaning=ieee.total, latex=r"\sum_{\theta \in \text{group}} #1",
    ),
    Op(
        "first", 1, Shape.PREDICATE, "first(s)", "true in the step that creates the state s of this parameter",
        latex=r"\text{this is the first step}",
    ),
    Op(
        "is_tensor", 1, Shape.PREDICATE, "is_tensor(h)",
        "whether a hyperparameter was given as a tensor (in `require`)",
        latex=r"#1 \text{ is a tensor}",
    ),
    Op(
        "is_complex", 1, Shape.PREDICATE, "is_complex(param)", "whether the parameter is complex (in `require`)",
        latex=r"\theta \text{ is complex}",
    ),
    Op(
        "is_sparse", 1, Shape.PREDICATE, "is_sparse(param)", "whether the parameter is a sparse tensor (in `require`)",
        latex=r"\theta \text{ is sparse}",
    ),
    *(
        Op(
            one.name, 1, Shape.OF_PARAM, f"{one.of_matrix or one.name}(param)", one.doc,
            latex=rf"\mathrm{{{one.of_matrix or one.name}}}(\theta)",
        )
        for one in SHAPE_NUMBERS.values()
    ),
)  # fmt: skip

CONSTANTS: dict[str, float] = {"inf": math.inf, "pi": math.pi}  # names that stand for numbers
OPS: dict[str, Op] = {op.name: op for op in _ROWS}
FUNCTIONS: dict[str, Op] = {op.name: op for op in _ROWS if op.syntax.startswith(f"{op.name}(")}  # written as calls

OF_NAMES = (Shape.PREDICATE, Shape.OF_PARAM)  # asked of a name, not of its value
NUMBER_BY_NUMBER = (Shape.ELEMENTWISE, Shape.COMPARISON, Shape.LOGIC, Shape.SELECT)

# What targets need a function for, once composed operations are expanded: of numbers, and of elements.
_OF_VALUES = tuple(op for op in FUNCTIONS.values() if op.shape in NUMBER_BY_NUMBER)
HOST_FUNCTIONS = tuple(op for op in _OF_VALUES if not op.defined)
REDUCTIONS = tuple(op for op in FUNCTIONS.values() if op.shape is Shape.REDUCTION and not op.defined)
OF_BLOCKS = tuple(op for op in FUNCTIONS.values() if op.shape is Shape.BLOCKS)
OF_HISTORIES = tuple(op for op in FUNCTIONS.values() if op.shape in (Shape.REMEMBER, Shape.OF_HISTORY))
TOTALS = tuple(op for op in FUNCTIONS.values() if op.shape is Shape.TOTAL)
ELEMENT_FUNCTIONS = tuple(op for op in _OF_VALUES if (op.whole_on_elements if op.defined else not op.host_only))
