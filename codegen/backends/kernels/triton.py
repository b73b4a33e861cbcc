"""Write Triton: the kernels of an optimizer that do a step of all tensors of a bucket.

In: a Rule after features and its `Fused` form. Out: the text of `triton_kernels.py`. There is one kernel for the sweep
of each pass, and one for each tensor program. In a sweep every stream is loaded and stored once, arithmetic is float32
(float64 for float64 parameters), and a kernel compiled for a specialisation contains only what that one needs. Must not
know how numbers of the row are computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import jinja2

from thetac.codegen.backends.kernels.scalar_program import tuple_text
from thetac.codegen.backends.kernels.triton_expressions import condition_text
from thetac.codegen.backends.kernels.triton_programs import TensorProgram
from thetac.codegen.backends.kernels.triton_scratch import Scratch, count
from thetac.codegen.backends.kernels.triton_sweeps import BITS_PER_THREAD, CHUNK, WARPS, Sweep, Sweeps, words_of
from thetac.codegen.emit import header
from thetac.codegen.ir.fused import Fused
from thetac.codegen.ir.nodes import Rule
from thetac.codegen.passes.naming import pass_suffix, safe


@dataclass(frozen=True, slots=True)
class _Program:
    """The text of a tensor program, in parts."""

    suffix: str  # of the name of its kernel
    title: str
    divides: bool
    row: list[tuple[int, str]]
    small: list[tuple[int, str]]
    lines: list[str]
    words: frozenset[str]  # of the lines

    @property
    def has_extents(self) -> bool:
        """Whether it asks how many matrices, rows, columns or tiles there are."""
        return not self.words.isdisjoint({"matrices", "height", "width", "across", "down", "last_matrix"})


@dataclass(frozen=True, slots=True)
class _Pass:
    """The text of a pass, in parts."""

    program: _Program | None
    sweep: Sweep | None
    terms: _Program | None  # what completes terms of totals after the sweep, before the next program can be run
    folds: str


def render(rule: Rule, fused: Fused, environment: jinja2.Environment) -> str:
    """Return the text of `triton_kernels.py`."""
    scratch = Scratch(fused)
    programs = [TensorProgram(fused, index, scratch) for index in range(len(fused.passes))]  # may add to the scratch
    after = [[total.term for total in fused.totals if total.passes == index + 1] for index in range(len(programs))]
    terms = [TensorProgram(fused, index + 1, scratch, only=names) for index, names in enumerate(after)]
    sweeps = Sweeps(fused, scratch)
    several = len(fused.passes) > 1 or not programs[0].is_empty
    return environment.get_template("triton_kernels.py.jinja").render(
        header=header(rule.source),
        optimizer=rule.name,
        streams=fused.streams,
        small=[state.name for state in fused.small],
        columns=len(fused.streams) + len(fused.small),
        chunk=CHUNK,
        warps=WARPS,
        bits_per_thread=BITS_PER_THREAD,
        row=[safe(entry.name) for entry in fused.row],
        specialisations=[s.name for s in fused.specialisations],
        scratch=_counts(len(scratch.numbers), scratch.counts.arguments) if several else "",
        axes=fused.has_axes,
        has_vectors=condition_text(scratch.has_vectors),
        count_of_numbers=len(scratch.numbers),
        geometry_columns=scratch.columns,
        terms=tuple_text([str(scratch.numbers[total.term]) for total in fused.totals]) if fused.totals else "",
        passes=[
            _Pass(
                _program(pass_suffix(index), f"What is computed once per tensor before sweep {index}", program),
                sweeps.sweep(index, one),
                _program(f"_for_totals_{index}", f"What each tensor adds to totals after sweep {index}", for_totals),
                _counts(
                    sum(fold.dims is None for fold in one.folds),
                    count(fold.dims for fold in one.folds).arguments,
                ),
            )
            for index, (program, one, for_totals) in enumerate(zip(programs, fused.passes, terms, strict=True))
        ],
    )


def _program(suffix: str, title: str, program: TensorProgram) -> _Program | None:
    """Return the text of a tensor program; None if it does nothing."""
    if program.is_empty:
        return None
    lines = program.lines()
    return _Program(suffix, title, program.divides, program.row, program.small, lines, words_of(lines))


def _counts(per_parameter: int, others: str) -> str:
    return f"passes.Counts({per_parameter}, {others})"
