"""Find which assignments give a name its value where it is read.

In: statements of a kernel. Out: for each assignment, by its place in the text, the assignments that each name it reads
may come from. Must not know kinds, nor what is done with the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from thetac.codegen.ir.fused import ElementAssign, ElementIf, ElementStmt
from thetac.codegen.ir.nodes import names_read

Places = frozenset[int]  # of assignments, counted in the order of the text

BEFORE = -1  # the place of the value that a name has before the statements
_UNCHANGED = frozenset({BEFORE})


@dataclass(frozen=True, slots=True)
class Reaching:
    """The assignments of a body in the order of the text, and where the values that they read come from."""

    assignments: tuple[ElementAssign, ...]
    read: tuple[Mapping[str, Places], ...]  # of each assignment: of each name that its value reads
    final: Mapping[str, Places]  # of each assigned name, after all statements


def reaching(body: Sequence[ElementStmt]) -> Reaching:
    """Return the reaching assignments of statements."""
    walk = _Walk()
    final = walk.block(body, {})
    return Reaching(tuple(walk.assignments), tuple(walk.read), final)


class _Walk:
    def __init__(self) -> None:
        self.assignments: list[ElementAssign] = []
        self.read: list[Mapping[str, Places]] = []

    def block(self, body: Sequence[ElementStmt], known: Mapping[str, Places]) -> Mapping[str, Places]:
        """Return the places of the values of names after statements, from those before them."""
        now = dict(known)
        for statement in body:
            match statement:
                case ElementAssign(target=target, value=value):
                    self.read.append({name: now.get(name, _UNCHANGED) for name in names_read(value)})
                    now[target] = frozenset({len(self.assignments)})
                    self.assignments.append(statement)
                case ElementIf(then=then, orelse=orelse):
                    sides = [self.block(side, now) for side in (then, orelse)]
                    names = dict.fromkeys((*sides[0], *sides[1]))
                    now = {name: sides[0].get(name, _UNCHANGED) | sides[1].get(name, _UNCHANGED) for name in names}
                case _:
                    assert_never(statement)
        return now
