"""Find numbers that torch's operations might refuse, because the dtype of a tensor cannot hold them.

In: the host's part of a Rule, statement by statement. Out: bounds for the magnitude of its numbers, at any step count
and for any scalar state, as long as hyperparameters have ordinary magnitudes; and trees in which a number without such
a bound is fitted into the dtype. torch never refuses zeros, infinities and NaN. Only other magnitudes matter, so signs
are not followed, and dividing by something that may be 0 is allowed. The runtime handles hyperparameters beyond the
ordinary (`runtime/implementations/rehearsal.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from thetac.codegen.backends.eager.op_trees import Apply, Leaf, Number, Tree
from thetac.codegen.backends.eager.torch_ops import TORCH_OPS
from thetac.codegen.ir.nodes import Call, Const, Expr, HalfPrecision, Range, Ref, Rule, StateKind, names_read
from thetac.codegen.passes.analysis import value_ranges
from thetac.codegen.passes.analysis.kinds import Kinds, kind_of
from thetac.shape_numbers import VARIABLES

_TINY = 5e-324
_LAST_BIT = 2.0**-54  # half of it, relative to the number
_FLOAT16, _FLOAT32 = 65504.0 * 0.99, 3.38e38 * 0.99  # their largest numbers, and bfloat16's, less all roundings


@dataclass(frozen=True, slots=True)
class Magnitude:
    """Bounds of the magnitude of a number, unless it is 0, infinite or NaN."""

    low: float
    high: float
    is_never_zero: bool = False

    def __or__(self, other: Magnitude) -> Magnitude:
        never = self.is_never_zero and other.is_never_zero
        return Magnitude(min(self.low, other.low), max(self.high, other.high), never)


ORDINARY = Magnitude(1e-30, 1e4)  # of hyperparameters, the same as in runtime/implementations/rehearsal.py
_ANY = Magnitude(_TINY, math.inf)


class Magnitudes:
    """The magnitudes of a rule's numbers, updated statement by statement in order."""

    def __init__(self, rule: Rule, kinds: Kinds, known: Mapping[str, Range]) -> None:
        self.kinds = kinds
        self.known = known
        self.narrowest = _FLOAT16 if rule.half_precision is HalfPrecision.NATIVE else _FLOAT32
        self.refusable: set[str] = set()  # names read by numbers that torch accepts within their bounds only
        self.names = dict.fromkeys(rule.names_of(StateKind.COUNTER), Magnitude(1.0, 2.0**53, True))
        self.names |= dict.fromkeys(VARIABLES, Magnitude(2.0**-53, 2.0**53))
        for hyperparameter in rule.hyperparameters:
            self.names |= {name: _of_range(known.get(name)) for name in hyperparameter.value_names}

    def assign(self, target: str, value: Expr) -> None:
        """Record that a host scalar has another value."""
        found = self.of(value)
        # What is stored in a scalar state has been rounded.
        self.names[target] = Magnitude(max(found.low * 0.999, _TINY), found.high * 1.001)

    def join(self, other: Mapping[str, Magnitude]) -> None:
        """Merge the knowledge at the end of this side of a branch with `other`, that of the other side."""
        self.names = {name: other[name] | self.names[name] for name in other.keys() & self.names.keys()}

    def fit(self, number: Expr, *, late: bool = False) -> Expr:
        """Return a host scalar, fitted into the dtype if it may be too large.

        Args:
            number: The number, of the host or per parameter; any other expression is returned unchanged.
            late: Whether torch refuses only numbers beyond float32.
        """
        limit = _FLOAT32 if late else self.narrowest
        kind = kind_of(number, self.kinds)
        if kind.dims is not None or kind.truth:
            return number
        if self.of(number).high <= limit:
            self.refusable.update(names_read(number))
            return number
        return Call("fitting", (number,))

    def fit_tree(self, tree: Tree) -> Tree:
        """Return the tree with fitted numbers where torch would refuse others."""
        match tree:
            case Number() | Leaf():
                return tree
            case Apply(op=op, args=args):
                row = TORCH_OPS[op]
                fitted: list[Tree] = []
                for position, argument in enumerate(args):
                    if isinstance(argument, Number) and position in row.refuses:
                        fitted.append(Number(self.fit(argument.value, late=row.refuses_late)))
                    else:
                        fitted.append(self.fit_tree(argument))
                return replace(tree, args=tuple(fitted))
            case _:
                assert_never(tree)

    def of(self, expression: Expr) -> Magnitude:
        """Return the magnitude of a host scalar."""
        match expression:
            case Const(value=value):
                ordinary = bool(value) and math.isfinite(value)
                return Magnitude(abs(value), abs(value), True) if ordinary else Magnitude(1.0, 1.0)
            case Ref(name=name):
                return self.names.get(name, _ANY)
            case Call(op=op, args=args):
                return self._call(op.removeprefix("checked_"), args)
            case _:
                assert_never(expression)

    def _call(self, op: str, args: tuple[Expr, ...]) -> Magnitude:
        match op, [self.of(argument) for argument in args]:
            case "neg" | "abs", [a]:
                return a
            case "add" | "sub", [a, b]:
                return _sum(a, b)
            case "mul", [a, b]:
                return _product(a, b)
            case "div", [a, b]:
                return _product(a, Magnitude(1 / b.high, min(1 / max(b.low, _TINY * 2**52), math.inf)))
            case "mod", [a, b]:
                return Magnitude(_TINY, max(a.high, b.high))
            case "floor", [a]:
                return Magnitude(1.0, a.high + 1)
            case "cos" | "tanh", [_]:
                return Magnitude(_TINY, 1.0)
            case "atan2", [_, _]:
                return Magnitude(_TINY, math.pi)
            case "cbrt", [a]:
                return Magnitude(math.cbrt(a.low), math.cbrt(a.high))
            case "rsqrt", [a]:
                return Magnitude(max(1 / math.sqrt(a.high), _TINY), 1 / math.sqrt(max(a.low, _TINY)))
            case "sqrt", [a]:
                return Magnitude(math.sqrt(a.low), math.sqrt(a.high))
            case "pow", [a, _]:
                return self._power(a, args[1])
            case "sign", [_]:
                return Magnitude(1.0, 1.0)
            case "log", [_]:
                return Magnitude(_TINY, 745.0)
            case "lerp", [a, b, weight]:
                return _sum(a, _product(weight, _sum(b, a)))
            case "maximum" | "minimum", [a, b]:
                return a | b
            case "clamp", [a, low, high]:
                return a | low | high
            case "where", [_, a, b]:
                return a | b
            case _:
                return _ANY

    def _power(self, base: Magnitude, exponent: Expr) -> Magnitude:
        match exponent:
            case Const(value=number) if 0 < number <= 4 and base.high < 1e50:
                return Magnitude(max(base.low**number, _TINY), base.high**number)
            case _ if base.high <= 1 and value_ranges.bounds(exponent, self.known).low >= 0:
                return Magnitude(_TINY, 1.0)
            case _:
                return _ANY


def _of_range(known: Range | None) -> Magnitude:
    """Return the magnitude of a hyperparameter: the ordinary one, bounded by its range."""
    reach = math.inf if known is None else max(abs(known.low), abs(known.high))
    return Magnitude(ORDINARY.low, min(ORDINARY.high, reach))


def _sum(a: Magnitude, b: Magnitude) -> Magnitude:
    """Return the magnitude of a sum.

    Nearly equal numbers cancel, but the rest is not smaller than the last bit of the larger lower bound.
    """
    low = max(a.low, b.low) * _LAST_BIT
    low = low if a.is_never_zero else min(low, b.low)
    low = low if b.is_never_zero else min(low, a.low)
    return Magnitude(max(low, _TINY), a.high + b.high)


def _product(a: Magnitude, b: Magnitude) -> Magnitude:
    high = a.high * b.high
    return Magnitude(max(a.low * b.low, _TINY), math.inf if math.isnan(high) else high)
