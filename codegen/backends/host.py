"""Host expressions as Python text.

In: an Expr over numbers and truth values of the host. Out: Python text that computes it in float64 in the order
written. Must not know how elements are computed. `sqrt` is printed as `** 0.5`, which is what torch.optim
computes; `math.sqrt` rounds otherwise for about one double in a thousand.
"""

from __future__ import annotations

from thetac.codegen.ir.nodes import Call, Const, Expr, Ref
from thetac.codegen.ir.printer import OPERATORS, Name, Precedence, Row, Table, expression_text, function

_LOOSE = Precedence.CONDITIONAL

PYTHON: Table = {
    **OPERATORS,
    "pow": Row("{0} ** {1}", Precedence.POWER, (Precedence.ATOM, Precedence.SIGN)),
    "sqrt": Row("{0} ** 0.5", Precedence.POWER, (Precedence.ATOM,)),
    "abs": function("abs", 1),
    "sign": Row("(({0} > 0) - ({0} < 0))", Precedence.ATOM, (Precedence.SUM,)),
    "exp": function("math.exp", 1),
    "log": function("math.log", 1),
    "lerp": Row("{0} + {2} * ({1} - {0})", Precedence.SUM, (Precedence.PRODUCT, Precedence.PRODUCT, Precedence.SIGN)),
    "maximum": function("max", 2),
    "minimum": function("min", 2),
    "clamp": Row("min(max({0}, {1}), {2})", Precedence.ATOM, (_LOOSE, _LOOSE, _LOOSE)),
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
