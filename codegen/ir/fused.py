"""A Rule, ready for kernels that do a whole step at once: what passes/hoist.py gives and backends take.

Values only. They must not know which target they are printed for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from thetac.codegen.ir.nodes import Assign, Const, Expr, If, Scope, Stmt, names_read
from thetac.codegen.ir.value_kinds import Dims


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
    after: int = 0  # how many totals, in their order, have to be known before it is


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


def elements_assigned(body: Iterable[ElementStmt]) -> tuple[str, ...]:
    """Return the names that some path through statements assigns, each once, in order."""
    return tuple(dict.fromkeys(one.target for one in walk_elements(body) if isinstance(one, ElementAssign)))


def elements_read(body: Iterable[ElementStmt]) -> tuple[str, ...]:
    """Return the names that statements and their conditions read, each once, in order."""
    expressions = (one.value if isinstance(one, ElementAssign) else one.condition for one in walk_elements(body))
    return tuple(dict.fromkeys(name for expression in expressions for name in names_read(expression)))


@dataclass(frozen=True, slots=True)
class SmallState:
    """A state with one number per parameter, row or column, in memory of its own; tensor programs alone use it."""

    name: str
    dims: Dims | None  # None: one number per parameter
    loaded: Expr  # when its old value is needed: a condition on specialisations
    stored: Expr  # when it gets a new value


@dataclass(frozen=True, slots=True)
class TensorValue:
    """A number per parameter, row or column that later tensor programs or sweeps read, in float64."""

    name: str
    dims: Dims | None  # None: one number per parameter
    truth: bool  # 1 or 0


@dataclass(frozen=True, slots=True)
class Fold:
    """A reduction over the elements of each parameter, complete when the sweep ends."""

    target: str  # a `TensorValue`, which nothing else assigns
    op: Literal["sum", "max"]
    value: str  # an element local of the sweep
    dims: Dims | None  # of the target
    needed: Expr  # a condition on specialisations; where it does not hold, nothing reads the target


class Barrier(Enum):
    """What has to happen between the folds of a pass and the tensor program of the next one."""

    NONE = "none"
    TOTAL = "total"  # the host needs numbers of all parameters of the step


@dataclass(frozen=True, slots=True)
class Pass:
    """A tensor program, then one sweep over the elements of all tensors, which ends before the next pass begins.

    A sweep is a slice of the rule's statements on elements, branches kept. What it hands to a later one are the states
    that it stores and its folds. A sweep without streams does nothing.
    """

    streams: tuple[Stream, ...]  # one for each name of `Fused.streams`, in that order
    body: tuple[ElementStmt, ...]  # of the sweep; elements of different parameters do not meet
    # The tensor program: statements on numbers per parameter, row and column, once per parameter, in float64. It reads
    # the row, `TensorValue`s and small states, and assigns the latter two. A reduction of a vector stands alone on a
    # right side, over a name: `sum(v)` or `max(v)` with the axis as a second argument if there is one. What is not
    # among `Fused.tensor_values` is a variable of this program.
    before: tuple[ElementStmt, ...] = ()
    reads: tuple[str, ...] = ()  # `TensorValue`s that the sweep reads
    folds: tuple[Fold, ...] = ()
    barrier: Barrier = Barrier.NONE

    @property
    def is_sweep(self) -> bool:
        """Whether it looks at elements, even if it loads and stores no stream: what it adds up may be vectors only."""
        return bool(self.body)


@dataclass(frozen=True, slots=True)
class Total:
    """A sum over all parameters, which the host waits for between two passes."""

    target: str  # the host's name for it
    term: str  # a `TensorValue`: the number that a parameter adds
    scope: Scope  # over which parameters
    passes: int = 0  # how many passes come before it: the terms are known then, and every pass after it may read it


@dataclass(frozen=True, slots=True)
class Fused:
    """A Rule, ready for kernels that do a whole step at once."""

    inputs: tuple[str, ...]  # what the scalar program and the row read: counters, scalar states, firsts, values, flags
    scalars: tuple[str, ...]  # names of the scalar states that are assigned, which rounds unless they are float64
    # The scalar program; `first(s)` is the name `first_s` there. A total is an assignment of its own, over its term;
    # behind the n-th of them is what needs the first n.
    host: tuple[Stmt, ...]
    row: tuple[Entry, ...]
    specialisations: tuple[Specialisation, ...]
    streams: tuple[str, ...]  # param, grad, then the tensor states in the rule's order: what kernels get addresses of
    passes: tuple[Pass, ...]  # in order; a single one where no element needs a number that is made of others
    truths: frozenset[str] = frozenset()  # locals of sweeps and tensor programs that hold truth values
    small: tuple[SmallState, ...] = ()  # in the rule's order; kernels get their addresses after those of the streams
    tensor_values: tuple[TensorValue, ...] = ()
    totals: tuple[Total, ...] = ()  # in the order in which every implementation waits for them
    shared: tuple[str, ...] = ()  # the shared numbers, which the scalar program reads and gives new values

    @property
    def sweeps(self) -> int:
        """The number of passes that look at elements."""
        return sum(one.is_sweep for one in self.passes)

    @property
    def reread(self) -> tuple[str, ...]:
        """The streams that a pass loads after an earlier one has stored them, rounded to their dtype."""
        stored: set[str] = set()
        found: set[str] = set()
        for one in self.passes:
            found |= {use.name for use in one.streams if use.loaded != Const(False) and use.name in stored}
            stored |= {use.name for use in one.streams if use.stored != Const(False)}
        return tuple(name for name in self.streams if name in found)

    @property
    def has_axes(self) -> bool:
        """Whether kernels compute numbers per row or column."""
        dims = [state.dims for state in self.small] + [value.dims for value in self.tensor_values]
        dims += [fold.dims for one in self.passes for fold in one.folds]
        return any(extents is not None for extents in dims)
