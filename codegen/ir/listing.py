"""Rules as text for readers: the update in the language of specs, with its comments.

In: statements, or a whole Rule. Out: lines, for docstrings and `thetac show`. They are not meant to be parsed again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from thetac.codegen.errors import make_printable
from thetac.codegen.ir.nodes import Assign, If, Rule, StateKind, Stmt
from thetac.codegen.ir.printer import assignment_text, expression_text

WIDEST = 72  # columns; longer lines have their comment right behind them


def listing(body: Iterable[Stmt]) -> list[str]:
    """Return the lines of statements, with their comments or the feature they come from in one column."""
    rows = [row for statement in body for row in _rows(statement, "")]
    column = max((len(line) for line, remark in rows if remark and len(line) <= WIDEST), default=0)
    return [f"{line:<{column}}  # {remark}" if remark else line for line, remark in rows]


def _rows(statement: Stmt, indent: str) -> list[tuple[str, str]]:
    remark = make_printable(" ".join((statement.comment or statement.origin).split()))
    match statement:
        case Assign():
            return [(f"{indent}{assignment_text(statement)}", remark)]
        case If(condition=condition, then=then, orelse=orelse):
            rows = [(f"{indent}if {expression_text(condition)}:", remark if statement.comment else "")]
            rows += [row for inner in then for row in _rows(inner, indent + "  ")]
            if len(orelse) == 1 and isinstance(orelse[0], If):
                (line, comment), *others = _rows(orelse[0], indent)
                return [*rows, (f"{indent}el{line.lstrip()}", comment), *others]
            if orelse:
                rows.append((f"{indent}else:", ""))
                rows += [row for inner in orelse for row in _rows(inner, indent + "  ")]
            return rows
        case _:
            assert_never(statement)


def rule_listing(rule: Rule) -> list[str]:
    """Return the lines of a whole rule: what it declares, then its update."""
    lines = [f"optimizer: {rule.name}", "hyperparameters:"]
    for h in rule.hyperparameters:
        ranges = ", ".join("any" if interval is None else str(interval) for interval in h.ranges)
        names = f" = ({', '.join(h.elements)})" if h.elements else ""
        none = [f"{n} None: {expression_text(m)}" for n, m in zip(h.value_names, h.none, strict=False) if m is not None]
        whole = ["integer"] if h.integer else []
        facts = ", ".join([f"default {h.default}", f"range {ranges}", *whole, *none])
        lines.append(f"  {h.name}{names}: {facts}")
    lines += [f"  {flag.name}: {'fixed' if flag.fixed else 'default'} {flag.default}" for flag in rule.flags]
    for choice in rule.choices:
        texts = " or ".join("none" if text is None else text for text in choice.choices)
        lines.append(f"  {choice.name}: {texts}, default {'none' if choice.default is None else choice.default}")
    if rule.states or rule.shared:
        lines.append("state:")
    for state in rule.states:
        init = "" if state.kind is StateKind.COUNTER else f" from {expression_text(state.init)}"
        when = "" if state.when is None else f", if {expression_text(state.when)}"
        lines.append(f"  {state.name}: {state.kind.value}{init}{when}")
    for shared in rule.shared:
        lines.append(f"  {shared.name}: per {shared.scope.value} from {expression_text(shared.init)}")
    cases = [
        style.value if condition is None else f"{style.value} if {expression_text(condition)}"
        for condition, style in rule.decay
    ]
    if cases:
        lines.append(f"weight_decay: {', else '.join(cases)}")
    if rule.driver:
        lines.append(f"driver: {rule.driver}")
    if rule.entry:
        lines.append(f"entry: {rule.entry}")
    for piece in rule.pieces:
        lines += [f"{piece.name}:", *(f"  {line}" for line in listing(piece.body))]
    return [*lines, "update:", *(f"  {line}" for line in listing(rule.body))]
