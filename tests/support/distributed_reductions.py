"""What the processes of `distributed_workers` do with rules that have sums over parameters, rows and columns.

A rule is the text of a spec. Sums over several processes are rounded otherwise than those of one, so a run in parts is
compared with a whole one within rounding. Between processes nothing may differ, or they would drift apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Placement, Replicate, Shard, distribute_tensor, init_device_mesh

import thetac
from tests.support.distributed_checks import load, save
from tests.support.distributed_helpers import (
    COUNT,
    Options,
    assert_close_to_whole,
    full,
    make_model,
    params_of,
    sharded,
    train_part,
    train_whole,
)
from tests.support.runtime_helpers import states
from thetac.runtime.optimizer import Optimizer

# Shards of them are uneven, or empty in one process.
SHAPES = ((5, 3), (4, 2), (1, 4), (3, 1), (2, 3, 4), (3,), (1,), ())
REASON = "the parameter is distributed, and its rule has sums over all of it"


def trains_on_placements(text: str, placements: Sequence[Placement], options: Options) -> None:
    """Parameters of many shapes in float64, where what is not rounding shows."""
    mesh = init_device_mesh("cpu", (COUNT,))
    generator = torch.Generator().manual_seed(0)
    shapes = [shape for shape in SHAPES if all(getattr(p, "dim", 0) < max(len(shape), 1) for p in placements)]
    if placements != [Replicate()]:
        shapes = [shape for shape in shapes if shape]  # no axis to cut

    def draw(shape: Sequence[int]) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    values = [draw(shape) for shape in shapes]
    parts = [nn.Parameter(distribute_tensor(value, mesh, placements)) for value in values]
    wholes = [nn.Parameter(value.clone()) for value in values]
    of_parts = thetac.load(text)(parts, **options)
    of_wholes = thetac.load(text)(wholes, foreach=False)
    for _ in range(3):
        for part, whole in zip(parts, wholes, strict=True):
            whole.grad = draw(whole.shape)
            part.grad = distribute_tensor(whole.grad, mesh, placements)
        of_parts.step()
        of_wholes.step()
    assert_close_to_whole(of_parts, of_wholes, rtol=1e-12)
    assert_equal_in_all_processes(of_parts)
    assert_placed(of_parts)
    assert REASON in of_parts.explain()


def trains_fully_sharded(text: str, options: Options) -> None:
    """FSDP2, with gradients of its own."""
    model = sharded(make_model())
    optimizer = thetac.load(text)(model.parameters(), **options)
    train_part(model, optimizer, range(4))
    assert_close_to_whole(optimizer, whole_run(text, options, 4), rtol=1e-5)
    assert_equal_in_all_processes(optimizer)
    assert_placed(optimizer)


def whole_run(text: str, options: Options, steps: int) -> torch.optim.Optimizer:
    model = make_model()
    optimizer: torch.optim.Optimizer = thetac.load(text)(model.parameters(), **{**options, "foreach": False})
    train_whole(model, optimizer, range(steps))
    return optimizer


def save_sharded(text: str, folder: Path, steps: int) -> None:
    model = sharded(make_model())
    optimizer = thetac.load(text)(model.parameters())
    train_part(model, optimizer, range(steps))
    save(model, optimizer, folder)


def load_sharded(text: str, folder: Path, steps: Sequence[int]) -> None:
    """Goes on from a checkpoint to where an unbroken run ends."""
    model = sharded(make_model(seed=1))
    optimizer = thetac.load(text)(model.parameters())
    load(model, optimizer, folder)
    assert_placed(optimizer)
    train_part(model, optimizer, steps)
    assert_close_to_whole(optimizer, whole_run(text, {}, steps[-1] + 1), rtol=1e-5)


def assert_equal_in_all_processes(optimizer: torch.optim.Optimizer) -> None:
    """What every process has is the same in every bit."""
    assert isinstance(optimizer, Optimizer)
    shared = [float(group[one.name]) for group in optimizer.param_groups for one in optimizer.schema.shared]
    if shared:
        here = torch.tensor(shared, dtype=torch.float64)
        first = here.clone()
        torch.distributed.broadcast(first, 0)
        assert torch.equal(first, here)
    for param, entry in zip(params_of(optimizer), states(optimizer), strict=True):
        for value in (param.detach(), *entry.values()):
            if isinstance(value, DTensor) and not all(p.is_replicate() for p in value.placements):
                continue
            here = value._local_tensor if isinstance(value, DTensor) else value
            assert isinstance(here, Tensor)
            first = here.clone()
            torch.distributed.broadcast(first, 0)
            assert torch.equal(first, here), f"{here} here, {first} in process 0"


def _lacking(name: str, rank: int) -> set[int]:
    """The axes of a parameter that a state of this name has not: of rows and columns, of a matrix of all of it."""
    rest = set(range(1, rank))
    return {"row": {rank - 1}, "column": {rank - 2}, "unit": rest, "block": rest, "place": {0}}.get(name, set())


def assert_placed(optimizer: torch.optim.Optimizer) -> None:
    """A state is cut along the axes that it has, as its parameter is; a number is plain."""
    numbers = ("step", "second")
    for param, entry in zip(params_of(optimizer), states(optimizer), strict=True):
        assert isinstance(param, DTensor)
        for name, value in entry.items():
            if name in numbers:
                assert type(value) is Tensor, name
                assert value.dim() == 0, name
                continue
            assert isinstance(value, DTensor), name
            lacking = _lacking(name, param.dim())
            cut = [placement not in [Shard(axis) for axis in lacking] for placement in param.placements]
            expected = [old if is_cut else Replicate() for old, is_cut in zip(param.placements, cut, strict=True)]
            assert list(value.placements) == expected, name
            whole = full(value)
            assert isinstance(whole, Tensor)
            assert list(whole.shape) == [1 if at in lacking else size for at, size in enumerate(param.shape)], name
