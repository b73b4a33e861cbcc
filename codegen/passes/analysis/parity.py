"""Find which values of an update change sign with the elements that they are computed from.

Where each complex number is a pair of real ones, the sum of a product of two such values is a sum over complex numbers,
but the sum of one of them adds real to imaginary parts.
In: a checked Rule. Out: the parity of each name, and of expressions over them. Must not know what a sum is for.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import assert_never

from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, Ref, Rule, walk_statements
from thetac.codegen.ir.ops import OPS, Shape


class Parity(Enum):
    """What happens to a value if the elements of all tensors change their signs."""

    ZERO = "zero"  # it is 0, or not known yet
    EVEN = "even"  # it stays: a number of the host, a reduction, a product of two odd values
    ODD = "odd"  # a part of it changes sign: an element, times or plus what stays
    UNKNOWN = "unknown"  # another function of elements, such as an exponential


Parities = Mapping[str, Parity]  # of the names that statements assign, of `param`, `grad` and states

_KEEP = ("neg", "sign", "cbrt", "tanh")
_NO_ELEMENTS = (Shape.PREDICATE, Shape.OF_PARAM, Shape.TOTAL, Shape.REDUCTION, Shape.BLOCKS)


def parities(rule: Rule) -> Parities:
    """Return the parity of every name that an update reads; one that is absent is a number of the host."""
    found: dict[str, Parity] = {"param": Parity.ODD, "grad": Parity.ODD}
    found |= {state.name: parity_of(state.init, found) for state in rule.states if not state.value_kind.is_on_host}
    assignments = [one for one in walk_statements(rule.body) if isinstance(one, Assign)]
    found |= {one.target: Parity.ZERO for one in assignments if one.target not in found}
    changed = True
    while changed:  # each round raises a parity, of which there are few
        before = dict(found)
        for one in assignments:
            found[one.target] = _either(found[one.target], parity_of(one.value, found))
        changed = found != before
    return found


def parity_of(expression: Expr, known: Parities) -> Parity:
    """Return the parity of an expression.

    Args:
        expression: Of a checked rule.
        known: Of the names that it reads.
    """
    match expression:
        case Const(value=value):
            return Parity.EVEN if value else Parity.ZERO
        case Ref(name=name):
            return known.get(name, Parity.EVEN)
        case Call(op=op) if OPS[op].shape in _NO_ELEMENTS:
            return Parity.EVEN
        case Call():
            return _of_call(expression, [parity_of(argument, known) for argument in expression.args])
        case _:
            assert_never(expression)


def _of_call(call: Call, parts: list[Parity]) -> Parity:
    match call.op:
        case "add" | "sub":
            return _sum(parts)
        case "lerp":
            return _sum([parts[0], product(parts[2], _sum(parts[:2]))])
        case "mul" | "div":
            return product(parts[0], parts[1])
        case "where" if parts[0] in (Parity.EVEN, Parity.ZERO):
            return _sum(parts[1:])
        case "abs":
            return Parity.EVEN if parts[0] is Parity.ODD else parts[0]
        case "pow" if isinstance(exponent := call.args[1], Const) and exponent.value % 1 == 0:
            return product(parts[0], parts[0]) if exponent.value % 2 == 0 else parts[0]
        case op if op in _KEEP:
            return parts[0]
        case _:
            return Parity.EVEN if set(parts) <= {Parity.EVEN, Parity.ZERO} else Parity.UNKNOWN


def product(left: Parity, right: Parity) -> Parity:
    """Return the parity of a product, or of a quotient."""
    both = {left, right}
    if Parity.ZERO in both or Parity.UNKNOWN in both:
        return Parity.ZERO if Parity.ZERO in both else Parity.UNKNOWN
    return Parity.EVEN if left is right else Parity.ODD


def _sum(parts: list[Parity]) -> Parity:
    """Return the parity of a sum, a part of which is odd if one of its terms is."""
    return next((one for one in (Parity.UNKNOWN, Parity.ODD, Parity.EVEN) if one in parts), Parity.ZERO)


def _either(one: Parity, other: Parity) -> Parity:
    """Return the parity of a name that has its value from one of two assignments."""
    if one is Parity.ZERO or one is other:
        return other
    return one if other is Parity.ZERO else Parity.UNKNOWN
