"""What a perturbation costs beside its streams: from the gradients to the other point, and back.

In: an algorithm whose rule has a piece `perturb`, shapes by name, seconds. Out: a dictionary for a JSON file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import torch
from torch import Tensor

import thetac
from benchmarks.contestants import gradients, parameters
from benchmarks.floor import Moved, move_streams
from benchmarks.shapes import ALL
from benchmarks.timing import Timed, take_turns
from thetac.codegen.cli.library import compile_named
from thetac.codegen.ir.fused import Pass
from thetac.codegen.passes.analysis.boolean_algebra import condition, holds
from thetac.runtime.drivers.pieces import schemas_of
from thetac.runtime.implementations.fused import specialisations_of
from thetac.runtime.implementations.tables import HEADER
from thetac.runtime.schema import Group, Schema

PERTURB = "perturb"


def perturbation(algorithm: str, shapes: str, budget: float) -> dict[str, object]:
    """`first_step` and `restore`, over moving their streams: to the copies, those of each pass, and back."""
    grads = gradients(ALL[shapes])
    params = parameters(grads)
    optimizer = getattr(thetac, algorithm)(params)

    def perturb() -> None:
        optimizer.first_step()
        optimizer.restore()

    perturb()
    (piece,) = [one for one in compile_named(algorithm).pieces if one.module == PERTURB]
    schema = schemas_of(optimizer.schema)[PERTURB]
    copies = [torch.empty_like(param) for param in params]  # alive as long as they are moved
    move = _floor(piece.fused.passes, schema, optimizer.param_groups[0], params, copies)
    functions = {"ours fused": Timed(perturb), "floor": Timed(move)}
    rounds = take_turns(functions, budget)
    return {
        "kind": "perturbation",
        "algorithm": algorithm,
        "shapes": shapes,
        "times": {label: asdict(rounds.time(label)) for label in functions},
        "ratios": {"ours fused / floor": asdict(rounds.ratio("ours fused", "floor"))},
    }


def _floor(
    passes: Sequence[Pass], schema: Schema, group: Group, params: Sequence[Tensor], copies: Sequence[Tensor]
) -> Callable[[], None]:
    """Return a function that moves the streams of the copies, of all passes, and of the way back."""
    known = specialisations_of(schema, group, {})

    def move(written: tuple[str, ...], read: tuple[str, ...]) -> Callable[[], None]:
        rows = []
        for param, copy in zip(params, copies, strict=True):
            tensors = {"param": param, "grad": param.grad, "copy": copy}
            streams = [one.data_ptr() for name in (*written, *read) if (one := tensors[name]) is not None]
            rows.append([param.numel(), *[0] * (HEADER - 1), *streams])
        return move_streams(torch.tensor(rows, dtype=torch.int64), Moved(written, read))

    moves = [move(("copy",), ("param",))]
    for one in passes:
        stored = tuple(use.name for use in one.streams if holds(condition(use.stored), known))
        loaded = tuple(use.name for use in one.streams if holds(condition(use.loaded), known))
        moves.append(move(stored, tuple(name for name in loaded if name not in stored)))
    moves.append(move(("param",), ("copy",)))

    def move_all() -> None:
        for one in moves:
            one()

    return move_all
