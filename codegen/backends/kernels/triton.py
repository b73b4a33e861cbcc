"""Write Triton: one kernel per optimizer that does a step of all tensors of a bucket in one launch.

In: a Rule after features and its `Fused` form. Out: the text of `triton_kernels.py`. Every stream is loaded and stored
once, arithmetic is float32 (float64 for float64 parameters), and a kernel compiled for a specialisation contains only
what that one needs. Must not know how numbers of the row are computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jinja2

from thetac.codegen.backends.kernels.triton_expressions import block, conditional_lines
from thetac.codegen.emit import header
from thetac.codegen.ir.fused import Fused, Pass
from thetac.codegen.ir.nodes import Expr, Rule
from thetac.codegen.passes.naming import safe

# The sizes of a launch. They follow from compiled code and the size of a GPU (docs/triton.md, "Shape"); they were not
# tuned by measuring. A block, the elements of one pass of a program's loop, is 32 * WARPS * BITS_PER_THREAD bits.
WARPS = 4  # per program
BITS_PER_THREAD = 128  # of the parameter: the widest access; twice that takes AdamW from 56 registers to 90
CHUNK = 8192  # elements per program: 4 million elements fill 132 multiprocessors, with 16 passes (float32) for each


def render(rule: Rule, fused: Fused, environment: jinja2.Environment) -> str:
    """Return the text of `triton_kernels.py`."""
    truths = frozenset(entry.name for entry in fused.row if entry.truth)
    return environment.get_template("triton_kernels.py.jinja").render(
        header=header(rule.source),
        optimizer=rule.name,
        streams=fused.streams,
        chunk=CHUNK,
        warps=WARPS,
        bits_per_thread=BITS_PER_THREAD,
        row=[safe(entry.name) for entry in fused.row],
        specialisations=[s.name for s in fused.specialisations],
        updates=[_update(index, one, truths) for index, one in enumerate(fused.passes)],
    )


@dataclass(frozen=True, slots=True)
class _Update:
    """The text of one pass, in parts."""

    suffix: str  # of the names of its functions
    loads: list[str]
    body: list[str]
    stores: list[str]


def _update(index: int, one: Pass, truths: frozenset[str]) -> _Update:
    """Return the text of the pass of that index."""
    return _Update(
        f"_{index}" if index else "",
        _accesses("{0} = ops.load({1}_ptr + offsets, mask, math)", [(s.name, s.loaded) for s in one.streams]),
        block(one.body, truths),
        _accesses("ops.store({1}_ptr + offsets, {0}, mask)", [(s.name, s.stored) for s in one.streams]),
    )


def _accesses(template: str, streams: Sequence[tuple[str, Expr]]) -> list[str]:
    """Return loads or stores of streams, each where its condition holds.

    In the template, {0} is the variable and {1} the stream, after which the kernel's arguments are named.
    """
    return conditional_lines([(template.format(safe(name), name), condition) for name, condition in streams])
