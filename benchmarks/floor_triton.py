"""The floor on a GPU: a Triton kernel that moves as many streams as a step, and computes nothing.

In: a number of elements and of states. Out: a function that moves them, in one launch over tensors of its own. As in
floor.cpp, what is written is what was there, behind an operation that the compiler cannot see through.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import triton
import triton.language as tl

BLOCK = 4096
MOST_STATES = 4


@triton.jit  # type: ignore[untyped-decorator]
def _move(param, grad, a, b, c, d, zero, count, STATES: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    none = tl.load(grad + at, mask=inside, other=0) & zero
    tl.store(param + at, tl.load(param + at, mask=inside, other=0) ^ none, mask=inside)
    if STATES > 0:
        tl.store(a + at, tl.load(a + at, mask=inside, other=0) ^ none, mask=inside)
    if STATES > 1:
        tl.store(b + at, tl.load(b + at, mask=inside, other=0) ^ none, mask=inside)
    if STATES > 2:
        tl.store(c + at, tl.load(c + at, mask=inside, other=0) ^ none, mask=inside)
    if STATES > 3:
        tl.store(d + at, tl.load(d + at, mask=inside, other=0) ^ none, mask=inside)


def floor(elements: int, states: int, device: str) -> Callable[[], None]:
    """For streams of 32 bits."""
    if states > MOST_STATES:
        raise ValueError(f"the floor moves at most {MOST_STATES} states, not {states}")
    made = [torch.ones(elements, dtype=torch.int32, device=device) for _ in range(2 + states)]
    streams = [*made, *[made[0]] * (MOST_STATES - states)]  # the kernel does not touch the last ones
    # A number of 0 or 1 would be compiled into the kernel, and with it the loads of the gradient would go away.
    zero = 1 << 30

    def move() -> None:
        _move[(triton.cdiv(elements, BLOCK),)](*streams, zero, elements, STATES=states, BLOCK=BLOCK)

    return move
