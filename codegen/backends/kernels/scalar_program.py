"""Write the host's part of a fused step: the numbers that kernels read, as plain Python.

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

from thetac.codegen.backends.eager.lines import call_lines, else_lines
from thetac.codegen.backends.printing.escaping import calls, comment, uses
from thetac.codegen.backends.printing.host_python import PYTHON, guarded, on_tensors
from thetac.codegen.emit import header
from thetac.codegen.ir.fused import Entry, Fused
from thetac.codegen.ir.nodes import Assign, Call, Expr, If, Range, Rule, Stmt, walk_statements
from thetac.codegen.ir.printer import Precedence, Table, expression_text
from thetac.codegen.ir.value_kinds import HOST_NUMBER, HOST_TRUTH
from thetac.codegen.passes.analysis import value_ranges
from thetac.codegen.passes.analysis.kinds import infer, is_static
from thetac.codegen.passes.naming import first_argument
from thetac.codegen.passes.select import SELECTION, select
from thetac.options import IN_UPDATE

INDENT = "    "
_LOOSE = Precedence.CONDITIONAL

ON_TENSORS = on_tensors("tensors.")


def render(rule: Rule, fused: Fused, environment: jinja2.Environment) -> str:
    """Return the text of `scalars.py`."""
    body = Program(rule, fused).lines(fused.host)
    on_tensors = _ProgramOnTensors(rule, fused)
    tensors_body = on_tensors.lines(on_tensors.selected.body)
    flags = _truths_among_inputs(rule)
    return environment.get_template("scalars.py.jinja").render(
        **program_on_floats(rule, fused, body),
        tensor_arguments=[(name, _on_tensors(name, flags)) for name in fused.inputs],
        tensors_body=tensors_body,
        row=[number_text(entry) for entry in fused.row],
        tensor_row=[entry.variable for entry in fused.row],
        state_names=", ".join(fused.scalars),
        modules=[name for name in ("scalar_math", "tensors") if uses(name, (*body, *tensors_body))],
    )


def program_on_floats(rule: Rule, fused: Fused, body: Sequence[str]) -> dict[str, object]:
    """Return what every template of a scalar program is given: the file's head, and the program on Python floats.

    Args:
        rule: Whose program it is.
        fused: Its kernel form.
        body: The lines of the program.
    """
    flags = _truths_among_inputs(rule)
    return {
        "header": header(rule.source),
        "optimizer": rule.name,
        "row_names": [(entry.name, comment(expression_text(entry.definition))) for entry in fused.row],
        "arguments": [(name, "bool" if name in flags else "float") for name in fused.inputs],
        "rounds": calls("round_to", body),
        "body": body,
        "states": tuple_text(fused.scalars),
    }


def _truths_among_inputs(rule: Rule) -> frozenset[str]:
    """Return the names of inputs of a scalar program that are truth values."""
    firsts = (first_argument(state.name) for state in rule.states)
    return frozenset((*firsts, *(flag.name for flag in rule.flags), *IN_UPDATE))


def number_text(entry: Entry) -> str:
    """Return a number of the row as text."""
    return f"float({entry.variable})" if entry.truth else entry.variable


def _on_tensors(name: str, flags: frozenset[str]) -> str:
    if name not in flags:
        return "Scalar"
    return "bool | Tensor" if name.startswith("first_") else "bool"


def tuple_text(names: Sequence[str]) -> str:
    """Return a tuple of names as text."""
    return f"({', '.join(names)}{',' if len(names) == 1 else ''})"


@dataclass
class Program:
    """The scalar program on Python floats."""

    rule: Rule
    fused: Fused
    table: Table = field(default_factory=lambda: PYTHON)
    known: dict[str, Range] = field(init=False)  # ranges of the names at the current statement

    def __post_init__(self) -> None:
        self.known = value_ranges.of_inputs(self.rule)

    def lines(self, body: Sequence[Stmt]) -> list[str]:
        """Return the lines of statements."""
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
        """Return an expression as text, with guards where it could raise an error."""
        return expression_text(guarded(expression, self.known), self.table, at_least=at_least)

    def assigned_text(self, statement: Assign) -> str:
        """Return the value of an assignment as text, rounded if it is a scalar state's."""
        text = self.text(statement.value)
        return f"round_to({text})" if self.rounds(statement) else text

    def rounds(self, statement: Assign) -> bool:
        """Return whether the statement stores a value in a scalar state."""
        return statement.target in self.fused.scalars and not self.is_exact(statement.target)

    def is_exact(self, name: str) -> bool:
        """Return whether a name is a state that is kept in float64."""
        state = self.rule.state(name)
        return state is not None and state.float64

    def assignment(self, statement: Assign) -> list[str]:
        """Return the lines of an assignment, and record the range of its target."""
        line = f"{self.declare(statement.target)} = {self.assigned_text(statement)}"
        self.learn(statement)
        return [f"{line}  # {comment(statement.comment)}" if statement.comment else line]

    def declare(self, name: str) -> str:
        """Return the name as the target of an assignment, with its type where a type checker needs it."""
        return name

    def learn(self, statement: Assign) -> None:
        """Record the range of the new value.

        None is recorded for a value that is rounded to another dtype, which may be outside of the range.
        """
        self.known.pop(statement.target, None)
        if not self.rounds(statement):
            self.known[statement.target] = value_ranges.bounds(statement.value, self.known)

    def branch(self, statement: If) -> list[str]:
        """Return the lines of a branch; the ranges that both sides agree on are kept."""
        lines = [f"if {expression_text(guarded(statement.condition, self.known), PYTHON)}:"]
        before = dict(self.known)
        lines += [INDENT + line for line in self.lines(statement.then)]
        after_then, self.known = self.known, before
        if statement.orelse:
            lines += else_lines(self.lines(statement.orelse))
        self.known = {name: r for name, r in self.known.items() if after_then.get(name) == r}
        return lines


class _ProgramOnTensors(Program):
    """The scalar program without branches on numbers that may be tensors."""

    def __init__(self, rule: Rule, fused: Fused) -> None:
        super().__init__(rule, fused, ON_TENSORS)
        kinds = infer(rule)
        kinds |= {name: HOST_TRUTH for name in fused.inputs if name not in kinds}
        kinds |= {entry.variable: HOST_TRUTH if entry.truth else HOST_NUMBER for entry in fused.row}
        self.selected = select(
            fused.host,
            kinds=kinds,
            is_taken=lambda condition: is_static(condition, rule),
            defined=fused.inputs,
            taken={*kinds, *fused.inputs},
            exists={state.name: state.when for state in rule.states if state.when is not None},
        )
        times = Counter(s.target for s in walk_statements(self.selected.body) if isinstance(s, Assign))
        self.undeclared = {name for name, number in times.items() if number > 1} - set(fused.inputs)

    def assignment(self, statement: Assign) -> list[str]:
        """Return the lines of an assignment, with the selection of a value as one call."""
        match statement:
            case Assign(target=target, value=Call(op="where", args=args), origin=origin) if origin == SELECTION:
                lines = call_lines([self.declare(target)], "tensors.where", [self.text(argument) for argument in args])
                self.learn(statement)
                return lines
            case _:
                return super().assignment(statement)

    def rounds(self, statement: Assign) -> bool:
        """Return whether the statement stores a value in a scalar state and rounds it.

        A statement that only chooses one of two values does not round: both have been rounded.
        """
        state = self.selected.names.get(statement.target, statement.target)
        return state in self.fused.scalars and not self.is_exact(state) and statement.origin != SELECTION

    def declare(self, name: str) -> str:
        """Return the name, with its type at the first of several assignments: later values may be tensors."""
        if name not in self.undeclared:
            return name
        self.undeclared.remove(name)
        return f"{name}: {'bool | Tensor' if self.selected.kinds[name].truth else 'Scalar'}"
