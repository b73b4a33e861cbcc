"""Show the kernels of an optimizer: what the host computes, and the passes with the streams that each moves and why.

In: a `Fused`. Out: lines. Must not know which command prints them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from thetac.codegen.ir.fused import (
    ElementAssign,
    ElementIf,
    ElementStmt,
    Fused,
    Pass,
    Stream,
    elements_read,
    walk_elements,
)
from thetac.codegen.ir.listing import listing
from thetac.codegen.ir.nodes import Const, Expr, Scope, Stmt, names_read
from thetac.codegen.ir.printer import expression_text


def host_listing(fused: Fused) -> list[str]:
    """Return the lines of the host's program, the scalar row and the specialisations."""
    return [
        "once per step, group and step count:",
        *(f"  {line}" for line in listing(fused.host)),
        "row:",
        *(f"  {entry.name} = {expression_text(entry.definition)}" for entry in fused.row),
        "specialised on:",
        *(f"  {one.name} = {expression_text(one.condition)}" for one in fused.specialisations),
    ]


def passes_listing(fused: Fused) -> list[str]:
    """Return the lines of the passes: what each waits for, loads, stores and adds up, and its statements."""
    moved = sum(_is_ever(use.loaded) + _is_ever(use.stored) for one in fused.passes for use in one.streams)
    number = fused.sweeps
    lines = [f"{number} pass{'es' if number > 1 else ''} over the elements, {moved} streams moved"]
    for index, one in enumerate(fused.passes):
        lines += ["", f"pass {index}", *_program(one, fused), *_sweep(one, index, fused), *_totals(index, fused)]
    return lines


def _program(one: Pass, fused: Fused) -> list[str]:
    """Return the lines of a tensor program, and what it waits for."""
    if not one.before:
        return []
    sums = {fold.target: fold for before in fused.passes for fold in before.folds}
    waits = [f"{name} ({sums[name].op} of {sums[name].value})" for name in elements_read(one.before) if name in sums]
    return [
        *([f"  waits for {', '.join(waits)}"] if waits else []),
        "  once per parameter:",
        *(f"    {line}" for line in _statements(one.before)),
    ]


def _sweep(one: Pass, index: int, fused: Fused) -> list[str]:
    """Return the lines of a sweep."""
    if not one.body:
        return ["  no element is touched"]
    stored_before = {
        use.name: number
        for number, before in enumerate(fused.passes[:index])
        for use in before.streams
        if _is_ever(use.stored)
    }
    lines = []
    for use in one.streams:
        if _is_ever(use.loaded):
            since = f", as pass {stored_before[use.name]} stored it" if use.name in stored_before else ""
            targets = " and ".join(_targets(use, one)) or "where it is not assigned"
            lines.append(f"  loads {use.name}{_when(use.loaded)} for {targets}{since}")
    lines += [f"  stores {use.name}{_when(use.stored)}" for use in one.streams if _is_ever(use.stored)]
    lines += [f"  gives {fold.target} = {fold.op} of {fold.value}{_when(fold.needed)}" for fold in one.folds]
    return [*lines, "  once per element:", *(f"    {line}" for line in _statements(one.body))]


def _totals(index: int, fused: Fused) -> list[str]:
    """Return the lines of what the host waits for after a pass, and the numbers of the row that it then knows."""
    totals = [total for total in fused.totals if total.passes == index + 1]
    if not totals:
        return []
    earlier = sum(total.passes <= index for total in fused.totals)
    known = [entry.name for entry in fused.row if earlier < entry.after <= earlier + len(totals)]
    whose = {Scope.GROUP: "the group", Scope.OPTIMIZER: "the optimizer"}
    return [
        "  then waits for all parameters:",
        *(f"    {total.target} = sum of {total.term} over {whose[total.scope]}" for total in totals),
        *([f"  and computes {', '.join(known)}"] if known else []),
    ]


def _targets(use: Stream, one: Pass) -> list[str]:
    """Return the names whose values a sweep computes from a stream."""
    found = [
        statement.target
        for statement in walk_elements(one.body)
        if isinstance(statement, ElementAssign) and use.name in names_read(statement.value)
    ]
    return list(dict.fromkeys(found))


def _statements(body: Sequence[ElementStmt]) -> list[str]:
    return listing(_as_statement(statement) for statement in body)


def _as_statement(statement: ElementStmt) -> Stmt:
    match statement:
        case ElementAssign(target=target, value=value, source=source):
            return replace(source, target=target, value=value)
        case ElementIf(condition=condition, then=then, orelse=orelse, source=source):
            sides = [tuple(_as_statement(inner) for inner in side) for side in (then, orelse)]
            return replace(source, condition=condition, then=sides[0], orelse=sides[1])
        case _:
            assert_never(statement)


def _is_ever(condition: Expr) -> bool:
    return condition != Const(False)


def _when(condition: Expr) -> str:
    return "" if condition == Const(True) else f" if {expression_text(condition)}"
