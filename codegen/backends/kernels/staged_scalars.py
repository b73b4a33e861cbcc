"""Write the host's part of a fused step that waits for totals: the numbers that kernels read, stage by stage.

In: a Rule after features and its `Fused` form, whose parameters wait for each other or share numbers. Out: the text of
`scalars.py`: `scalars` on Python floats, a generator that yields the numbers that are known so far and is sent totals.
Must not know how elements, or the terms of totals, are computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

import jinja2

from thetac.codegen.backends.kernels.scalar_program import (
    INDENT,
    Program,
    number_text,
    program_on_floats,
    tuple_text,
)
from thetac.codegen.backends.printing.escaping import uses
from thetac.codegen.ir.fused import Fused, Total
from thetac.codegen.ir.nodes import Assign, Rule, Scope, Stmt
from thetac.codegen.ir.totals import is_total


def render(rule: Rule, fused: Fused, environment: jinja2.Environment) -> str:
    """Return the text of `scalars.py`."""
    barriers = [tuple(together) for _, together in groupby(fused.totals, key=attrgetter("passes"))]
    body = _StagedProgram(rule, fused).stages(barriers)
    return environment.get_template("staged_scalars.py.jinja").render(
        **program_on_floats(rule, fused, body),
        barriers=[
            (
                together[0].passes,
                tuple_text([str(total.scope is Scope.GROUP) for total in together]),
                ", ".join(total.term for total in together),
            )
            for together in barriers
        ],
        row=[number_text(entry) for entry in fused.row if entry.after >= _first_of_last_stage(barriers)],
        shared=fused.shared,
        uses_scalar_math=uses("scalar_math", body),
    )


def _first_of_last_stage(barriers: Sequence[Sequence[Total]]) -> int:
    """Return how many totals have to be known for a number that the last stage adds; 0 if there is one stage."""
    return sum(map(len, barriers[:-1])) + 1 if barriers else 0


class _StagedProgram(Program):
    """The scalar program with a `yield` at each barrier."""

    def stages(self, barriers: Sequence[Sequence[Total]]) -> list[str]:
        """Return the lines of the whole program; `barriers` are the totals that it waits for together."""
        at_first = {together[0].target: together for together in barriers}
        lines: list[str] = []
        known, yielded = 0, 0  # totals, numbers of the row
        segment: list[Stmt] = []
        for statement in self.fused.host:
            if not (isinstance(statement, Assign) and is_total(statement.value)):
                segment.append(statement)
            elif (together := at_first.get(statement.target)) is not None:
                lines += self.lines(segment)
                segment.clear()
                row = [number_text(entry) for entry in self.fused.row if entry.after <= known][yielded:]
                lines += _wait(together, row)
                known, yielded = known + len(together), yielded + len(row)
        return [*lines, *self.lines(segment)]


def _wait(together: Sequence[Total], row: Sequence[str]) -> list[str]:
    """Return the lines that yield numbers of the row and receive totals."""
    names = ", ".join(total.target for total in together)
    names = names if len(together) > 1 else f"({names},)"
    return [f"{names} = yield (", *(f"{INDENT}{number}," for number in row), ")"]
