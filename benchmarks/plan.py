"""What is measured: everything, or what can be measured while one waits.

Out: a `Plan`, a list of cases of each kind. Must not know how any of them is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmarks.contestants import (
    AUTHORS,
    BY_HAND,
    COMPILED,
    OTHERS,
    OURS,
    THEIR_PACKAGES,
    TORCH,
    algorithms,
    evaluates_again,
    takes_rows_alone,
)
from benchmarks.shapes import GRID, MODELS

SMALL, MIDDLE, LARGE = "500 x 1,000", "160 ResNet-like", "GPT-2 124M"
FUSED = ("ours fused", "torch fused", "torch foreach", BY_HAND)  # in the order in which memory is given to them
WAITING = ("ours fused", AUTHORS)
OF_SEVERAL_PASSES = ("LAMB", "LARS", "NovoGrad", "StableAdamW", "CAME", "Prodigy")

Case = tuple[str, str, tuple[str, ...]]  # algorithm, shapes, contestants


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured: cases, or algorithms where a kind has the same case for all."""

    budget: float  # seconds per case
    steady: Sequence[Case] = ()
    fresh: Sequence[Case] = ()  # with new gradients in every step
    memory: Sequence[str] = ()
    training: Sequence[str] = ()
    denormal: Sequence[str] = ()
    python: Sequence[str] = ()
    cold: Sequence[tuple[str, int]] = ()  # algorithm, tensors
    compiled: Sequence[Case] = ()
    rows: Sequence[str] = ()  # on sparse gradients
    perturbation: Sequence[tuple[str, str]] = ()  # algorithm, shapes
    minimization: Sequence[tuple[str, int]] = ()  # algorithm, elements


def full(names: Sequence[str] | None = None) -> Plan:
    """About half an hour on two cores, a third of which torch.compile takes."""
    chosen, by_rows = _apart(names)
    # What is told of some stands for others of their kind: as torch has them, and with one, two or three passes.
    several = tuple(name for name in chosen if hasattr(torch.optim, name) or name in OF_SEVERAL_PASSES)
    steady: list[Case] = [(name, SMALL, (*OURS, *TORCH, *OTHERS, BY_HAND)) for name in several]
    steady += [(name, MIDDLE, FUSED) for name in several]
    steady += [(name, LARGE, FUSED) for name in chosen]
    steady += [(name, shapes, WAITING) for shapes in (SMALL, LARGE) for name in _among(chosen, *THEIR_PACKAGES)]
    steady += [(name, "500 x 10", (*OURS, *TORCH, *OTHERS, BY_HAND)) for name in _among(chosen, "AdamW", "SGD")]
    steady += [(name, shapes, FUSED) for shapes in (*MODELS, *GRID) for name in _among(chosen, "AdamW")]
    fresh: list[Case] = [(name, SMALL, FUSED) for name in several]
    fresh += [(name, MIDDLE, FUSED) for name in _among(chosen, "AdamW", "NAdam", "SGD")]
    cold = [("AdamW", tensors) for tensors in (10, 40, 160) if "AdamW" in chosen]
    return Plan(
        1.0,
        steady=tuple(dict.fromkeys(steady)),
        fresh=fresh,
        memory=several,
        training=_among(chosen, "AdamW", "NAdam", "SGD"),
        denormal=several,
        python=several,
        cold=(*cold, *((name, 160) for name in _among(chosen, "NAdam"))),
        compiled=[(name, MIDDLE, ("ours fused", COMPILED)) for name in chosen if hasattr(torch.optim, name)],
        rows=by_rows,
        perturbation=[(name, LARGE) for name in _among(names or algorithms(), "SAM")],
        minimization=[(name, size) for name in _among(names or algorithms(), "LBFGS") for size in (1_000_000, 1_000)],
    )


def quick(names: Sequence[str] | None = None) -> Plan:
    """Under two minutes on two cores: without torch.compile, and without what takes gigabytes."""
    chosen, by_rows = _apart(names)
    first = _among(chosen, "AdamW") or chosen[:1]
    steady: list[Case] = [(name, SMALL, (*OURS, *TORCH)) for name in chosen]
    steady += [(name, shapes, FUSED) for shapes in ("500 x 10", MIDDLE, "ResNet-50") for name in first]
    return Plan(
        0.3,
        steady=steady,
        fresh=[(name, SMALL, FUSED) for name in first],
        memory=first,
        training=first,
        denormal=first,
        python=first,
        rows=by_rows,
    )


def _apart(names: Sequence[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the algorithms that dense gradients measure, and those that sparse ones do."""
    chosen = tuple(name for name in names or algorithms() if not evaluates_again(name))
    by_rows = tuple(name for name in chosen if takes_rows_alone(name))
    return tuple(name for name in chosen if name not in by_rows), by_rows


def _among(chosen: Sequence[str], *names: str) -> tuple[str, ...]:
    return tuple(name for name in names if name in chosen)
