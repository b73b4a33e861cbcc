"""Tables of the C++ backend: how operations are written, which names are reserved, conditions as masks.

In: expressions of a `Fused`. Out: their text in C++. Must not know statements, nor the layout of a kernel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from thetac.codegen.ir.nodes import Call, Const, Expr, Ref
from thetac.codegen.ir.ops import ELEMENT_FUNCTIONS
from thetac.codegen.ir.printer import OPERATORS, Name, Precedence, Row, Table, expression_text, function, functions

# Elements. A function of the language is the one of that name in namespace `ops` of runtime/cpp/elements.h, which says
# why the plain operation is not enough. The exceptions are operators, and two names that C's library uses. Precedences
# are Python's; where C++ has others, arguments get parentheses.
CPP: Table = {
    **{op: OPERATORS[op] for op in ("add", "sub", "mul", "div", "gt", "ge", "lt", "le", "eq", "ne")},
    **functions("ops::", ELEMENT_FUNCTIONS),
    "neg": Row("-{0}", Precedence.SIGN, (Precedence.ATOM,)),  # two signs would be a decrement
    "pow": function("ops::power", 2),
    "sqrt": function("ops::square_root", 1),
    "abs": function("ops::absolute", 1),
    "where": Row("{0} ? {1} : {2}", Precedence.CONDITIONAL, (Precedence.OR, Precedence.OR, Precedence.OR)),
    "and": Row("{0} && {1}", Precedence.AND, (Precedence.AND, Precedence.AND)),
    "or": Row("{0} || {1}", Precedence.OR, (Precedence.OR, Precedence.OR)),
    "not": Row("!{0}", Precedence.SIGN, (Precedence.ATOM,)),
    # Constants, as `_lower` returns them: they have the dtype of the arithmetic.
    "number": Row("Number({0})", Precedence.ATOM, (Precedence.CONDITIONAL,)),
    "infinity": Row("Number(__builtin_inf())", Precedence.ATOM, ()),
    "true": Row("true", Precedence.ATOM, ()),
    "false": Row("false", Precedence.ATOM, ()),
}

_KEYWORDS = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class compl
concept const consteval constexpr constinit const_cast continue co_await co_return co_yield decltype default delete do
double dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable namespace
new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires return
short signed sizeof static static_assert static_cast struct switch template this thread_local throw true try typedef
typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq
"""
_OWN = """
ops thetac thetac_step canonicalize_nan int64 Mask Rule Number STREAMS ENTRIES CONDITIONS access row_conditions Kernel
mask relevant_conditions loaded stored update streams count row i holds
"""
RESERVED = frozenset((_KEYWORDS + _OWN).split())


def safe(name: str) -> str:
    """Return a name of the spec as a variable of a kernel; names that C++ or the kernel uses get a `_`."""
    return f"{name}_" if name in RESERVED or name.endswith("_ptr") or name.startswith("THETAC_") else name


def cpp_text(expression: Expr, at_least: Precedence = Precedence.CONDITIONAL, name: Name = safe) -> str:
    """Return an expression over elements, entries of the scalar row and conditions as C++.

    Args:
        expression: The expression.
        at_least: The precedence that the text needs where it is used; parentheses are added if it is lower.
        name: Gives the text of a name of the spec.
    """
    return expression_text(_lower(expression), CPP, name, at_least)


@dataclass(frozen=True, slots=True)
class MaskTable:
    """A constant of a kernel, with a bit for each stream or condition."""

    name: str
    terms: tuple[str, ...]  # to be joined by `|`; none for 0


def mask_table(name: str, conditions: Sequence[Expr]) -> MaskTable:
    """Return the constant of which each bit is set where its condition holds."""
    terms = []
    for index, condition in enumerate(conditions):
        if condition != Const(False):
            bit = "1" if condition == Const(True) else cpp_text(condition)
            terms.append(f"Mask({bit}) << {index}")
    return MaskTable(name, tuple(terms))


def _lower(expression: Expr) -> Expr:
    """Return the expression in operations of the table: constants have the dtype of the arithmetic."""
    match expression:
        case Const(value=bool() as value):
            return Call("true" if value else "false", ())
        case Const(value=value) if math.isinf(value):
            return Call("infinity", ()) if value > 0 else Call("neg", (Call("infinity", ()),))
        case Const(value=value):
            return Call("number", (Const(float(value)),))
        case Ref():
            return expression
        case Call(op=op, args=args):
            return Call(op, tuple(_lower(argument) for argument in args))
        case _:
            assert_never(expression)
