"""Write C++: one kernel per optimizer that does a step of all tensors of a bucket on the CPU.

In: a Rule after features and its `Fused` form. Out: the text of `kernels.cpp`, from which the system's compiler makes
an object for the dtypes at hand; runtime/cpp/kernel.h contains what all kernels share. Conditions, those of the scalar
row included, are template constants: no element meets a branch. Where too many of their combinations differ, an object
is made for one value of each specialisation, and what the scalar row decides stays a branch. Must not know how the
scalar row is computed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import assert_never

import jinja2

from thetac.codegen.backends.kernels.cpp_layout import Layout, Sweep, facts, has_passes, sweep_of
from thetac.codegen.backends.kernels.cpp_lines import (
    INDENT,
    branch_lines,
    names_used,
    remark_lines,
    wrap,
)
from thetac.codegen.backends.kernels.cpp_programs import Programs
from thetac.codegen.backends.kernels.cpp_tables import MaskTable, cpp_text, mask_table, safe
from thetac.codegen.emit import header
from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt, Fused, Pass, Stream, elements_assigned
from thetac.codegen.ir.nodes import Const, Rule
from thetac.codegen.ir.printer import Precedence
from thetac.codegen.passes.analysis import boolean_algebra
from thetac.codegen.passes.analysis.combinations import kernels_are_few, relevant_conditions
from thetac.codegen.passes.naming import pass_suffix


def render(rule: Rule, fused: Fused, environment: jinja2.Environment) -> str:
    """Return the text of `kernels.cpp`."""
    lowering = _Lowering(fused)
    updates = [lowering.update(index, one) for index, one in enumerate(fused.passes)]
    return environment.get_template("kernels.cpp.jinja").render(
        header=header(rule.source),
        optimizer=rule.name,
        include="passes.h" if lowering.has_passes else "kernel.h",
        columns=[*fused.streams, *(state.name for state in fused.small)],
        streams=fused.streams,
        entries=len(fused.row),
        separate=lowering.separate,
        conditions=[safe(name) for name in lowering.conditions],
        row_conditions=lowering.row_conditions(),
        facts=lowering.facts() if lowering.has_passes else (),
        tables=[lowering.relevant_conditions(), *(table for update in updates for table in update.tables)],
        programs=[lowering.program(index) for index in range(len(fused.passes)) if lowering.programs.exists(index)],
        updates=[update for update in updates if update.exists],
        passes=lowering.passes(updates) if lowering.has_passes else (),
        has_totals=bool(fused.totals),
    )


@dataclass(frozen=True, slots=True)
class _Program:
    """The text of the tensor program of a pass."""

    name: str
    lines: list[str]


@dataclass(frozen=True, slots=True)
class _Update:
    """The text of one pass, in parts."""

    name: str  # of the function that runs it
    exists: bool  # whether there is anything to compute
    parameters: str
    tables: tuple[MaskTable, ...]
    numbers: list[str]
    pointers: list[str]
    loads: list[str]
    body: list[str]
    stores: list[str]


class _Lowering:
    """Writes the parts of the text, line by line."""

    def __init__(self, fused: Fused) -> None:
        self.fused = fused
        self.has_passes = has_passes(fused)
        self.separate = not kernels_are_few(fused)
        truths = {entry.name: index for index, entry in enumerate(fused.row) if entry.truth}
        self.entries = {} if self.separate else truths
        # In the order of their bits: those that a group decides, as in the schema, then those that a row decides.
        self.conditions = (*(one.name for one in fused.specialisations), *self.entries)
        self.layout = Layout(fused)
        self.programs = Programs(fused, self.layout, dynamic_branches=self.separate)
        self.sweeps = [sweep_of(one, self.layout) for one in fused.passes]

    def row_conditions(self) -> list[str]:
        """Return the lines that read conditions from a scalar row into a mask."""
        first = len(self.fused.specialisations)
        return [f"mask |= Mask(row[{index}] != 0) << {first + i};" for i, index in enumerate(self.entries.values())]

    def facts(self) -> list[str]:
        """Return the constants that say what passes read and reduce, whatever the conditions."""
        existing = [self.programs.exists(index) for index in range(len(self.sweeps))]
        return facts(self.layout, self.sweeps, existing, [total.term for total in self.fused.totals])

    def program(self, index: int) -> _Program:
        """Return the text of the tensor program of a pass."""
        return _Program(f"before{pass_suffix(index)}", wrap(self.programs.lines(index)))

    def passes(self, updates: Sequence[_Update]) -> list[str]:
        """Return the initializers of the array of passes."""
        lines = []
        for index, update in enumerate(updates):
            program = f"&before{pass_suffix(index)}" if self.programs.exists(index) else "nullptr"
            masks = ", ".join(table.name for table in update.tables)
            lines.append(f"{{{f'&{update.name}' if update.exists else 'nullptr'}, {masks}, {program}}},")
        return lines

    def relevant_conditions(self) -> MaskTable:
        """Return the constant of the conditions that make a difference, given the others."""
        relevant = {} if self.separate else relevant_conditions(self.fused.passes, self.conditions)
        return mask_table("relevant_conditions", [boolean_algebra.expression(when) for when in relevant.values()])

    def update(self, index: int, one: Pass) -> _Update:
        """Return the text of the sweep of that index."""
        sweep, suffix = self.sweeps[index], pass_suffix(index)
        tables = [
            mask_table(f"loaded{suffix}", [stream.loaded for stream in one.streams]),
            mask_table(f"stored{suffix}", [stream.stored for stream in one.streams]),
        ]
        if self.has_passes:
            tables.append(mask_table(f"read{suffix}", [vector.loaded for vector in sweep.vectors]))
            tables.append(mask_table(f"folded{suffix}", [given.fold.needed for given in sweep.folds]))
        read = names_used(sweep.body) | {name for name, _ in sweep.terms}
        streams = [(i, stream) for i, stream in enumerate(one.streams) if stream.name in read]
        numbers = self._entries(read) + self._numbers(sweep)
        return _Update(
            name=f"update{suffix}",
            exists=bool(sweep.body),
            parameters=self._parameters(sweep, is_row_read=bool(self._entries(read))),
            tables=tuple(tables),
            numbers=numbers,
            pointers=[*_pointers(streams), *self._further_pointers(sweep)],
            loads=wrap([*_loads(streams), *self._vector_loads(sweep)]),
            body=wrap(self._body(one, sweep)),
            stores=wrap([*_stores(streams), *_term_stores(sweep)]),
        )

    def _parameters(self, sweep: Sweep, *, is_row_read: bool) -> str:
        """Return the parameters of an update; those that it does not read have no names."""
        row = "const Number* row" if is_row_read else "const Number*"
        numbers = f", const double*{' numbers' if sweep.numbers else ''}" if self.has_passes else ""
        return f"Number* const* streams, int64 count, {row}{numbers}"

    def _entries(self, read: Collection[str]) -> list[str]:
        """Return the lines that read the numbers of a scalar row."""
        lines = []
        for index, entry in enumerate(self.fused.row):
            if entry.name not in read:
                continue
            if not entry.truth:
                lines.append(f"const Number {safe(entry.name)} = row[{index}];")
            elif self.separate:
                lines.append(f"const bool {safe(entry.name)} = row[{index}] != 0;")
        return lines

    def _numbers(self, sweep: Sweep) -> list[str]:
        """Return the lines that read numbers per parameter, in the dtype of the arithmetic."""
        lines = []
        for name in sweep.numbers:
            value = f"numbers[{self.layout.numbers.index(name)}]"
            value = f"{value} != 0" if self._is_truth(name) else f"Number({value})"
            lines.append(f"const {self._type(name)} {safe(name)} = {value};")
        return lines

    def _further_pointers(self, sweep: Sweep) -> list[str]:
        """Return the pointers to vectors and to the terms of folds, which come after those of the streams."""
        first = len(self.fused.streams)
        names = [*(vector.name for vector in sweep.vectors), *(name for name, _ in sweep.terms)]
        kinds = ["const Number*"] * len(sweep.vectors) + ["Number*"] * len(sweep.terms)
        return [
            f"{kind} __restrict {name}_ptr = streams[{first + index}];"
            for index, (kind, name) in enumerate(zip(kinds, names, strict=True))
        ]

    def _vector_loads(self, sweep: Sweep) -> list[str]:
        lines = []
        for vector in sweep.vectors:
            name, kind = vector.name, self._type(vector.name)
            value = f"{name}_ptr[i] != 0" if self._is_truth(name) else f"{name}_ptr[i]"
            if vector.loaded != Const(True):
                value = f"{cpp_text(vector.loaded, Precedence.OR)} ? {value} : {kind}(0)"
            lines.append(f"const {kind} {safe(name)} = {value};")
        return lines

    def _body(self, one: Pass, sweep: Sweep) -> list[str]:
        # A stream that is neither read nor written in this pass may still be computed for what follows: a local.
        without_memory = {s.name for s in one.streams if s.loaded == s.stored == Const(False)}
        known = set(self.fused.streams) - without_memory
        lines: list[str] = []
        for statement in sweep.body:
            for name in elements_assigned([statement]):
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
                return [*remark_lines(statement.source, text), f"{declaration}{text};"]
            case ElementIf(static=static):
                is_constant = static or not self.separate
                return branch_lines(statement, lambda inner: self._statement(inner, known), is_constant=is_constant)
            case _:
                assert_never(statement)

    def _is_truth(self, name: str) -> bool:
        return name in self.layout.truths

    def _type(self, name: str) -> str:
        return "bool" if self._is_truth(name) else "Number"

    def _zero(self, name: str) -> str:
        return "false" if self._is_truth(name) else "0"


def _pointers(streams: Sequence[tuple[int, Stream]]) -> list[str]:
    """Return the pointers of streams, each with its index among those of the rule."""
    lines = []
    for index, stream in streams:
        if stream.loaded == Const(False) and stream.stored == Const(False):
            continue
        kind = "Number*" if stream.stored != Const(False) else "const Number*"
        lines.append(f"{kind} __restrict {stream.name}_ptr = streams[{index}];")
    return lines


def _loads(streams: Sequence[tuple[int, Stream]]) -> list[str]:
    """Return a variable for each stream; one that is not loaded starts as 0 and is written before it is read."""
    lines = []
    for _, stream in streams:
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


def _stores(streams: Sequence[tuple[int, Stream]]) -> list[str]:
    lines = []
    for index, stream in streams:
        if stream.stored == Const(False):
            continue
        store = f"{stream.name}_ptr[i] = canonicalize_nan<thetac::THETAC_DTYPE_{index}>({safe(stream.name)});"
        if stream.stored == Const(True):
            lines.append(store)
        else:
            lines += [f"if constexpr ({cpp_text(stream.stored)})", INDENT + store]
    return lines


def _term_stores(sweep: Sweep) -> list[str]:
    lines = []
    for name, when in sweep.terms:
        store = f"{name}_ptr[i] = {safe(name)};"
        lines += [store] if when == Const(True) else [f"if constexpr ({cpp_text(when)})", INDENT + store]
    return lines
