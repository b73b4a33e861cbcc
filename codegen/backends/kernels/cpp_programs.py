"""Write tensor programs as C++ functions: numbers per parameter, row and column, in double.

In: a `Fused` and its `Layout`. Out: the lines of one function per pass that has a program. runtime/cpp/tensor_program.h
has what they call. Must not know sweeps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

from thetac.codegen.backends.kernels.cpp_layout import REDUCTIONS, Layout, extent
from thetac.codegen.backends.kernels.cpp_lines import INDENT, branch_lines, names_used, remark_lines
from thetac.codegen.backends.kernels.cpp_tables import cpp_text, safe
from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt, Fused, SmallState, elements_assigned
from thetac.codegen.ir.nodes import Call, Const, Expr, Ref
from thetac.codegen.ir.value_kinds import Dim, Dims

_LOOPS: dict[Dims, str] = {
    (Dim.ONE, Dim.ONE): "for_matrices",
    (Dim.ROWS, Dim.ONE): "for_rows",
    (Dim.ONE, Dim.COLUMNS): "for_columns",
}
_FOLDS = {"sum": "thetac::Sum", "max": "thetac::Max"}


@dataclass(frozen=True, slots=True)
class _Use:
    """Before which passes a small state is used for the first and last time, and assigned."""

    first: int
    last: int
    assigned: tuple[int, ...]


class Programs:
    """Writes the program of each pass."""

    def __init__(self, fused: Fused, layout: Layout, *, dynamic_branches: bool) -> None:
        """Take the rule apart.

        Args:
            fused: The rule.
            layout: The places of its numbers and vectors.
            dynamic_branches: Whether what the scalar row decides is no constant of the kernel.
        """
        self._fused = fused
        self._layout = layout
        self._dynamic_branches = dynamic_branches
        self._uses = {state.name: self._use(state.name) for state in fused.small}

    def exists(self, index: int) -> bool:
        """Return whether something is computed, read or written before the sweep of a pass."""
        at = [number for use in self._uses.values() for number in (use.first, *use.assigned)]
        return bool(self._fused.passes[index].before) or index in at

    def lines(self, index: int) -> list[str]:
        """Return the body of the function of a pass."""
        body = self._fused.passes[index].before
        loaded = [state for state in self._fused.small if self._uses[state.name].first == index]
        stored = [state for state in self._fused.small if index in self._uses[state.name].assigned]
        used_later = [state for state in stored if self._uses[state.name].last > index]
        used = names_used(body) | {state.name for state in (*loaded, *stored)}
        return [
            "using Number = double;",
            *self._entries(used),
            *self._places(used),
            *self._transfers("load", loaded, lambda state: state.loaded),
            *self._statements(body),
            *self._transfers("store", stored, lambda state: state.stored),
            *self._transfers("load", used_later, lambda state: state.stored),  # as it was rounded
        ]

    def _use(self, name: str) -> _Use:
        """Return the passes at which a small state is used, and assigned."""
        passes = self._fused.passes
        used = [index for index, one in enumerate(passes) if name in one.reads or name in names_used(one.before)]
        assigned = tuple(index for index, one in enumerate(passes) if name in elements_assigned(one.before))
        return _Use(min(used, default=-1), max((*used, *assigned), default=-1), assigned)

    def _entries(self, used: set[str]) -> list[str]:
        lines = []
        for index, entry in enumerate(self._fused.row):
            if entry.name not in used:
                continue
            if not entry.truth:
                lines.append(f"const Number {safe(entry.name)} = row[{index}];")
            elif self._dynamic_branches:
                lines.append(f"const bool {safe(entry.name)} = row[{index}] != 0;")
        return lines

    def _places(self, used: set[str]) -> list[str]:
        numbers, slots = enumerate(self._layout.numbers), self._layout.slots.items()
        lines = [f"Number& {safe(name)} = tensor.numbers[{i}];" for i, name in numbers if name in used]
        return [*lines, *(f"Number* const {safe(name)} = tensor.vector({i});" for name, i in slots if name in used)]

    def _transfers(
        self, verb: str, states: Sequence[SmallState], condition_of: Callable[[SmallState], Expr]
    ) -> list[str]:
        """Return the lines that read states from their memory, or write them there."""
        lines = []
        for state in states:
            if (condition := condition_of(state)) == Const(False):
                continue
            column = len(self._fused.streams) + self._fused.small.index(state)
            place = safe(state.name) if state.dims is not None else f"&{safe(state.name)}"
            call = f"tensor.{verb}<thetac::THETAC_DTYPE_{column}>({column}, {extent(state.dims)}, {place});"
            lines += [call] if condition == Const(True) else [f"if constexpr ({cpp_text(condition)})", INDENT + call]
        return lines

    def _statements(self, body: Sequence[ElementStmt]) -> list[str]:
        lines: list[str] = []
        known = set(self._layout.numbers)
        for statement in body:
            if isinstance(statement, ElementIf):
                for name in elements_assigned([statement]):
                    if name not in known and self._layout.dims[name] is None:
                        lines.append(f"{self._type(name)} {safe(name)} = 0;")
                        known.add(name)
            lines += self._statement(statement, known)
        return lines

    def _statement(self, statement: ElementStmt, known: set[str]) -> list[str]:
        match statement:
            case ElementAssign(target=target, value=value):
                declaration = ""
                if self._layout.dims[target] is None and target not in known:
                    declaration = f"{self._type(target)} "
                    known.add(target)
                text = self._assignment(target, value)
                return [*remark_lines(statement.source, text.removesuffix(";")), f"{declaration}{text}"]
            case ElementIf(static=static):
                is_constant = static or not self._dynamic_branches
                return branch_lines(statement, lambda inner: self._statement(inner, known), is_constant=is_constant)
            case _:
                assert_never(statement)

    def _type(self, name: str) -> str:
        return "bool" if name in self._layout.truths else "Number"

    def _assignment(self, target: str, value: Expr) -> str:
        dims = self._layout.dims[target]
        match value:
            case Call(op=op, args=(Ref(name=vector), *axes)) if op in REDUCTIONS:
                of = self._layout.dims[vector]
                assert of is not None, f"{vector} is one number per parameter already"
                fold = f"{_FOLDS[op]}>({extent(of)}, {safe(vector)}"
                if not axes:
                    return f"{safe(target)} = tensor.fold_all<{fold});"
                if dims != of:
                    return f"tensor.fold_matrices<{fold}, {safe(target)});"
                value = Ref(vector)
            case Call(op="mean_of_blocks", args=(Ref(name=vector), number)):
                return f"tensor.mean_of_blocks({safe(vector)}, {cpp_text(number)}, {safe(target)});"
        if dims is None:
            return f"{safe(target)} = {cpp_text(value)};"
        text = cpp_text(value, name=self._in_loop)
        return f"tensor.{_LOOPS[dims]}([&](int64 matrix, int64 i) {{ {self._in_loop(target)} = {text}; }});"

    def _in_loop(self, name: str) -> str:
        """Return a name as the loop over a vector writes it."""
        match self._layout.dims.get(name):
            case None:
                return safe(name)
            case (Dim.ONE, Dim.ONE):
                return f"{safe(name)}[matrix]"
            case _:
                return f"{safe(name)}[i]"
