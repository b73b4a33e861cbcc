"""A Rule, ready for kernels that do a whole step at once: what passes/hoist.py gives and backends take.

Values only. They must not know which target they are printed for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from thetac.codegen.ir.nodes import Assign, Expr, If, Stmt


@dataclass(frozen=True, slots=True)
class Specialisation:
    """A condition that is fixed by a parameter group: kernels are compiled for each of its values."""

    name: str
    condition: Expr  # over flags and hyperparameters


@dataclass(frozen=True, slots=True)
class Entry:
    """One number of the row."""

    name: str  # in kernels
    variable: str  # holds it when the scalar program has run
    definition: Expr  # in the spec's terms, for readers
    truth: bool  # a truth value: 1 or 0 in the row


@dataclass(frozen=True, slots=True)
class Stream:
    """One number per element that kernels read or write: `param`, `grad` or a state."""

    name: str
    loaded: Expr  # when its old value is needed: a condition on specialisations, `Const(True)` if always
    stored: Expr  # when it gets a new value


@dataclass(frozen=True, slots=True)
class ElementAssign:
    """`target = value` for every element."""

    target: str
    value: Expr  # over streams, locals, entries of the row and constants
    source: Assign  # as the rule says it


@dataclass(frozen=True, slots=True)
class ElementIf:
    """A branch that all elements take together."""

    condition: Expr  # static: over specialisations. Otherwise a Ref to an entry of the row that is a truth value
    static: bool
    then: tuple[ElementStmt, ...]
    orelse: tuple[ElementStmt, ...]
    source: If


ElementStmt = ElementAssign | ElementIf


def walk_elements(body: Iterable[ElementStmt]) -> Iterator[ElementStmt]:
    """Yield every statement, branches included, in the order of the text."""
    for statement in body:
        yield statement
        if isinstance(statement, ElementIf):
            yield from walk_elements((*statement.then, *statement.orelse))


@dataclass(frozen=True, slots=True)
class Pass:
    """One sweep over the elements of all tensors, which ends before the next one begins.

    A pass is a slice of the rule's statements on elements, branches kept. What it hands to a later one are the states
    that it stores. What a pass may need besides (numbers computed once per tensor before it, reductions that come out
    of it, what has to happen between it and the next one) belongs here, not into the statements.
    """

    streams: tuple[Stream, ...]  # one for each name of `Fused.streams`, in that order
    body: tuple[ElementStmt, ...]


@dataclass(frozen=True, slots=True)
class Fused:
    """A Rule, ready for kernels that do a whole step at once."""

    inputs: tuple[str, ...]  # what the scalar program and the row read: counters, scalar states, firsts, values, flags
    scalars: tuple[str, ...]  # names of the scalar states: assigning one rounds
    host: tuple[Stmt, ...]  # the scalar program; `first(s)` is the name `first_s` there
    row: tuple[Entry, ...]
    specialisations: tuple[Specialisation, ...]
    streams: tuple[str, ...]  # param, grad, then the tensor states in the rule's order: what kernels get addresses of
    passes: tuple[Pass, ...]  # in order; a single one where no element needs a number that is made of others
