"""Triton: one kernel per optimizer that does a step of all tensors of a bucket in one launch.

In: a Rule after features and its `Fused` form. Out: the text of `triton_kernels.py`. Every stream is loaded and stored
once, arithmetic is float32 (float64 for float64 parameters), and what is not needed under a specialisation is not
there when it is compiled. Must not know how numbers of the row are computed.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import assert_never

import jinja2

from thetac.codegen.backends.eager.lines import commented, indented, other_side
from thetac.codegen.emit import header
from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt, Fused, Stream
from thetac.codegen.ir.nodes import Call, Const, Expr, Ref, Rule
from thetac.codegen.ir.ops import ELEMENT_FUNCTIONS
from thetac.codegen.ir.printer import OPERATORS, Precedence, Row, Table, expression_text, function, functions
from thetac.codegen.passes.naming import safe

INDENT = "    "
WARPS = 4
CHUNK = 8192  # elements per program: from a few million elements on there are enough programs to fill a GPU

# Elements. A function of the language is the one of that name in runtime/triton_ops.py (`ops`), which says why the
# plain operation does not do. The exceptions are operators, and what Triton has as it should be.
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
    ),  # what `lowered` makes of constants
}
_TAKE_LITERALS = ("where", "maximum", "minimum", "clamp")


def render(rule: Rule, fused: Fused, environment: jinja2.Environment) -> str:
    """The text of `triton_kernels.py`."""
    lowering = _Lowering(fused)
    return environment.get_template("triton_kernels.py.jinja").render(
        header=header(rule.source),
        optimizer=rule.name,
        streams=[stream.name for stream in fused.streams],
        chunk=CHUNK,
        warps=WARPS,
        row=[safe(entry.name) for entry in fused.row],
        specialisations=[s.name for s in fused.specialisations],
        loads=lowering.accesses("{0} = ops.load({1}_ptr + offsets, mask, math)", store=False),
        body=lowering.block(fused.body),
        stores=lowering.accesses("ops.store({1}_ptr + offsets, {0}, mask)", store=True),
    )


def condition_text(condition: Expr) -> str:
    """A condition on specialisations, which are Python's truth values when a kernel is compiled."""
    return expression_text(condition, OPERATORS)


class _Lowering:
    def __init__(self, fused: Fused) -> None:
        self.streams = fused.streams
        self.truths = frozenset(entry.name for entry in fused.row if entry.truth)

    def accesses(self, template: str, *, store: bool) -> list[str]:
        """Loads or stores, each where it is needed, those under one condition together."""
        lines: list[str] = []
        last: Expr = Const(True)
        for stream in self.streams:
            condition = stream.stored if store else stream.loaded
            if condition == Const(False):
                continue
            if condition == Const(True):
                lines.append(_access(template, stream))
            else:
                if condition != last:
                    lines.append(f"if {condition_text(condition)}:")
                lines.append(INDENT + _access(template, stream))
            last = condition
        return lines

    def block(self, body: Sequence[ElementStmt]) -> list[str]:
        lines: list[str] = []
        for statement in body:
            match statement:
                case ElementAssign(target=target, value=value):
                    line = f"{safe(target)} = {expression_text(self.lowered(value), TRITON, safe)}"
                    lines += [*commented(statement.source, [line]), line]
                case ElementIf(condition=condition, static=static, then=then, orelse=orelse):
                    text = (
                        condition_text(condition) if static else expression_text(self.lowered(condition), TRITON, safe)
                    )
                    if then:
                        lines += [f"if {text}:", *indented(self.block(then))]
                        lines += other_side(self.block(orelse)) if orelse else []
                    else:
                        lines += [f"if not ({text}):", *indented(self.block(orelse))]
                case _:
                    assert_never(statement)
        return lines

    def lowered(self, expression: Expr) -> Expr:
        """The expression in ops of the table, with constants that have the dtype of the arithmetic."""
        match expression:
            case Const():
                return expression
            case Ref(name=name):
                return Call("ne", (expression, Const(0))) if name in self.truths else expression
            case Call(op=op, args=args):
                lowered = tuple(self.lowered(argument) for argument in args)
                return Call(op, lowered if op in OPERATORS and op not in ("div", "neg") else _with_numbers(op, lowered))
            case _:
                assert_never(expression)


def _access(template: str, stream: Stream) -> str:
    """A load or store: {0} is the variable, {1} the stream as the kernel's arguments are named after it."""
    return template.format(safe(stream.name), stream.name)


def _with_numbers(op: str, args: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """Arguments of a function: a constant has no dtype there, and a bare one would be float32."""
    bare = op in _TAKE_LITERALS and not all(isinstance(argument, Const) for argument in args[-2:])
    return tuple(_number(a, bare=bare) if isinstance(a, Const) and not isinstance(a.value, bool) else a for a in args)


def _number(constant: Const, *, bare: bool) -> Expr:
    value = float(constant.value)
    exact = abs(value) < 2**128 and struct.unpack("f", struct.pack("f", value)) == (value,)
    return Const(value) if bare and exact else Call("number", (Const(value),))
