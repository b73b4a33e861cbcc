"""What processes do to check minimizations: each evaluates its share of the data, and all go the same way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor, init_device_mesh

from tests.support.distributed_helpers import COUNT, make_model
from tests.support.every_optimizer import ours
from thetac.runtime.drivers.sums import Sums, sums_of

STEPS = 3
Options = Mapping[str, Any]


def train(model: nn.Module, optimizer: torch.optim.Optimizer, loss: Callable[[], Tensor]) -> list[Any]:
    """Return the losses of some steps."""

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value.detach()

    return [optimizer.step(closure) for _ in range(STEPS)]  # type: ignore[arg-type]


def trained_whole(name: str, options: Options) -> nn.Module:
    """A model after the same steps in one process, on the data of all."""
    model = make_model().double()
    optimizer = ours(name)(model.parameters(), **options)
    train(model, optimizer, lambda: sum_of_losses(model) / COUNT)
    return model


def sum_of_losses(model: nn.Module) -> Tensor:
    first, *others = (loss_in_double(model, rank) for rank in range(COUNT))
    for one in others:
        first = first + one
    return first


def loss_in_double(model: nn.Module, rank: int) -> Tensor:
    batch = torch.randn(4, 5, generator=torch.Generator().manual_seed(rank), dtype=torch.float64)
    loss: Tensor = (model(batch) - 0.5).square().mean()
    return loss


def whole(param: Tensor) -> Tensor:
    full = param.full_tensor() if isinstance(param, DTensor) else param
    return full.detach()


def assert_goes_as_whole(model: nn.Module, name: str, options: Options) -> None:
    """Parameters are those of one process to rounding, and the same in all processes to the bit."""
    start = make_model().double()
    for mine, wanted, before in zip(
        model.parameters(), trained_whole(name, options).parameters(), start.parameters(), strict=True
    ):
        found = whole(mine)
        moved = (wanted.detach() - before.detach()).norm()
        assert (found - wanted).norm() <= 1e-9 * moved, (name, options)
        others = [torch.empty_like(found) for _ in range(COUNT)]
        torch.distributed.all_gather(others, found.contiguous())
        assert all(torch.equal(one, found) for one in others)


def minimizes_fully_sharded(name: str, options: Options) -> None:
    model = make_model().double()
    for layer in model:
        if isinstance(layer, nn.Linear):
            fully_shard(layer)
    fully_shard(model)
    optimizer = ours(name)(model.parameters(), **options)
    rank = torch.distributed.get_rank()
    train(model, optimizer, lambda: loss_in_double(model, rank))
    counts = torch.tensor([entry[key] for entry in optimizer.state.values() for key in ("func_evals", "n_iter")])
    others = [torch.empty_like(counts) for _ in range(COUNT)]
    torch.distributed.all_gather(others, counts)
    assert all(torch.equal(one, counts) for one in others)
    assert_goes_as_whole(model, name, options)


def minimizes_with_ddp(name: str, options: Options) -> None:
    """The closure returns the mean loss, as docs/drivers.md asks for."""
    model = make_model().double()
    wrapped = nn.parallel.DistributedDataParallel(model)
    optimizer = ours(name)(model.parameters(), **options)
    rank = torch.distributed.get_rank()

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = loss_in_double(wrapped, rank)
        loss.backward()
        mean = loss.detach().clone()
        torch.distributed.all_reduce(mean)
        return mean / COUNT

    for _ in range(STEPS):
        optimizer.step(closure)  # type: ignore[arg-type]
    assert_goes_as_whole(model, name, options)


def reduces_whole_vectors() -> None:
    """Of parameters sharded unevenly, replicated, and in this process alone, in this order."""
    mesh = init_device_mesh("cpu", (COUNT,))
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((5, 3), (1, 2), (4,), (3,))]
    placed = [
        distribute_tensor(values[0], mesh, [Shard(0)]),
        distribute_tensor(values[1], mesh, [Shard(0)]),
        distribute_tensor(values[2], mesh, [Replicate()]),
        values[3],
    ]

    def flat(tensors: list[Tensor]) -> Tensor:
        return torch.cat([(t.to_local() if isinstance(t, DTensor) else t).reshape(-1) for t in tensors])

    mine, everything = flat(placed), torch.cat([value.reshape(-1) for value in values])
    sums = sums_of(placed, [flat([one]).numel() for one in placed])
    exact = Sums(everything.numel())
    torch.testing.assert_close(sums.dot(mine, mine), exact.dot(everything, everything))
    for name in ("sum", "mean", "norm", "max", "min", "largest_abs"):
        found, wanted = getattr(sums, name)(mine), getattr(exact, name)(everything)
        torch.testing.assert_close(found, wanted)
        assert found.dim() == 0
        if torch.distributed.get_rank() == 0:
            mine = mine.clone()
            mine[0] = math.nan
        assert getattr(sums, name)(mine).isnan(), name
        mine = flat(placed)
    assert sums.agreed(torch.distributed.get_rank()) == (COUNT - 1) / 2
