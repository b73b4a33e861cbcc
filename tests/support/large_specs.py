"""Texts of specs of any size, and how long the compiler may take over one."""

from __future__ import annotations

import time
from collections.abc import Sequence

from thetac.codegen.pipeline import Compiled, Source, compile_specs

SECONDS = 5  # of a processor, from the text of a spec to the texts of its package


def spec(
    update: Sequence[str] = ("param = param - lr * grad",),
    hyperparameters: Sequence[str] = (),
    states: Sequence[str] = (),
    others: Sequence[str] = (),
) -> str:
    """The text of a spec; `lr` is always among its hyperparameters, in line 4."""
    lines = ["optimizer: Large", "summary: A large one.", "hyperparameters:", "  lr: {default: 0.01}"]
    lines += [f"  {line}" for line in hyperparameters]
    lines += ["state:", *(f"  {line}" for line in states)] if states else []
    return "\n".join([*lines, *others, "update: |", *(f"  {line}" for line in update), ""])


def flags(number: int) -> list[str]:
    return [f"f{i}: {{default: {'true' if i % 2 else 'false'}, doc: a flag}}" for i in range(number)]


def branches(conditions: Sequence[str], *, chained: bool = False) -> list[str]:
    """A branch for each condition, or one with all of them; each changes the direction in its own way."""
    lines = ["direction = grad"]
    for i, condition in enumerate(conditions):
        lines += [f"{'elif' if chained and i else 'if'} {condition}:", f"  direction = direction * {1 + i / 64}"]
    return [*lines, "param = param - lr * direction"]


def made(text: str, *others: str) -> Compiled:
    """The first of the specs, compiled in time."""
    started = time.process_time()
    compiled = compile_specs([Source(f"{i}.yaml", each) for i, each in enumerate((text, *others))])
    assert time.process_time() - started < SECONDS
    return compiled[0]
