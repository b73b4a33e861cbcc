"""C++: one kernel per optimizer that does a step of all tensors of a bucket on the CPU.

In: a Rule after features and its `Fused` form. Out: the text of `kernels.cpp`, from which the system's compiler makes
an object for the dtypes at hand; runtime/cpp/kernel.h holds what all of them share. Conditions, those of the row
included, are constants of a template: no element meets a branch. Where too many of their combinations differ, an object
is made for one value of each specialisation, and what the row decides stays a branch. Must not know how numbers of the
row are computed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import jinja2

from thetac.codegen.backends.eager.lines import commented
from thetac.codegen.emit import header
from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt, Fused, Pass, Stream
from thetac.codegen.ir.nodes import Call, Const, Expr, Ref, Rule, Stmt
from thetac.codegen.ir.ops import ELEMENT_FUNCTIONS
from thetac.codegen.ir.printer import OPERATORS, Precedence, Row, Table, expression_text, function, functions
from thetac.codegen.passes.analysis import boolean_algebra
from thetac.codegen.passes.analysis.combinations import conditions_asked, kernels_are_few
from thetac.codegen.passes.analysis.kinds import infer

INDENT = "    "

# Elements. A function of the language is the one of that name in namespace `ops` of runtime/cpp/elements.h, which says
# why the plain operation does not do. The exceptions are operators, and two names that C's library takes. Precedences
# are Python's; where C++ has others, arguments get parentheses.
CPP: Table = {
    **{op: OPERATORS[op] for op in ("add", "sub", "mul", "div", "gt", "ge", "lt", "le", "eq", "ne")},
    **functions("ops::", ELEMENT_FUNCTIONS),
    "neg": Row("-{0}", Precedence.SIGN, (Precedence.ATOM,)),  # two signs would be a decrement
    "sqrt": function("ops::square_root", 1),
    "abs": function("ops::absolute", 1),
    "where": Row("{0} ? {1} : {2}", Precedence.CONDITIONAL, (Precedence.OR, Precedence.OR, Precedence.OR)),
    "and": Row("{0} && {1}", Precedence.AND, (Precedence.AND, Precedence.AND)),
    "or": Row("{0} || {1}", Precedence.OR, (Precedence.OR, Precedence.OR)),
    "not": Row("!{0}", Precedence.SIGN, (Precedence.ATOM,)),
    # What `_lowered` makes of constants: they have the dtype of the arithmetic.
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
ops thetac thetac_step int64 Mask Rule Number STREAMS ENTRIES CONDITIONS access truths Kernel mask asked loaded stored
update streams count row i holds
"""
RESERVED = frozenset((_KEYWORDS + _OWN).split())


def render(rule: Rule, fused: Fused, environment: jinja2.Environment) -> str:
    """The text of `kernels.cpp`."""
    lowering = _Lowering(rule, fused)
    updates = [lowering.update(index, one) for index, one in enumerate(fused.passes)]
    return environment.get_template("kernels.cpp.jinja").render(
        header=header(rule.source),
        optimizer=rule.name,
        streams=fused.streams,
        entries=len(fused.row),
        separate=lowering.separate,
        conditions=[safe(name) for name in lowering.conditions],
        truths=lowering.truths(),
        tables=[lowering.asked(), *(table for update in updates for table in update.tables)],
        numbers=lowering.numbers(),
        updates=updates,
    )


def safe(name: str) -> str:
    """A name of the spec as a variable of a kernel."""
    return f"{name}_" if name in RESERVED or name.endswith("_ptr") or name.startswith("THETAC_") else name


def condition_text(condition: Expr) -> str:
    """A condition on what holds."""
    return expression_text(_lowered(condition), CPP, safe)


@dataclass(frozen=True, slots=True)
class _MaskTable:
    """A constant of a kernel: a bit for each of some things."""

    name: str
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Update:
    """The text of one pass, in parts."""

    name: str  # of the function that runs it
    tables: tuple[_MaskTable, ...]
    pointers: list[str]
    loads: list[str]
    body: list[str]
    stores: list[str]


class _Lowering:
    def __init__(self, rule: Rule, fused: Fused) -> None:
        self.fused = fused
        self.kinds = infer(rule)
        self.separate = not kernels_are_few(fused)
        truths = {entry.name: index for index, entry in enumerate(fused.row) if entry.truth}
        self.entries = {} if self.separate else truths
        # In the order of their bits: what a group decides, as in the schema, then what a row decides.
        self.conditions = (*(one.name for one in fused.specialisations), *self.entries)

    def truths(self) -> list[str]:
        first = len(self.fused.specialisations)
        return [f"mask |= Mask(row[{index}] != 0) << {first + i};" for i, index in enumerate(self.entries.values())]

    def numbers(self) -> list[str]:
        lines = []
        for index, entry in enumerate(self.fused.row):
            if not entry.truth:
                lines.append(f"const Number {safe(entry.name)} = row[{index}];")
            elif self.separate:
                lines.append(f"const bool {safe(entry.name)} = row[{index}] != 0;")
        return lines

    def asked(self) -> _MaskTable:
        asked = {} if self.separate else conditions_asked(self.fused.passes, self.conditions)
        return _mask_table("asked", [boolean_algebra.expression(when) for when in asked.values()])

    def update(self, index: int, one: Pass) -> _Update:
        """Return the text of the pass of that index."""
        suffix = f"_{index}" if index else ""
        tables = (
            _mask_table(f"loaded{suffix}", [stream.loaded for stream in one.streams]),
            _mask_table(f"stored{suffix}", [stream.stored for stream in one.streams]),
        )
        streams = one.streams
        return _Update(
            f"update{suffix}", tables, _pointers(streams), _loads(streams), self._body(one), _stores(streams)
        )

    def _body(self, one: Pass) -> list[str]:
        known = set(self.fused.streams)
        lines: list[str] = []
        for statement in one.body:
            for name in _assigned(statement):
                if name not in known and isinstance(statement, ElementIf):
                    lines.append(f"{self._type(name)} {safe(name)} = {self._nothing(name)};")
                    known.add(name)
            lines += self._statement(statement, known)
        return lines

    def _statement(self, statement: ElementStmt, known: set[str]) -> list[str]:
        match statement:
            case ElementAssign(target=target, value=value):
                text = f"{safe(target)} = {expression_text(_lowered(value), CPP, safe)}"
                declaration = "" if target in known else f"{self._type(target)} "
                known.add(target)
                return [*_commented(statement.source, text), f"{declaration}{text};"]
            case ElementIf(condition=condition, static=static, then=then, orelse=orelse):
                text = condition_text(condition if then else Call("not", (condition,)))
                constant = " constexpr" if static or not self.separate else ""
                lines = [*_commented(statement.source), f"if{constant} ({text}) {{"]
                lines += [INDENT + line for inner in then or orelse for line in self._statement(inner, known)]
                if then and orelse:
                    others = [line for inner in orelse for line in self._statement(inner, known)]
                    if isinstance(orelse[0], ElementIf) and len(orelse) == 1 and others[0].startswith("if"):
                        return [*lines, f"}} else {others[0]}", *others[1:]]
                    lines += ["} else {", *(INDENT + line for line in others)]
                return [*lines, "}"]
            case _:
                assert_never(statement)

    def _type(self, name: str) -> str:
        return "bool" if self.kinds[name].truth else "Number"

    def _nothing(self, name: str) -> str:
        return "false" if self.kinds[name].truth else "0"


def _pointers(streams: Sequence[Stream]) -> list[str]:
    lines = []
    for index, stream in enumerate(streams):
        if stream.loaded == Const(False) and stream.stored == Const(False):
            continue
        kind = "Number*" if stream.stored != Const(False) else "const Number*"
        lines.append(f"{kind} __restrict {stream.name}_ptr = streams[{index}];")
    return lines


def _loads(streams: Sequence[Stream]) -> list[str]:
    """Every stream as a variable; what is not read starts as 0, and is written before anything reads it."""
    lines = []
    for stream in streams:
        if stream.loaded == Const(True):
            value = f"{stream.name}_ptr[i]"
        elif stream.loaded != Const(False):
            condition = expression_text(_lowered(stream.loaded), CPP, safe, Precedence.OR)
            value = f"{condition} ? {stream.name}_ptr[i] : Number(0)"
        elif stream.stored != Const(False):
            value = "0"
        else:
            continue
        lines.append(f"Number {safe(stream.name)} = {value};")
    return lines


def _stores(streams: Sequence[Stream]) -> list[str]:
    lines = []
    for index, stream in enumerate(streams):
        if stream.stored == Const(False):
            continue
        store = f"{stream.name}_ptr[i] = thetac::kept<thetac::THETAC_DTYPE_{index}>({safe(stream.name)});"
        if stream.stored != Const(True):
            store = f"if constexpr ({condition_text(stream.stored)}) {store}"
        lines.append(store)
    return lines


def _assigned(statement: ElementStmt) -> list[str]:
    """The names that a statement may give a value, in order."""
    match statement:
        case ElementAssign(target=target):
            return [target]
        case ElementIf(then=then, orelse=orelse):
            return [name for inner in (*then, *orelse) for name in _assigned(inner)]
        case _:
            assert_never(statement)


def _lowered(expression: Expr) -> Expr:
    """The expression in ops of the table: constants have the dtype of the arithmetic."""
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
            return Call(op, tuple(_lowered(argument) for argument in args))
        case _:
            assert_never(expression)


def _mask_table(name: str, conditions: Sequence[Expr]) -> _MaskTable:
    terms = []
    for index, condition in enumerate(conditions):
        if condition != Const(False):
            bit = "1" if condition == Const(True) else condition_text(condition)
            terms.append(f"Mask({bit}) << {index}")
    return _MaskTable(name, tuple(terms))


def _commented(source: Stmt, code: str = "") -> list[str]:
    """The spec's line as a comment."""
    return [f"//{line.removeprefix('#')}" for line in commented(source, [code] if code else [])]
