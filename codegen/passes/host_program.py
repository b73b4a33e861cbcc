"""Finish the scalar program: remove needless copies, and give a value to all that the row reads.

In: the program as passes/hoist.py collects it, and the scalar row that it computes. Out: both, as a `Fused` holds
them. Must not know elements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from thetac.codegen.ir.fused import Entry
from thetac.codegen.ir.nodes import (
    Assign,
    Call,
    Const,
    If,
    Ref,
    Stmt,
    always_assigned,
    assigned,
    expression_of,
    names_read,
    walk_statements,
)

Program = tuple[Stmt, ...]
Row = tuple[Entry, ...]


def finish(host: Program, row: Row, unchanged: Mapping[str, str], inputs: tuple[str, ...]) -> tuple[Program, Row]:
    """Return the program and the row, without copies of names that keep their value to the end.

    Args:
        host: Assigns every variable of the row on the paths that need it.
        row: In any order.
        unchanged: Variables of the row that are copies, and the names that they would be copies of.
        inputs: Names that have a value before the program.
    """
    row = tuple(replace(entry, variable=unchanged.get(entry.variable, entry.variable)) for entry in row)
    return _add_starting_values(_rename(host, unchanged), row, inputs), row


def names_read_in(host: Program) -> frozenset[str]:
    """Return the names that some statement of the program reads."""
    expressions = map(expression_of, walk_statements(host))
    return frozenset(name for expression in expressions for name in names_read(expression))


def without_unread(host: Program, kept: frozenset[str]) -> Program:
    """Return the program without assignments to names that it does not read and that need not be kept."""
    while unread := set(assigned(host)) - kept - names_read_in(host):
        host = _rename(host, dict.fromkeys(unread, ""))
    return host


def _rename(body: Program, variables: Mapping[str, str]) -> Program:
    """Return statements with some of the row's variables replaced by the names that they would copy."""
    kept: list[Stmt] = []
    for statement in body:
        match statement:
            case Assign(target=target):
                if target not in variables:
                    kept.append(statement)
            case If(condition=condition, then=then, orelse=orelse):
                if isinstance(condition, Ref):
                    condition = Ref(variables.get(condition.name, condition.name))
                then, orelse = _rename(then, variables), _rename(orelse, variables)
                if then:
                    kept.append(replace(statement, condition=condition, then=then, orelse=orelse))
                elif orelse:
                    kept.append(replace(statement, condition=Call("not", (condition,)), then=orelse, orelse=()))
            case _:
                assert_never(statement)
    return tuple(kept)


def _add_starting_values(host: Program, row: Row, inputs: tuple[str, ...]) -> Program:
    """Return the program with an initial 0 for each name that the row reads and only some branches compute."""
    read = {entry.variable: Const(False) if entry.truth else Const(0.0) for entry in row}
    known = set(inputs)
    statements: list[Stmt] = []
    for statement in host:
        everywhere = always_assigned((statement,))
        if isinstance(statement, If):
            somewhere = assigned((statement,))
            starting = [name for name in somewhere if name in read and name not in known and name not in everywhere]
            statements += [Assign(name, read[name]) for name in starting]
            known.update(starting)
        known.update(everywhere)
        statements.append(statement)
    return tuple(statements)
