"""What the checks of several processes share: a model, its training in parts and as a whole, and comparing the two.

The parts must give the bits of the whole. Gradients of two processes are added and halved, in any order the same
number, and a rule treats each element by itself. Sizes are odd, so shards are uneven, and some processes have none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Placement, Replicate, Shard, init_device_mesh

from tests.support.comparing import assert_identical
from tests.support.every_optimizer import class_of
from tests.support.runtime_helpers import states

COUNT = 2
Options = Mapping[str, object]


def make_model(seed: int = 0) -> nn.Sequential:
    """Cut in two, its weights have 2 and 1, 2 and 1, 1 and 0, 1 and 0 rows."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 1))


def loss_of(model: nn.Module, step: int, rank: int) -> Tensor:
    """On a batch of its own for each step and process."""
    batch = torch.randn(4, 5, generator=torch.Generator().manual_seed(100 * step + rank))
    loss: Tensor = (model(batch) - 0.5).square().mean()
    return loss


def train_whole(model: nn.Module, optimizer: torch.optim.Optimizer, steps: Sequence[int]) -> None:
    """In one process, on the mean of what the gradients of all processes would be."""
    for step in steps:
        give_mean_gradients(model, step)
        optimizer.step()


def give_mean_gradients(model: nn.Module, step: int) -> None:
    model.zero_grad()
    for rank in range(COUNT):
        loss_of(model, step, rank).backward()
    for param in model.parameters():
        assert param.grad is not None
        param.grad /= COUNT


def train_part(model: nn.Module, optimizer: torch.optim.Optimizer, steps: Sequence[int]) -> None:
    """The part of this process."""
    for step in steps:
        optimizer.zero_grad()
        loss_of(model, step, torch.distributed.get_rank()).backward()
        optimizer.step()


def whole_run(name: str, options: Options, steps: int) -> torch.optim.Optimizer:
    model = make_model()
    optimizer = class_of(name)(model.parameters(), **options)
    train_whole(model, optimizer, range(steps))
    return optimizer


def sharded(model: nn.Sequential) -> nn.Module:
    """Layer by layer, as FSDP2 is used."""
    mesh = init_device_mesh("cpu", (COUNT,))
    for layer in model:
        fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def full(value: object) -> object:
    """DTensors with all their values; every process calls it."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def params_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


def assert_equals_whole(parts: torch.optim.Optimizer, whole: torch.optim.Optimizer) -> None:
    """Parameters and states are equal bit for bit, whatever they are cut into; where shards are added up, nearly so."""
    rule = getattr(type(parts), "schema", None)
    compare = partial(torch.testing.assert_close, rtol=1e-5, atol=1e-6) if rule and rule.reduces else assert_identical
    for part, param in zip(params_of(parts), params_of(whole), strict=True):
        compare(full(part.detach()), param.detach())
    for part_of, entry in zip(states(parts), states(whole), strict=True):
        compare({key: full(value) for key, value in part_of.items()}, dict(entry))


def assert_close_to_whole(parts: torch.optim.Optimizer, whole: torch.optim.Optimizer, *, rtol: float) -> None:
    """The same up to the rounding of sums, which are over parts first."""
    for part, param in zip(params_of(parts), params_of(whole), strict=True):
        torch.testing.assert_close(full(part.detach()), param.detach(), rtol=rtol, atol=rtol)
    for part_of, entry in zip(states(parts), states(whole), strict=True):
        found = {key: full(value) for key, value in part_of.items()}
        torch.testing.assert_close(found, dict(entry), rtol=rtol, atol=rtol)
    schema = getattr(whole, "schema", None)  # torch's classes have none
    for name in (shared.name for shared in (schema.shared if schema is not None else ())):
        for of_parts, of_whole in zip(parts.param_groups, whole.param_groups, strict=True):
            torch.testing.assert_close(float(of_parts[name]), float(of_whole[name]), rtol=rtol, atol=rtol)


def _is_placed_like(state: DTensor, param: DTensor) -> bool:
    """Whether a state is cut along the axes that its parameter is cut along, but for those that it does not have."""
    if state.device_mesh != param.device_mesh:
        return False
    for mine, theirs in zip(state.placements, param.placements, strict=True):
        if not isinstance(theirs, Shard) or state.shape[theirs.dim] > 1:
            allowed: tuple[Placement, ...] = (theirs,)
        elif param.shape[theirs.dim] > 1:
            allowed = (Replicate(),)
        else:  # whether a state of that size has the axis cannot be seen
            allowed = (theirs, Replicate())
        if mine not in allowed:
            return False
    return True


def assert_placed_like_parameters(optimizer: torch.optim.Optimizer) -> None:
    """State with a number per element, row or column is a DTensor, placed like its parameter; counters are plain."""
    for param, entry in zip(params_of(optimizer), states(optimizer), strict=True):
        assert isinstance(param, DTensor)
        for name, value in entry.items():
            if not isinstance(value, DTensor):
                assert type(value) is Tensor, name
                assert value.dim() == 0 or value.shape != param.shape, name
                continue
            assert _is_placed_like(value, param), name
            if value.shape == param.shape and value.placements == param.placements:
                assert value._local_tensor.shape == param._local_tensor.shape, name


def plans_made(optimizer: torch.optim.Optimizer) -> dict[str, int]:
    stepper = getattr(optimizer, "_stepper", None)
    return {} if stepper is None else dict(stepper.plans_made)
