r"""Expressions as LaTeX.

In: an Expr, and how each name reads at that point of a step. Out: LaTeX for MathJax, KaTeX or LaTeX itself. Terms are
arranged as one writes them by hand, equal over the real numbers. A function is set as its row of the registry says: by
its `latex`, else by its definition, else by its name; a reduction of each row or column has that as a subscript. This
module must not know of statements and steps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import assert_never

from thetac.codegen.backends.documentation.symbols import with_subscript, words
from thetac.codegen.ir.definitions import expanded
from thetac.codegen.ir.nodes import Call, Const, Expr, Ref
from thetac.codegen.ir.ops import FUNCTIONS, OPS, Op, Shape
from thetac.codegen.ir.printer import Precedence, Row, Table
from thetac.codegen.ir.reductions import is_reduction, split_axis, written_axis

_LOOSE = Precedence.CONDITIONAL
_SUM, _PRODUCT, _SIGN, _ATOM = Precedence.SUM, Precedence.PRODUCT, Precedence.SIGN, Precedence.ATOM


def _comparison(sign: str) -> Row:
    return Row(f"{{0}} {sign} {{1}}", Precedence.COMPARISON, (_SUM, _SUM))


def _function(op: Op, subscript: str = "") -> Row:
    r"""Return the row of a function: `\mathrm{name}\left( a \right)` unless the registry says more."""
    arguments = [f"#{number}" for number in range(1, op.arity + 1)]
    named = rf"\mathrm{{{words(op.name, chr(92) + ',')}}}\left( {', '.join(arguments)} \right)"
    latex = _with_subscript(op.latex or named, subscript) if subscript else op.latex or named
    template = re.sub(r"#(\d)", lambda found: f"{{{int(found[1]) - 1}}}", latex.replace("{", "{{").replace("}", "}}"))
    if re.search(r"#\d$", latex):  # nothing closes the last argument: `\sum a`
        return Row(template, Precedence.COMPARISON, (*(_LOOSE,) * (op.arity - 1), _PRODUCT))
    return Row(template, _ATOM, (_LOOSE,) * op.arity)


def _with_subscript(latex: str, subscript: str) -> str:
    """Return the LaTeX of a function with a subscript: of its name, or of what closes its arguments."""
    name = re.match(r"\\(?!left\b)[a-z]+(\{\w+\})?", latex)
    if name is None:
        return with_subscript(latex, subscript)
    return f"{name[0]}_{{{subscript}}}{latex[name.end() :]}"


# `{{` and `}}` are the braces of LaTeX.
OPERATORS: Table = {
    "add": Row("{0} + {1}", _SUM, (_SUM, _SUM)),
    "sub": Row("{0} - {1}", _SUM, (_SUM, _PRODUCT)),
    "mul": Row("{0} {1}", _PRODUCT, (_PRODUCT, _PRODUCT)),
    "div": Row(r"\frac{{{0}}}{{{1}}}", Precedence.POWER, (_LOOSE, _LOOSE)),
    "mod": Row(r"{0} \bmod {1}", _SUM, (_PRODUCT, _PRODUCT)),
    "pow": Row("{0}^{{{1}}}", Precedence.POWER, (_ATOM, _LOOSE)),
    "neg": Row("-{0}", _SIGN, (_PRODUCT,)),
    "gt": _comparison(">"),
    "ge": _comparison(r"\ge"),
    "lt": _comparison("<"),
    "le": _comparison(r"\le"),
    "eq": _comparison("="),
    "ne": _comparison(r"\ne"),
    "and": Row(r"{0} \text{{ and }} {1}", Precedence.AND, (Precedence.AND, Precedence.AND)),
    "or": Row(r"{0} \text{{ or }} {1}", Precedence.OR, (Precedence.OR, Precedence.OR)),
    "not": Row(r"\text{{not }} {0}", Precedence.NOT, (Precedence.NOT,)),
}

_OF_PARAM = [op for op in OPS.values() if op.shape is Shape.OF_PARAM]
LATEX: Table = {**OPERATORS, **{op.name: _function(op) for op in (*FUNCTIONS.values(), *_OF_PARAM)}}

# By axis.
REDUCTIONS: Mapping[int, Table] = {
    axis: {op.name: _function(op, subscript) for op in FUNCTIONS.values() if op.shape is Shape.REDUCTION}
    for axis, subscript in ((-1, r"\text{row}"), (-2, r"\text{column}"))
}


def formula(expression: Expr, read: Callable[[str], str], at_least: Precedence = _LOOSE) -> str:
    """Return an expression as LaTeX.

    Args:
        expression: what to set.
        read: gives the symbol of a name.
        at_least: the text is put in parentheses if it binds looser.
    """
    text, precedence = _set(arranged(expression), read)
    return text if precedence >= at_least else rf"\left( {text} \right)"


def _set(expression: Expr, read: Callable[[str], str]) -> tuple[str, Precedence]:
    match expression:
        case Const(value=value):
            return _number(value)
        case Ref(name=name):
            return read(name), _ATOM
        case Call(op="where"):
            return _cases(expression, read), _SUM
        case Call(op="pow", args=(base, exponent)) if exponent == Const(0.5):
            return _set(Call("sqrt", (base,)), read)
        case Call(op=op) if OPS[op].defined and not OPS[op].latex:
            return _set(arranged(expanded(expression)), read)
        case Call(op=op) if is_reduction(expression):
            operands, axis = split_axis(expression)
            row = LATEX[op] if axis is None else REDUCTIONS[written_axis(axis)][op]
            texts = [formula(operand, read, need) for operand, need in zip(operands, row.needs, strict=True)]
            return row.template.format(*texts), row.precedence
        case Call(op=op, args=args):
            row = LATEX[op]
            texts = [formula(argument, read, need) for argument, need in zip(args, row.needs, strict=True)]
            if op == "mul" and texts[1][0] in "-.0123456789":
                return rf"{texts[0]} \cdot {texts[1]}", row.precedence
            if op == "pow" and ("^" in texts[0] or "'" in texts[0]):
                texts[0] = f"{{{texts[0]}}}"  # LaTeX takes no second superscript
            return row.template.format(*texts), row.precedence
        case _:
            assert_never(expression)


def _cases(choice: Expr, read: Callable[[str], str]) -> str:
    rows = []
    while isinstance(choice, Call) and choice.op == "where":
        condition, chosen, choice = choice.args
        rows.append(rf"{formula(chosen, read)} & \text{{if }} {formula(condition, read)}")
    rows.append(rf"{formula(choice, read)} & \text{{otherwise}}")
    listed = r" \\ ".join(rows)
    return rf"\begin{{cases}} {listed} \end{{cases}}"


def arranged(expression: Expr) -> Expr:
    """Return the expression with its outermost operation as one writes it by hand; equal over the real numbers."""
    match expression:
        case Call(op="lerp", args=(a, b, Call(op="sub", args=(Const(value=1), kept)))):
            return Call("add", (Call("mul", (kept, a)), Call("mul", (Call("sub", (Const(1), kept)), b))))
        case Call(op="lerp", args=(a, b, weight)):
            return Call("add", (Call("mul", (Call("sub", (Const(1), weight)), a)), Call("mul", (weight, b))))
        case Call(op="rsqrt", args=(a,)):
            return Call("div", (Const(1), Call("sqrt", (a,))))
        case Call(op="mul", args=(Call(op="mul", args=(factor, a)), b)) if a == b and isinstance(a, Ref):
            return Call("mul", (factor, Call("pow", (a, Const(2)))))  # c * g * g
        case Call(op="mul", args=(a, b)) if a == b:
            return Call("pow", (a, Const(2)))
        case Call(op="div", args=(Call(op="mul", args=(Call(op="div") as factor, a)), b)):
            return Call("mul", (factor, Call("div", (a, b))))  # lr / c * m / d
        case _:
            return expression


def _number(value: float | int | bool) -> tuple[str, Precedence]:
    if isinstance(value, bool):
        return rf"\text{{{str(value).lower()}}}", _ATOM
    text = repr(value).removesuffix(".0")
    sign = _SIGN if value < 0 else _ATOM
    if abs(value) == math.pi:
        return text.replace(repr(math.pi), r"\pi"), sign
    if "inf" in text or "nan" in text:
        return text.replace("inf", r"\infty").replace("nan", r"\text{NaN}"), sign
    digits, _, exponent = text.partition("e")
    if not exponent:
        return digits, sign
    power = f"10^{{{int(exponent)}}}"
    return (power, Precedence.POWER) if digits == "1" else (rf"{digits} \cdot {power}", min(sign, _PRODUCT))
