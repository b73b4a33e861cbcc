"""Put the scalar program in the order in which totals become known.

In: the program of a rule with totals as passes/hoist.py collects it, in the order of the text, and the scalar row that
it computes. Out: the same program, in which only what needs the first n totals is behind the n-th of them; the row,
in the order in which its numbers are known. Must not know elements, nor in which pass a total becomes known.

A text has its totals anywhere. What comes after one, and does not need it, is computed before it, so that kernels can
read it before they wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from operator import attrgetter
from typing import assert_never

from thetac.codegen.ir.nodes import Assign, Call, If, Stmt, assigned, names_read
from thetac.codegen.ir.totals import is_total
from thetac.codegen.passes.host_program import Program, Row


def in_stages(host: Program, row: Row) -> tuple[Program, Row]:
    """Return the program with its statements moved in front of the totals that they do not need, and the row."""
    walk = _Walk()
    for statement in host:
        walk.visit(statement, 0)
    staged = tuple(one for stage in range(walk.totals + 1) for one in _restricted(host, _in_stage(walk.needs, stage)))
    row = tuple(replace(entry, after=walk.known.get(entry.variable, 0)) for entry in row)
    return staged, tuple(sorted(row, key=attrgetter("after")))


class _Walk:
    """Finds how many totals each assignment needs, in the order of the text."""

    def __init__(self) -> None:
        self.totals = 0
        self.needs: list[int] = []  # of each assignment
        self.known: dict[str, int] = {}  # by name: how many totals its value needs; 0 for inputs
        self._used: dict[str, int] = {}  # by name: the most that a statement needs which reads or assigns it

    def visit(self, statement: Stmt, least: int) -> None:
        """Find what the assignments in a statement need, `least` at least."""
        match statement:
            case Assign(target=target, value=value):
                if is_total(value):
                    self.totals += 1
                    self._assign(target, self.totals)
                    return
                read = names_read(value)
                needs = max((self.known.get(name, 0) for name in read), default=0)
                # A name keeps its old value until the last statement that reads it has run.
                needs = max(needs, least, self._used.get(target, 0))
                self._assign(target, needs)
                self._use(read, needs)
            case If():
                self._visit_branch(statement, least)
            case _:
                assert_never(statement)

    def _visit_branch(self, statement: If, least: int) -> None:
        condition = names_read(statement.condition)
        least = max([least, *(self.known.get(name, 0) for name in condition)])
        before = len(self.needs), dict(self.known), dict(self._used)
        self._visit_sides(statement, least)
        inside = self.needs[before[0] :]
        most = max([least, *inside])
        if min(inside, default=most) < most and not set(condition).isdisjoint(assigned((statement,))):
            # The branch cannot be taken apart, since its condition would not be what it was.
            del self.needs[before[0] :]
            self.known, self._used = before[1:]
            self._visit_sides(statement, most)
        self._use(condition, most)

    def _visit_sides(self, statement: If, least: int) -> None:
        for inner in (*statement.then, *statement.orelse):
            self.visit(inner, least)

    def _assign(self, target: str, needs: int) -> None:
        self.needs.append(needs)
        self.known[target] = needs
        self._use((target,), needs)

    def _use(self, names: tuple[str, ...], needs: int) -> None:
        for name in names:
            self._used[name] = max(self._used.get(name, 0), needs)


def _in_stage(needs: list[int], stage: int) -> Callable[[], bool]:
    """Return a function that tells of assignments, in the order of the text, whether they need so many totals."""
    rest: Iterator[int] = iter(needs)
    return lambda: next(rest) == stage


def _restricted(body: Program, keeps: Callable[[], bool]) -> Program:
    """Return the statements of which `keeps`, asked in the order of the text, holds."""
    kept: list[Stmt] = []
    for statement in body:
        match statement:
            case Assign():
                if keeps():
                    kept.append(statement)
            case If(then=then, orelse=orelse):
                then, orelse = _restricted(then, keeps), _restricted(orelse, keeps)
                if then:
                    kept.append(replace(statement, then=then, orelse=orelse))
                elif orelse:
                    kept.append(
                        replace(statement, condition=Call("not", (statement.condition,)), then=orelse, orelse=())
                    )
            case _:
                assert_never(statement)
    return tuple(kept)
