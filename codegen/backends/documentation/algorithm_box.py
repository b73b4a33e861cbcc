"""The algorithm box: the statements of a rule as LaTeX, in the layout of torch's documentation.

In: a Rule as the spec writes it. Out: one `aligned` environment for MathJax, KaTeX or LaTeX. Which of `t-1` and `t` a
name carries follows from the flow of values: a state or the parameter read before it is assigned is the one of the step
before. Mathematics only: what guards against rounding (`if weight_decay != 0`) is left out. Expressions are set by
formulas.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from thetac.codegen.backends.documentation.formulas import formula
from thetac.codegen.backends.documentation.symbols import Symbols, words
from thetac.codegen.ir.nodes import (
    Assign,
    Call,
    Const,
    Expr,
    Hyperparameter,
    If,
    Ref,
    Rule,
    Shared,
    State,
    StateKind,
    Stmt,
    always_assigned,
    assigned,
)
from thetac.codegen.passes import features
from thetac.codegen.passes.fixed_flags import decide_fixed_flags
from thetac.codegen.passes.pieces import rule_of
from thetac.drivers import DRIVERS
from thetac.options import IN_UPDATE

ROW_WIDTH = 4  # inputs and states in one line


def algorithm(rule: Rule) -> str:
    """Return the box of a rule.

    Args:
        rule: The rule as the spec has it, before features are expanded.

    Returns:
        The `aligned` environment, without the dollar signs or brackets around it.
    """
    box = _Box(features.apply(decide_fixed_flags(rule)), starts={s.name: s.init for s in rule.kept})
    lines = [_RULE, *box.inputs(), *box.initial_values(), _RULE]
    lines.append(r"&\textbf{for} \: t = 1 \: \textbf{to} \: \ldots \: \textbf{do}")
    lines += box.steps()
    if rule.driver and DRIVERS[rule.driver].replaces_update:
        lines += [line for piece in rule.pieces for line in _followed(rule_of(decide_fixed_flags(rule), piece))]
    lines += [_RULE, rf"&\textbf{{return}} \: {box.symbols.at('param', 't')}", _RULE]
    for piece in rule.pieces if not rule.driver or not DRIVERS[rule.driver].replaces_update else ():
        own = _Box(features.apply(rule_of(decide_fixed_flags(rule), piece)), starts={})
        lines += [rf"&\textbf{{{piece.name}}}:", *own.block(_mathematical(own.rule.body), 1), _RULE]
    body = " \\\\\n".join(f"    {line}" for line in lines)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def _followed(piece: Rule) -> list[str]:
    """Return the lines of a flat piece, and of the step along the vector that it assigns."""
    box = _Box(features.apply(piece), starts={})
    symbols, lines = box.symbols, box.block(_mathematical(box.rule.body), 1)
    size = rf"{_indent(1)} \eta_t \leftarrow \text{{the length that a search finds}}"
    moved = rf"{symbols.at('param', 't-1')} + \eta_t {symbols.at(piece.vectors[0], 't')}"
    return [*lines, size, rf"{_indent(1)} {symbols.at('param', 't')} \leftarrow {moved}"]


_RULE = r"&\rule{110mm}{0.4pt}"


def _indent(depth: int) -> str:
    """Return the beginning of a line at a depth of indentation."""
    return rf"&\hspace{{{5 * depth}mm}}"


class _Box:
    """Prints the statements of one rule, and tracks which names already have the values of this step."""

    def __init__(self, rule: Rule, starts: dict[str, Expr]) -> None:
        self.rule = rule
        self.starts = starts  # what each state starts from, before features moved that into the body
        self.symbols = Symbols(rule)
        self.kept = {"param", *(s.name for s in rule.states if s.kind is not StateKind.COUNTER)}
        self.kept |= {*(one.name for one in rule.shared), *rule.vectors}
        self.assigned: set[str] = {"grad"}  # states and the parameter: already those of this step

    # What precedes the loop.

    def inputs(self) -> list[str]:
        """Return the lines of the inputs: hyperparameters, parameters, objective, flags and options."""
        entries = [self._hyperparameter(h) for h in self.rule.hyperparameters if not h.fixed]
        entries += [rf"{self.symbols.at('param', '0')} \text{{ (params)}}", r"f(\theta) \text{ (objective)}"]
        entries += [self.symbols.bare(flag.name) for flag in self.rule.flags if not flag.fixed]
        entries += [self.symbols.bare(choice.name) for choice in self.rule.choices if not choice.fixed]
        entries += [self.symbols.bare(option) for option in IN_UPDATE]
        return _rows(r"\textbf{input}", entries)

    def _hyperparameter(self, h: Hyperparameter) -> str:
        return rf"{', '.join(self.symbols.bare(name) for name in h.value_names)} \text{{ ({words(h.name)})}}"

    def initial_values(self) -> list[str]:
        """Return the lines of the states' initial values; none if there are only counters."""
        states = [state for state in self.rule.states if state.kind is not StateKind.COUNTER]
        kept: list[State | Shared] = [*states, *self.rule.shared]
        entries = [
            rf"{self.symbols.bare(h.name)} \leftarrow {self.symbols.bare(h.starts_as)}"
            for h in self.rule.hyperparameters
            if h.starts_as
        ]
        entries += [self._initial_value(one) for one in kept]
        return _rows(r"\textbf{initialize}", entries) if entries else []

    def _initial_value(self, state: State | Shared) -> str:
        if isinstance(state, State) and state.kind is StateKind.HISTORY:
            return rf"{self.symbols.at(state.name, '0')} \leftarrow \emptyset"
        match self.starts[state.name]:
            case Ref(name="grad"):
                value = self.symbols.at("grad", "1")
            case Ref(name="param"):
                value = self.symbols.at("param", "0")
            case expression:
                value = self.text(expression)
        when = None if isinstance(state, Shared) else state.when
        condition = "" if when is None else rf" \text{{ if }} {self.text(when)}"
        return rf"{self.symbols.at(state.name, '0')} \leftarrow {value}{condition}"

    # The loop.

    def steps(self) -> list[str]:
        """Return the lines of one step: the gradient, then the body of the rule."""
        gradient = rf"\nabla_{{\theta}} f_t \left( {self.symbols.at('param', 't-1')} \right)"
        first = rf"{_indent(1)} {self.symbols.at('grad', 't')} \leftarrow {gradient}"
        return [first, *self.block(_mathematical(self.rule.body), 1)]

    def block(self, statements: Iterable[Stmt], depth: int) -> list[str]:
        """Return the lines of statements at a depth of indentation."""
        return [line for statement in statements for line in self.statement(statement, depth)]

    def statement(self, statement: Stmt, depth: int) -> list[str]:
        """Return the lines of a statement at a depth of indentation, and note what it assigns."""
        match statement:
            case Assign(target=target, value=value):
                text = self.text(value)  # before the target becomes the one of this step
                self.assigned.add(target)
                return [rf"{_indent(depth)} {self.read(target)} \leftarrow {text}"]
            case If(condition=condition, then=then, orelse=orelse):
                lines = self._carried_over(statement, depth)
                lines.append(rf"{_indent(depth)} \textbf{{if}} \: {self.text(condition)}:")
                before = set(self.assigned)
                lines += self.block(then, depth + 1)
                after_then, self.assigned = self.assigned, before
                if orelse:
                    lines.append(rf"{_indent(depth)} \textbf{{else}}:")
                    lines += self.block(orelse, depth + 1)
                self.assigned |= after_then
                return lines
            case _:
                assert_never(statement)

    def _carried_over(self, branch: If, depth: int) -> list[str]:
        """Return `x_t <- x_{t-1}` for what only one side of the branch assigns: the other side has that value, too."""
        conditional = {state.name for state in self.rule.states if state.when is not None}
        names = _sometimes_assigned(branch) & self.kept - self.assigned - conditional
        lines = []
        for name in sorted(names):
            lines.append(rf"{_indent(depth)} {self.symbols.at(name, 't')} \leftarrow {self.read(name)}")
            self.assigned.add(name)
        return lines

    # Expressions.

    def read(self, name: str) -> str:
        """Return the symbol of a name at this point of the step."""
        if name in self.kept:
            return self.symbols.at(name, "t" if name in self.assigned else "t-1")
        return self.symbols.in_step(name)

    def text(self, expression: Expr) -> str:
        """Return an expression as a formula at this point of the step."""
        return formula(expression, self.read)


def _rows(title: str, entries: Sequence[str]) -> list[str]:
    """Return the lines of `title : a, b, c`, a few entries to a line."""
    rows = [r", \: ".join(entries[i : i + ROW_WIDTH]) for i in range(0, len(entries), ROW_WIDTH)]
    lines = [rf"&{title} : {rows[0]}", *(rf"&\hspace{{13mm}} {row}" for row in rows[1:])]
    return [*(f"{line}," for line in lines[:-1]), lines[-1]]


def _mathematical(body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
    """Return the statements without rounding guards, and without starting values, which precede the loop."""
    statements: list[Stmt] = []
    for statement in body:
        match statement:
            case If(origin="first value"):
                pass
            case If(condition=Call(op="ne", args=(Ref(name="weight_decay"), Const(value=0))), origin="weight decay"):
                statements += statement.then
            case _:
                statements.append(statement)
    return tuple(statements)


def _sometimes_assigned(branch: If) -> set[str]:
    """Return the names that are assigned on some path through a branch and not on every path."""
    return set(assigned((branch,))) - always_assigned((branch,))
