"""The floor on a GPU: a Triton kernel that moves as many streams as a step's passes, and computes nothing.

In: elements and streams of each pass. Out: a function that moves them, in one launch per pass over
tensors of its own. As in floor.cpp, what is written is what was there, behind an operation that the compiler cannot see
through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import triton
import triton.language as tl

BLOCK = 4096
MOST_STREAMS = 6


@dataclass(frozen=True, slots=True)
class Moves:
    """How many tensors, as large as the parameters, a pass moves."""

    read: int  # only
    written: int  # and read

    @property
    def moves(self) -> int:
        """How often an element goes from memory or to it."""
        return self.read + 2 * self.written


@triton.jit  # type: ignore[untyped-decorator]
def _move(a, b, c, d, e, f, zero, count, READ: tl.constexpr, STREAMS: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    none = tl.zeros((BLOCK,), dtype=tl.int32)
    streams: tl.constexpr = tl.tuple((a, b, c, d, e, f))
    for index in tl.static_range(STREAMS):
        stream = streams[index]
        if index < READ:
            none |= tl.load(stream + at, mask=inside, other=0) & zero
        else:
            tl.store(stream + at, tl.load(stream + at, mask=inside, other=0) ^ none, mask=inside)


def floor(passes: Sequence[tuple[int, Moves]], device: str) -> Callable[[], None]:
    """Return a function that moves streams of 32 bits, each pass those of so many elements.

    Raises:
        ValueError: A pass moves more than `MOST_STREAMS` tensors.
    """
    most = max(one.read + one.written for _, one in passes)
    if most > MOST_STREAMS:
        raise ValueError(f"the floor moves at most {MOST_STREAMS} tensors, not {most}")
    made = [torch.ones(max(elements for elements, _ in passes), dtype=torch.int32, device=device) for _ in range(most)]
    streams = [*made, *[made[0]] * (MOST_STREAMS - most)]  # the kernel does not touch the last ones
    # A number of 0 or 1 would be compiled into the kernel, and with it the loads of what is read would go away.
    zero = 1 << 30

    def move() -> None:
        for elements, one in passes:
            grid = (triton.cdiv(elements, BLOCK),)
            _move[grid](*streams, zero, elements, READ=one.read, STREAMS=one.read + one.written, BLOCK=BLOCK)

    return move
