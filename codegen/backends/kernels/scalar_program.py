"""The host's part of a fused step: the numbers that kernels read, as plain Python.

In: a Rule after features and its `Fused` form. Out: the text of `scalars.py`: `scalars` on Python floats, and
`scalars_on_tensors`, whose numbers may be tensors on a device and which therefore selects where the other branches.
Must not know how elements are computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

import jinja2

from thetac.codegen.backends.eager.lines import call_lines, other_side
from thetac.codegen.backends.printing.escaping import calls, comment, uses
from thetac.codegen.backends.printing.host_python import PYTHON, guarded, on_tensors
from thetac.codegen.emit import header
from thetac.codegen.ir.fused import Fused
from thetac.codegen.ir.nodes import Assign, Call, Expr, If, Range, Ref, Rule, Stmt, walk_statements
from thetac.codegen.ir.printer import Precedence, Table, expression_text
from thetac.codegen.ir.value_kinds import HOST_NUMBER, HOST_TRUTH
from thetac.codegen.passes.analysis import value_ranges
from thetac.codegen.passes.analysis.kinds import infer, is_static
from thetac.codegen.passes.naming import first_argument, spelled, unique
from thetac.options import IN_UPDATE

INDENT = "    "
_LOOSE = Precedence.CONDITIONAL

ON_TENSORS = on_tensors("tensors.")


def render(rule: Rule, fused: Fused, environment: jinja2.Environment) -> str:
    """The text of `scalars.py`."""
    body = _Program(rule, fused).lines(fused.host)
    tensors_body = _ProgramOnTensors(rule, fused).lines(fused.host)
    flags = {first_argument(state.name) for state in rule.states} | {flag.name for flag in rule.flags}
    flags.update(IN_UPDATE)
    row = [f"float({entry.variable})" if entry.truth else entry.variable for entry in fused.row]
    return environment.get_template("scalars.py.jinja").render(
        header=header(rule.source),
        optimizer=rule.name,
        row_names=[(entry.name, comment(expression_text(entry.definition))) for entry in fused.row],
        arguments=[(name, "bool" if name in flags else "float") for name in fused.inputs],
        tensor_arguments=[(name, _on_tensors(name, flags)) for name in fused.inputs],
        rounds=calls("round_to", body),
        body=body,
        tensors_body=tensors_body,
        row=row,
        tensor_row=[entry.variable for entry in fused.row],
        states=_tuple(fused.scalars),
        state_names=", ".join(fused.scalars),
        modules=[name for name in ("scalar_math", "tensors") if uses(name, (*body, *tensors_body))],
    )


def _on_tensors(name: str, flags: set[str]) -> str:
    if name not in flags:
        return "Scalar"
    return "bool | Tensor" if name.startswith("first_") else "bool"


def _tuple(names: Sequence[str]) -> str:
    return f"({', '.join(names)}{',' if len(names) == 1 else ''})"


@dataclass
class _Program:
    """The scalar program on Python floats."""

    rule: Rule
    fused: Fused
    table: Table = field(default_factory=lambda: PYTHON)
    known: dict[str, Range] = field(init=False)  # where the values lie that names have here

    def __post_init__(self) -> None:
        self.known = value_ranges.of_inputs(self.rule)

    def lines(self, body: Sequence[Stmt]) -> list[str]:
        lines: list[str] = []
        for statement in body:
            match statement:
                case Assign():
                    lines += self.assignment(statement)
                case If():
                    lines += self.branch(statement)
                case _:
                    assert_never(statement)
        return lines

    def text(self, expression: Expr, at_least: Precedence = _LOOSE) -> str:
        return expression_text(guarded(expression, self.known), self.table, at_least=at_least)

    def assigned_text(self, statement: Assign) -> str:
        text = self.text(statement.value)
        return f"round_to({text})" if statement.target in self.fused.scalars else text

    def assignment(self, statement: Assign) -> list[str]:
        line = f"{self.declared(statement.target)} = {self.assigned_text(statement)}"
        self.learn(statement)
        return [f"{line}  # {comment(statement.comment)}" if statement.comment else line]

    def declared(self, name: str) -> str:
        """A name that is given a value, with its type where a reader of types cannot tell."""
        return name

    def learn(self, statement: Assign) -> None:
        """What the new value is bounded by; rounding to another dtype may move it anywhere near, so nothing then."""
        self.known.pop(statement.target, None)
        if statement.target not in self.fused.scalars:
            self.known[statement.target] = value_ranges.bounds(statement.value, self.known)

    def branch(self, statement: If) -> list[str]:
        lines = [f"if {expression_text(guarded(statement.condition, self.known), PYTHON)}:"]
        before = dict(self.known)
        lines += [INDENT + line for line in self.side(statement.then)]
        after_then, self.known = self.known, before
        if statement.orelse:
            lines += other_side(self.side(statement.orelse))
        self.known = {name: r for name, r in self.known.items() if after_then.get(name) == r}
        return lines

    def side(self, body: Sequence[Stmt]) -> list[str]:
        """One side of a branch that Python takes."""
        return self.lines(body)


class _ProgramOnTensors(_Program):
    """The scalar program without branches on numbers that may be tensors.

    What a branch assigns becomes a selection between its value and the one before, in the order of the statements.
    """

    def __init__(self, rule: Rule, fused: Fused) -> None:
        super().__init__(rule, fused, ON_TENSORS)
        self.kinds = infer(rule)
        self.kinds |= {name: HOST_TRUTH for name in fused.inputs if name not in self.kinds}
        self.kinds |= {entry.variable: HOST_TRUTH if entry.truth else HOST_NUMBER for entry in fused.row}
        self.taken = set(self.kinds) | set(fused.inputs)
        self.having = set(fused.inputs)  # names with a value
        self.within: Expr | None = None  # what must hold for the statements here to count
        times = Counter(s.target for s in walk_statements(fused.host) if isinstance(s, Assign))
        self.undeclared = {name for name, number in times.items() if number > 1} - set(fused.inputs)

    def assignment(self, statement: Assign) -> list[str]:
        lines = super().assignment(statement) if self.within is None else self.selection(statement, self.within)
        self.having.add(statement.target)
        return lines

    def declared(self, name: str) -> str:
        """With its type where it is first a number of Python and then perhaps a tensor."""
        if name not in self.undeclared:
            return name
        self.undeclared.remove(name)
        return f"{name}: {'bool | Tensor' if self.kinds[name].truth else 'Scalar'}"

    def selection(self, statement: Assign, holds: Expr) -> list[str]:
        target, condition, value = statement.target, self.text(holds), self.assigned_text(statement)
        before = target if target in self.having else None
        if self.kinds[target].truth:
            call, arguments = "tensors.both", [condition, value]
            if before is not None:
                otherwise = f"tensors.both(tensors.negation({condition}), {before})"
                call, arguments = "tensors.either", [f"tensors.both({condition}, {value})", otherwise]
        else:
            call, arguments = "tensors.where", [condition, value, before or "0.0"]
        self.known.pop(target, None)
        return call_lines([self.declared(target)], call, arguments)

    def branch(self, statement: If) -> list[str]:
        if is_static(statement.condition, self.rule):
            lines = super().branch(statement)
            self.having |= _assigned_on_both(statement)
            return lines
        lines = []
        condition = statement.condition
        if not isinstance(condition, Ref):
            name = unique([spelled(condition), "holds"], self.taken)
            self.taken.add(name)
            lines.append(f"{name} = {self.text(condition)}")
            condition = Ref(name)
        outer = self.within
        for branch, holds in ((statement.then, condition), (statement.orelse, Call("not", (condition,)))):
            if branch:
                self.within = holds if outer is None else Call("and", (outer, holds))
                lines += self.lines(branch)
        self.within = outer
        return lines

    def side(self, body: Sequence[Stmt]) -> list[str]:
        having = set(self.having)
        lines = super().side(body)
        self.having = having
        return lines


def _assigned_on_both(statement: If) -> frozenset[str]:
    """The names that either side of a branch assigns."""
    sides = [{s.target for s in side if isinstance(s, Assign)} for side in (statement.then, statement.orelse)]
    return frozenset(sides[0] & sides[1])
