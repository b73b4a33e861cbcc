"""Expressions of host scalars as Python text.

In: an Expr over host scalars and truth values. Out: Python text that computes it in float64 in the order written. Must
not know how elements are computed. `x ** 0.5` stays a power, which rounds otherwise than `sqrt(x)` for about one double
in a thousand; torch's optimizers have both. Where Python's operator could raise or become complex, `guarded` calls a
function of runtime/scalar_math.py instead: a step may not fail midway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import assert_never

from thetac.codegen.ir.nodes import Assign, Call, Const, Expr, Range, Ref, Rule, walk_statements
from thetac.codegen.ir.ops import HOST_FUNCTIONS
from thetac.codegen.ir.printer import OPERATORS, Name, Precedence, Row, Table, expression_text, function, functions
from thetac.codegen.passes.analysis import value_ranges
from thetac.codegen.passes.analysis.kinds import infer

_LOOSE = Precedence.CONDITIONAL

# A function of the language is the one of that name in runtime/scalar_math.py. The exceptions are what Python writes
# without a call, and `checked_*`, which are not of the language: they are used where Python's operator could raise or
# give a complex number.
PYTHON: Table = {
    **OPERATORS,
    **functions("scalar_math.", HOST_FUNCTIONS),
    "abs": function("abs", 1),  # cannot fail, and takes tensors too
    "lerp": Row("{0} + {2} * ({1} - {0})", Precedence.SUM, (Precedence.PRODUCT, Precedence.PRODUCT, Precedence.SIGN)),
    "where": Row("{1} if {0} else {2}", Precedence.CONDITIONAL, (Precedence.OR, Precedence.OR, _LOOSE)),
    "first": Row("first_{0}", Precedence.ATOM, (Precedence.ATOM,)),
    "is_tensor": Row("isinstance({0}, torch.Tensor)", Precedence.ATOM, (_LOOSE,)),
    "checked_div": function("scalar_math.divide", 2),
    "checked_mod": function("scalar_math.modulo", 2),
    "checked_pow": function("scalar_math.power", 2),
}

# The functions of runtime/tensors.py, which take numbers and tensors alike, by the row of `PYTHON` that each replaces.
TENSOR_FUNCTIONS: Mapping[str, str] = {
    **{op.name: op.name for op in HOST_FUNCTIONS if op.name not in ("abs", "lerp")},  # Python's own take tensors
    "checked_div": "divide",
    "checked_mod": "modulo",
    "checked_pow": "power",
    "and": "both",
    "or": "either",
    "not": "negation",
}


def on_tensors(module: str) -> Table:
    """Return the table for expressions whose numbers and truth values may be tensors.

    Args:
        module: the prefix of the functions of runtime/tensors.py: `tensors.`, or nothing where they are imported.
    """
    return {
        **PYTHON,
        **{op: function(f"{module}{name}", len(PYTHON[op].needs)) for op, name in TENSOR_FUNCTIONS.items()},
    }


def python(expression: Expr, name: Name = str, at_least: Precedence = _LOOSE) -> str:
    """Return the expression as Python text.

    Args:
        expression: over host scalars and truth values.
        name: gives the text of a hyperparameter, state or local.
        at_least: the text is put in parentheses if it binds looser.
    """
    return expression_text(expression, PYTHON, name, at_least)


def negated(expression: Expr) -> Expr:
    """Return the negated expression, exact in every rounding: of `a / b` it is `-a / b`."""
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
    """Return the expression with `checked_*` operations where Python's operator could fail, given known ranges."""
    match expression:
        case Call(op=op, args=args):
            safe = (op not in ("div", "mod") or value_ranges.is_nonzero(args[1], known)) and (
                op != "pow" or value_ranges.is_plain_power(args[0], args[1], known)
            )
            return Call(op if safe else f"checked_{op}", tuple(guarded(argument, known) for argument in args))
        case Const() | Ref():
            return expression
        case _:
            assert_never(expression)


def known_numbers(rule: Rule) -> dict[str, Range]:
    """Return the ranges of the rule's numbers that hold at all times: of a group, and of locals assigned once."""
    known = value_ranges.of_inputs(rule)
    assigned = [s for s in walk_statements(rule.body) if isinstance(s, Assign)]
    times = Counter(s.target for s in assigned)
    kinds = infer(rule)
    kept = {one.name for one in rule.kept}
    for statement in assigned:
        target = statement.target
        if times[target] == 1 and target not in kept and kinds[target].dims is None and not kinds[target].truth:
            known[target] = value_ranges.bounds(statement.value, known)
    return known
