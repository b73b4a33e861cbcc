"""Host expressions as Python text.

In: an Expr over numbers and truth values of the host. Out: Python text that computes it in float64 in the order
written. Must not know how elements are computed. `sqrt` is printed as `** 0.5`, which is what torch.optim
computes; `math.sqrt` rounds otherwise for about one double in a thousand. Where Python's operator could raise or
become complex, `guarded` puts a function of runtime/scalar_math.py in its place: a step may not fail midway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import assert_never

from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, Range, Ref, Rule, walk_statements
from thetac.codegen.ir.printer import OPERATORS, Name, Precedence, Row, Table, expression_text, function
from thetac.codegen.passes.analysis import value_ranges
from thetac.codegen.passes.analysis.kinds import infer

_LOOSE = Precedence.CONDITIONAL

# The rows `checked_*` are not of the language: they stand where Python's operator could raise or give a complex number.
PYTHON: Table = {
    **OPERATORS,
    "pow": Row("{0} ** {1}", Precedence.POWER, (Precedence.ATOM, Precedence.SIGN)),
    "sqrt": Row("{0} ** 0.5", Precedence.POWER, (Precedence.ATOM,)),
    "abs": function("abs", 1),
    "checked_div": function("scalar_math.divide", 2),
    "checked_pow": function("scalar_math.power", 2),
    "checked_sqrt": function("scalar_math.sqrt", 1),
    "sign": function("scalar_math.sign", 1),
    "exp": function("scalar_math.exp", 1),
    "log": function("scalar_math.log", 1),
    "lerp": Row("{0} + {2} * ({1} - {0})", Precedence.SUM, (Precedence.PRODUCT, Precedence.PRODUCT, Precedence.SIGN)),
    "maximum": function("scalar_math.maximum", 2),
    "minimum": function("scalar_math.minimum", 2),
    "clamp": Row("scalar_math.minimum(scalar_math.maximum({0}, {1}), {2})", Precedence.ATOM, (_LOOSE, _LOOSE, _LOOSE)),
    "where": Row("{1} if {0} else {2}", Precedence.CONDITIONAL, (Precedence.OR, Precedence.OR, _LOOSE)),
    "first": Row("first_{0}", Precedence.ATOM, (Precedence.ATOM,)),
    "is_tensor": Row("isinstance({0}, torch.Tensor)", Precedence.ATOM, (_LOOSE,)),
}


def python(expression: Expr, name: Name = str, at_least: Precedence = _LOOSE) -> str:
    """The expression as Python text; `name` says how a hyperparameter, state or local is written there."""
    return expression_text(expression, PYTHON, name, at_least)


def negated(expression: Expr) -> Expr:
    """The negation, exact in every rounding: of `a / b` it is `-a / b`."""
    match expression:
        case Call(op="neg", args=(inner,)):
            return inner
        case Call(op="mul" | "div" as op, args=(left, right)):
            return Call(op, (negated(left), right))
        case Const(value=value) if not isinstance(value, bool):
            return Const(-value)
        case Ref() | Const() | Call():
            return Call("neg", (expression,))


def guarded(expression: Expr, known: Mapping[str, Range]) -> Expr:
    """The expression with `checked_*` ops where the operator of Python could fail."""
    match expression:
        case Call(op=op, args=args):
            safe = (
                (op != "div" or value_ranges.is_nonzero(args[1], known))
                and (op != "pow" or value_ranges.is_plain_power(args[0], args[1], known))
                and (op != "sqrt" or value_ranges.bounds(args[0], known).low >= 0)
            )
            return Call(op if safe else f"checked_{op}", tuple(guarded(argument, known) for argument in args))
        case Const() | Ref():
            return expression
        case _:
            assert_never(expression)


def known_numbers(rule: Rule) -> dict[str, Range]:
    """Where the values of the rule's numbers lie at all times: those of a group, and locals that are assigned once."""
    known = value_ranges.of_inputs(rule)
    assigned = [s for s in walk_statements(rule.body) if isinstance(s, Assign)]
    times = Counter(s.target for s in assigned)
    kinds = infer(rule)
    for statement in assigned:
        target = statement.target
        if times[target] == 1 and rule.state(target) is None and kinds[target].is_host_number:
            known[target] = value_ranges.bounds(statement.value, known)
    return known
