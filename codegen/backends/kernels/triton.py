"""Write Triton: one kernel per optimizer that does a step of all tensors of a bucket in one launch.

In: a Rule after features and its `Fused` form. Out: the text of `triton_kernels.py`. Every stream is loaded and stored
once, arithmetic is float32 (float64 for float64 parameters), and a kernel compiled for a specialisation contains only
what that one needs. Must not know how numbers of the row are computed.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import jinja2

from thetac.codegen.backends.eager.lines import comment_lines, else_lines, indent
from thetac.codegen.emit import header
from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt, Fused, Pass
from thetac.codegen.ir.nodes import Call, Const, Expr, Ref, Rule
from thetac.codegen.ir.ops import ELEMENT_FUNCTIONS
from thetac.codegen.ir.printer import OPERATORS, Precedence, Row, Table, expression_text, function, functions
from thetac.codegen.passes.naming import safe

INDENT = "    "

# The sizes of a launch. They follow from compiled code and the size of a GPU (docs/triton.md, "Shape"); they were not
# tuned by measuring. A block, the elements of one pass of a program's loop, is 32 * WARPS * BITS_PER_THREAD bits.
WARPS = 4  # per program
BITS_PER_THREAD = 128  # of the parameter: the widest access; twice that takes AdamW from 56 registers to 90
CHUNK = 8192  # elements per program: 4 million elements fill 132 multiprocessors, with 16 passes (float32) for each

# Elements. A function of the language is the one of that name in runtime/triton_ops.py (`ops`), which says why the
# plain operation is not enough. The exceptions are operators, and functions of Triton's that are exact already.
TRITON: Table = {
    **{op: OPERATORS[op] for op in ("add", "sub", "mul", "gt", "ge", "lt", "le", "eq", "ne")},
    **functions("ops.", ELEMENT_FUNCTIONS),
    "div": function("ops.divide", 2),
    "neg": function("ops.negative", 1),
    "abs": function("tl.abs", 1),
    "where": function("tl.where", 3),
    "and": Row("{0} & {1}", Precedence.COMPARISON, (Precedence.SUM, Precedence.SUM)),
    "or": Row("{0} | {1}", Precedence.COMPARISON, (Precedence.SUM, Precedence.SUM)),
    "not": Row("{0} == 0", Precedence.COMPARISON, (Precedence.SUM,)),
    "number": Row(
        "tl.full((), {0}, math)", Precedence.ATOM, (Precedence.CONDITIONAL,)
    ),  # a constant, as `lower` returns it
}
_TAKE_LITERALS = ("where", "maximum", "minimum", "clamp")


def render(rule: Rule, fused: Fused, environment: jinja2.Environment) -> str:
    """Return the text of `triton_kernels.py`."""
    lowering = _Lowering(fused)
    return environment.get_template("triton_kernels.py.jinja").render(
        header=header(rule.source),
        optimizer=rule.name,
        streams=fused.streams,
        chunk=CHUNK,
        warps=WARPS,
        bits_per_thread=BITS_PER_THREAD,
        row=[safe(entry.name) for entry in fused.row],
        specialisations=[s.name for s in fused.specialisations],
        updates=[lowering.update(index, one) for index, one in enumerate(fused.passes)],
    )


def condition_text(condition: Expr) -> str:
    """Return a condition on specialisations, which are Python's truth values when a kernel is compiled."""
    return expression_text(condition, OPERATORS)


@dataclass(frozen=True, slots=True)
class _Update:
    """The text of one pass, in parts."""

    suffix: str  # of the names of its functions
    loads: list[str]
    body: list[str]
    stores: list[str]


class _Lowering:
    def __init__(self, fused: Fused) -> None:
        self.truths = frozenset(entry.name for entry in fused.row if entry.truth)

    def update(self, index: int, one: Pass) -> _Update:
        """Return the text of the pass of that index."""
        return _Update(
            f"_{index}" if index else "",
            _accesses("{0} = ops.load({1}_ptr + offsets, mask, math)", [(s.name, s.loaded) for s in one.streams]),
            self.block(one.body),
            _accesses("ops.store({1}_ptr + offsets, {0}, mask)", [(s.name, s.stored) for s in one.streams]),
        )

    def block(self, body: Sequence[ElementStmt]) -> list[str]:
        """Return the lines of statements."""
        lines: list[str] = []
        for statement in body:
            match statement:
                case ElementAssign(target=target, value=value):
                    line = f"{safe(target)} = {expression_text(self.lower(value), TRITON, safe)}"
                    lines += [*comment_lines(statement.source, [line]), line]
                case ElementIf(condition=condition, static=static, then=then, orelse=orelse):
                    text = condition_text(condition) if static else expression_text(self.lower(condition), TRITON, safe)
                    if then:
                        lines += [f"if {text}:", *indent(self.block(then))]
                        lines += else_lines(self.block(orelse)) if orelse else []
                    else:
                        lines += [f"if not ({text}):", *indent(self.block(orelse))]
                case _:
                    assert_never(statement)
        return lines

    def lower(self, expression: Expr) -> Expr:
        """Return the expression in operations of the table; constants have the dtype of the arithmetic."""
        match expression:
            case Const():
                return expression
            case Ref(name=name):
                return Call("ne", (expression, Const(0))) if name in self.truths else expression
            case Call(op=op, args=args):
                lowered = tuple(self.lower(argument) for argument in args)
                return Call(
                    op, lowered if op in OPERATORS and op not in ("div", "neg") else _type_constants(op, lowered)
                )
            case _:
                assert_never(expression)


def _accesses(template: str, streams: Sequence[tuple[str, Expr]]) -> list[str]:
    """Return loads or stores of streams, each where its condition holds, those under one condition together.

    In the template, {0} is the variable and {1} the stream, after which the kernel's arguments are named.
    """
    lines: list[str] = []
    last: Expr = Const(True)
    for name, condition in streams:
        if condition == Const(False):
            continue
        access = template.format(safe(name), name)
        if condition == Const(True):
            lines.append(access)
        else:
            if condition != last:
                lines.append(f"if {condition_text(condition)}:")
            lines.append(INDENT + access)
        last = condition
    return lines


def _type_constants(op: str, args: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """Return the arguments of a function with constants that have the dtype of the arithmetic.

    A bare constant would be float32.
    """
    bare = op in _TAKE_LITERALS and not all(isinstance(argument, Const) for argument in args[-2:])
    return tuple(_number(a, bare=bare) if isinstance(a, Const) and not isinstance(a.value, bool) else a for a in args)


def _number(constant: Const, *, bare: bool) -> Expr:
    """Return a constant with the dtype of the arithmetic, or bare where that is allowed and exact."""
    value = float(constant.value)
    exact = abs(value) < 2**128 and struct.unpack("f", struct.pack("f", value)) == (value,)
    return Const(value) if bare and exact else Call("number", (Const(value),))
