"""Write C++: one kernel per optimizer that does a step of all tensors of a bucket on the CPU.

In: a Rule after features and its `Fused` form. Out: the text of `kernels.cpp`, from which the system's compiler makes
an object for the dtypes at hand; runtime/cpp/kernel.h contains what all kernels share. Conditions, those of the scalar
row included, are template constants: no element meets a branch. Where too many of their combinations differ, an object
is made for one value of each specialisation, and what the scalar row decides stays a branch. Must not know how the
scalar row is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import jinja2

from thetac.codegen.backends.eager.lines import comment_lines
from thetac.codegen.backends.kernels.cpp_tables import MaskTable, cpp_text, mask_table, safe
from thetac.codegen.emit import header
from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt, Fused, Pass, Stream, walk_elements
from thetac.codegen.ir.nodes import Call, Const, Rule, Stmt
from thetac.codegen.ir.printer import Precedence
from thetac.codegen.passes.analysis import boolean_algebra
from thetac.codegen.passes.analysis.combinations import kernels_are_few, relevant_conditions

INDENT = "    "
_LONGEST = 120 - len(4 * INDENT)  # of a line in the body of a kernel


def render(rule: Rule, fused: Fused, environment: jinja2.Environment) -> str:
    """Return the text of `kernels.cpp`."""
    lowering = _Lowering(fused)
    updates = [lowering.update(index, one) for index, one in enumerate(fused.passes)]
    return environment.get_template("kernels.cpp.jinja").render(
        header=header(rule.source),
        optimizer=rule.name,
        streams=fused.streams,
        entries=len(fused.row),
        separate=lowering.separate,
        conditions=[safe(name) for name in lowering.conditions],
        row_conditions=lowering.row_conditions(),
        tables=[lowering.relevant_conditions(), *(table for update in updates for table in update.tables)],
        numbers=lowering.numbers(),
        updates=updates,
    )


@dataclass(frozen=True, slots=True)
class _Update:
    """The text of one pass, in parts."""

    name: str  # of the function that runs it
    tables: tuple[MaskTable, ...]
    pointers: list[str]
    loads: list[str]
    body: list[str]
    stores: list[str]


class _Lowering:
    """Writes the parts of the text, line by line."""

    def __init__(self, fused: Fused) -> None:
        self.fused = fused
        self.separate = not kernels_are_few(fused)
        truths = {entry.name: index for index, entry in enumerate(fused.row) if entry.truth}
        self.entries = {} if self.separate else truths
        # In the order of their bits: those that a group decides, as in the schema, then those that a row decides.
        self.conditions = (*(one.name for one in fused.specialisations), *self.entries)

    def row_conditions(self) -> list[str]:
        """Return the lines that read conditions from a scalar row into a mask."""
        first = len(self.fused.specialisations)
        return [f"mask |= Mask(row[{index}] != 0) << {first + i};" for i, index in enumerate(self.entries.values())]

    def numbers(self) -> list[str]:
        """Return the lines that read the numbers of a scalar row."""
        lines = []
        for index, entry in enumerate(self.fused.row):
            if not entry.truth:
                lines.append(f"const Number {safe(entry.name)} = row[{index}];")
            elif self.separate:
                lines.append(f"const bool {safe(entry.name)} = row[{index}] != 0;")
        return lines

    def relevant_conditions(self) -> MaskTable:
        """Return the constant of the conditions that make a difference, given the others."""
        relevant = {} if self.separate else relevant_conditions(self.fused.passes, self.conditions)
        return mask_table("relevant_conditions", [boolean_algebra.expression(when) for when in relevant.values()])

    def update(self, index: int, one: Pass) -> _Update:
        """Return the text of the pass of that index."""
        suffix = f"_{index}" if index else ""
        tables = (
            mask_table(f"loaded{suffix}", [stream.loaded for stream in one.streams]),
            mask_table(f"stored{suffix}", [stream.stored for stream in one.streams]),
        )
        streams = one.streams
        loads, body, stores = _wrap(_loads(streams)), _wrap(self._body(one)), _wrap(_stores(streams))
        return _Update(f"update{suffix}", tables, _pointers(streams), loads, body, stores)

    def _body(self, one: Pass) -> list[str]:
        known = set(self.fused.streams)
        lines: list[str] = []
        for statement in one.body:
            for name in _assigned_names(statement):
                if name not in known and isinstance(statement, ElementIf):
                    lines.append(f"{self._type(name)} {safe(name)} = {self._zero(name)};")
                    known.add(name)
            lines += self._statement(statement, known)
        return lines

    def _statement(self, statement: ElementStmt, known: set[str]) -> list[str]:
        match statement:
            case ElementAssign(target=target, value=value):
                text = f"{safe(target)} = {cpp_text(value)}"
                declaration = "" if target in known else f"{self._type(target)} "
                known.add(target)
                return [*_comment_lines(statement.source, text), f"{declaration}{text};"]
            case ElementIf(condition=condition, static=static, then=then, orelse=orelse):
                text = cpp_text(condition if then else Call("not", (condition,)))
                constant = " constexpr" if static or not self.separate else ""
                lines = [*_comment_lines(statement.source), f"if{constant} ({text}) {{"]
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
        return "bool" if name in self.fused.truths else "Number"

    def _zero(self, name: str) -> str:
        return "false" if name in self.fused.truths else "0"


def _pointers(streams: Sequence[Stream]) -> list[str]:
    lines = []
    for index, stream in enumerate(streams):
        if stream.loaded == Const(False) and stream.stored == Const(False):
            continue
        kind = "Number*" if stream.stored != Const(False) else "const Number*"
        lines.append(f"{kind} __restrict {stream.name}_ptr = streams[{index}];")
    return lines


def _loads(streams: Sequence[Stream]) -> list[str]:
    """Return a variable for each stream; one that is not loaded starts as 0 and is written before it is read."""
    lines = []
    for stream in streams:
        if stream.loaded == Const(True):
            value = f"{stream.name}_ptr[i]"
        elif stream.loaded != Const(False):
            condition = cpp_text(stream.loaded, Precedence.OR)
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
        store = f"{stream.name}_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_{index}>({safe(stream.name)});"
        if stream.stored == Const(True):
            lines.append(store)
        else:
            lines += [f"if constexpr ({cpp_text(stream.stored)})", INDENT + store]
    return lines


def _assigned_names(statement: ElementStmt) -> list[str]:
    """Return the names that a statement may give a value, in order."""
    return [one.target for one in walk_elements([statement]) if isinstance(one, ElementAssign)]


def _comment_lines(source: Stmt, code: str = "") -> list[str]:
    """Return the spec's line as a comment."""
    return [f"//{line.removeprefix('#')}" for line in comment_lines(source, [code] if code else [])]


def _wrap(lines: Sequence[str]) -> list[str]:
    """Return the lines; those that are too long are broken at blanks."""
    return [part for line in lines for part in _break_line(line)]


def _break_line(line: str) -> list[str]:
    if len(line) <= _LONGEST:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    continued = indent + ("//     " if line.startswith("//", len(indent)) else INDENT)
    parts = [indent]
    for word in line.split():
        if len(parts[-1]) + 1 + len(word) > _LONGEST:
            parts.append(continued + word)
        else:
            parts[-1] += f" {word}" if parts[-1].strip() else word
    return parts
