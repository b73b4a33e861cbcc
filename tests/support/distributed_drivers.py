"""Checks of steps that evaluate again, on two processes that each have a part of the parameters, or of the batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor, init_device_mesh
from torch.nn.parallel import DistributedDataParallel

import thetac
from tests.support.comparing import assert_identical
from tests.support.distributed_helpers import (
    COUNT,
    Options,
    assert_close_to_whole,
    assert_placed_like_parameters,
    full,
    give_mean_gradients,
    loss_of,
    make_model,
    sharded,
)
from thetac.runtime.drivers.random_numbers import rademacher_like

STEPS = 5


def sharp(model: torch.nn.Module, options: Options) -> Any:
    made: Any = thetac.compose("AdamW", sam={"rho": 0.3, "adaptive": True})
    return made(model.parameters(), lr=0.02, **options)


def whole_run(options: Options) -> torch.optim.Optimizer:
    """In one process, on the mean of the gradients of all."""
    model = make_model()
    optimizer = sharp(model, options)
    for step in range(STEPS):

        def closure(step: int = step) -> float:
            give_mean_gradients(model, step)
            return 0.0

        optimizer.step(closure)
    return optimizer  # type: ignore[no-any-return]


def train(model: torch.nn.Module, optimizer: Any) -> None:
    for step in range(STEPS):

        def closure(step: int = step) -> Tensor:
            optimizer.zero_grad()
            loss = loss_of(model, step, torch.distributed.get_rank())
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimizer.step(closure)


def perturbs_shards(options: Options) -> None:
    """Perturbed by the length of all gradients; each process restores what it has, to the bit."""
    model = sharded(make_model())
    optimizer = sharp(model, options)
    loss_of(model, 0, torch.distributed.get_rank()).backward()  # type: ignore[no-untyped-call]
    before = [param.to_local().detach().clone() for param in optimizer.param_groups[0]["params"]]
    optimizer.first_step()
    assert any(map(different, before, optimizer.param_groups[0]["params"]))
    optimizer.restore()
    assert not any(map(different, before, optimizer.param_groups[0]["params"]))
    train(model, optimizer)
    assert_placed_like_parameters(optimizer)
    assert_close_to_whole(optimizer, whole_run(options), rtol=1e-5)


def different(before: Tensor, param: DTensor) -> bool:
    return bool(before.numel()) and not torch.equal(before, param.to_local())


def perturbs_replicas(options: Options) -> None:
    """Under DDP: equal on both processes, to the bit, and the run of one process to rounding."""
    model = make_model()
    replicated = DistributedDataParallel(model)
    optimizer = sharp(replicated, options)
    train(replicated, optimizer)
    for param in model.parameters():
        found = [torch.empty_like(param) for _ in range(COUNT)]
        torch.distributed.all_gather(found, param.detach())
        assert_identical(found[0], found[1])
    assert_close_to_whole(optimizer, whole_run(options), rtol=1e-5)


def curved_loss(params: list[Any]) -> Tensor:
    """On one process, or on tensors that several share."""
    terms = [(param**4).sum() + (3 * param).sin().sum() + 0.3 * param.sum() ** 2 for param in params]
    return terms[0] + terms[1]


def curved_run(params: list[Any], options: Options, loss: Callable[[], Tensor]) -> Any:
    optimizer = thetac.AdaHessian(params, lr=0.01, seed=5, **options)  # type: ignore[arg-type]
    for _ in range(STEPS):
        optimizer.step(loss)
    return optimizer


def estimates_on_shards(options: Options) -> None:
    """The probes of a shard are those of its elements in the whole, so that estimates are those of one process."""
    mesh = init_device_mesh("cpu", (COUNT,))
    generator = torch.Generator().manual_seed(3)
    values = [torch.randn(shape, generator=generator) for shape in ((7, 20), (5, 3, 2))]
    for placements in ([Shard(0)], [Shard(1)], [Replicate()]):
        parts = [torch.nn.Parameter(distribute_tensor(value.clone(), mesh, placements)) for value in values]
        for number, part in enumerate(parts):
            assert_identical(
                full(rademacher_like(part.detach(), 5, number, 2)), rademacher_like(values[number], 5, number, 2)
            )

        def loss(parts: list[Any] = parts) -> Tensor:
            found = curved_loss(parts)
            assert isinstance(found, DTensor)
            return found.full_tensor()

        ours = curved_run(parts, options, loss)
        assert_placed_like_parameters(ours)
        whole = [torch.nn.Parameter(value.clone()) for value in values]
        assert_close_to_whole(ours, curved_run(whole, options, lambda whole=whole: curved_loss(whole)), rtol=1e-5)  # type: ignore[misc]
