"""What the processes of tests/distributed_workers.py do together: train in parts, and compare with the whole.

The parts must give the bits of the whole. Gradients of two processes are added and halved, in any order the same
number, and a rule treats each element by itself. Sizes are odd, so shards are uneven, and some processes have none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp
from runtime_helpers import assert_identical, picture, states
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.fsdp import fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.distributed.tensor import (
    DeviceMesh,
    DTensor,
    Partial,
    Placement,
    Replicate,
    Shard,
    distribute_tensor,
    init_device_mesh,
)
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode

import thetac

COUNT = 2
Options = Mapping[str, object]


def optimizer_class(name: str) -> type[torch.optim.Optimizer]:
    """Ours, or torch's own as `torch.AdamW`: a control of what is tested here."""
    cls = getattr(torch.optim, name.removeprefix("torch.")) if name.startswith("torch.") else getattr(thetac, name)
    assert issubclass(cls, torch.optim.Optimizer)
    return cls


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
        optimizer.zero_grad()
        for rank in range(COUNT):
            loss_of(model, step, rank).backward()
        for param in model.parameters():
            assert param.grad is not None
            param.grad /= COUNT
        optimizer.step()


def train_part(model: nn.Module, optimizer: torch.optim.Optimizer, steps: Sequence[int]) -> None:
    """The part of this process."""
    for step in steps:
        optimizer.zero_grad()
        loss_of(model, step, torch.distributed.get_rank()).backward()
        optimizer.step()


def whole_run(name: str, options: Options, steps: int) -> torch.optim.Optimizer:
    model = make_model()
    optimizer = optimizer_class(name)(model.parameters(), **options)
    train_whole(model, optimizer, range(steps))
    return optimizer


def sharded(model: nn.Module, mesh: DeviceMesh | None = None) -> nn.Module:
    fully_shard(model, mesh=mesh or init_device_mesh("cpu", (COUNT,)))
    return model


def full(value: object) -> object:
    """DTensors with all their values; every process calls it."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def params_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


def assert_equals_whole(parts: torch.optim.Optimizer, whole: torch.optim.Optimizer) -> None:
    """Parameters and states are equal bit for bit, whatever they are cut into."""
    for part, param in zip(params_of(parts), params_of(whole), strict=True):
        assert_identical(full(part.detach()), param.detach())
    for part_of, entry in zip(states(parts), states(whole), strict=True):
        assert_identical({key: full(value) for key, value in part_of.items()}, entry)


def assert_placed_like_parameters(optimizer: torch.optim.Optimizer) -> None:
    """State with a number per element is a DTensor that lies as its parameter does; counters are plain."""
    for param, entry in zip(params_of(optimizer), states(optimizer), strict=True):
        assert isinstance(param, DTensor)
        for name, value in entry.items():
            if isinstance(value, Tensor) and value.shape == param.shape:
                assert isinstance(value, DTensor), name
                assert (value.placements, value.device_mesh) == (param.placements, param.device_mesh), name
                assert value._local_tensor.shape == param._local_tensor.shape, name
            else:
                assert type(value) is Tensor, name


def plans_made(optimizer: torch.optim.Optimizer) -> dict[str, int]:
    stepper = getattr(optimizer, "_stepper", None)
    return {} if stepper is None else dict(stepper.plans_made)


# FSDP2


def trains_fully_sharded(name: str, options: Options) -> None:
    model = sharded(make_model())
    optimizer = optimizer_class(name)(model.parameters(), **options)
    train_part(model, optimizer, range(4))
    assert_placed_like_parameters(optimizer)
    assert_equals_whole(optimizer, whole_run(name, options, 4))
    if not name.startswith("torch."):
        assert plans_made(optimizer) == {"the first step": 1}
        saved = optimizer.state_dict()["state"]
        for index, entry in enumerate(states(optimizer)):
            assert all(saved.get(index, {})[key] is value for key, value in entry.items())


def touches_no_dtensor_once_planned(name: str, options: Options) -> None:
    """Each operation on a DTensor takes tens of microseconds."""
    model = sharded(make_model())
    optimizer = optimizer_class(name)(model.parameters(), **options)
    train_part(model, optimizer, range(2))
    loss_of(model, 2, torch.distributed.get_rank()).backward()
    met: list[str] = []

    class Watching(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Callable[..., object], types: object, args: tuple[object, ...] = (), kwargs: object = None
        ) -> object:
            leaves = torch.utils._pytree.tree_leaves((args, kwargs))
            if any(isinstance(leaf, DTensor) for leaf in leaves):
                met.append(str(func))
            assert isinstance(kwargs, dict | None)
            return func(*args, **(kwargs or {}))

    with Watching():
        params_of(optimizer)[0].detach()
        assert met == ["aten.detach.default"], met  # it does see them
        met.clear()
        optimizer.step()
    assert met == []


def marks_what_it_wrote(options: Options) -> None:
    """Autograd sees that a DTensor was written, though it was its shard that was."""
    model = sharded(make_model())
    optimizer = thetac.AdamW(model.parameters(), **options)
    train_part(model, optimizer, range(2))
    for param in params_of(optimizer):
        before = param._version
        entry = optimizer.state[param]["exp_avg"]
        moved = entry._version
        optimizer.step()
        assert param._version > before
        assert entry._version > moved


def scales_gradients(name: str, options: Options, overflow: bool) -> None:
    """GradScaler on shards: a step whose gradients overflow in one process is skipped in all."""
    scale = 2.0**7
    model = sharded(make_model())
    optimizer = optimizer_class(name)(model.parameters(), **options)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=1000)
    for step in range(3):
        optimizer.zero_grad()
        scaler.scale(loss_of(model, step, torch.distributed.get_rank())).backward()
        if overflow and step == 1:
            gradient = params_of(optimizer)[0].grad
            assert isinstance(gradient, DTensor)
            if torch.distributed.get_rank() == 1:
                gradient._local_tensor[0] = torch.inf
        scaler.step(optimizer)
        scaler.update()
    assert scaler.get_scale() == (scale / 2 if overflow else scale)
    model = make_model()
    whole = optimizer_class(name)(model.parameters(), **options)
    train_whole(model, whole, [0, 2] if overflow else [0, 1, 2])
    assert_equals_whole(optimizer, whole)


def clips_over_all_processes(name: str, options: Options, mesh_shape: tuple[int, ...]) -> None:
    """`clip_grad_norm` is the norm of all shards together, each counted once; torch's function is the measure."""
    mesh = init_device_mesh("cpu", mesh_shape)
    placements = [Replicate() for _ in mesh_shape[:-1]] + [Shard(0)]
    shapes = ((5, 3), (3,), (1, 4))
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(shape, generator=generator) for shape in shapes]
    # The last one is in no shard: each process has it, and it counts once.
    parts = [nn.Parameter(distribute_tensor(value.clone(), mesh, placements)) for value in values[:2]]
    parts.append(nn.Parameter(values[2].clone()))
    wholes = [nn.Parameter(value.clone()) for value in values]
    clipping = optimizer_class(name)(parts, clip_grad_norm=0.5, **options)
    measure = optimizer_class(name)(wholes, **options)
    for _ in range(3):
        grads = [torch.randn(shape, generator=generator) for shape in shapes]
        for part, whole, grad in zip(parts, wholes, grads, strict=True):
            part.grad = distribute_tensor(grad, mesh, placements) if isinstance(part, DTensor) else grad.clone()
            whole.grad = grad.clone()
        clipping.step()
        norm = torch.nn.utils.clip_grad_norm_(wholes, 0.5)
        measure.step()
        assert isinstance(clipping.grad_norm, Tensor)
        torch.testing.assert_close(clipping.grad_norm, norm)
    for part, whole in zip(parts, wholes, strict=True):
        torch.testing.assert_close(full(part.detach()), whole.detach())


# Placements and errors


def takes_gradients_placed_otherwise(
    options: Options, of_param: Sequence[Placement], of_grad: Sequence[Placement], shape: tuple[int, ...]
) -> None:
    """As torch does, gradients are brought to where their parameters are; the plan serves on."""
    mesh = init_device_mesh("cpu", (COUNT,))
    generator = torch.Generator().manual_seed(0)
    value = torch.randn(shape, generator=generator)
    part, whole = nn.Parameter(distribute_tensor(value, mesh, of_param)), nn.Parameter(value.clone())
    parts, wholes = thetac.AdamW([part], **options), thetac.AdamW([whole], **options)
    for _ in range(3):
        terms = torch.randn((COUNT, *shape), generator=generator)
        if of_grad == [Partial()]:
            part.grad = DTensor.from_local(terms[torch.distributed.get_rank()], mesh, of_grad)
        else:
            part.grad = distribute_tensor(terms.sum(0), mesh, of_grad)
        whole.grad = terms.sum(0)
        kept = part.grad
        parts.step()
        wholes.step()
        assert part.grad is kept
    assert_placed_like_parameters(parts)
    assert_equals_whole(parts, wholes)
    assert plans_made(parts) == {"the first step": 1}


def takes_what_processes_prepare_apart(options: Options) -> None:
    """One process makes a new plan where the other need not, and gradients travel: nobody waits for nobody."""
    mesh = init_device_mesh("cpu", (COUNT,))
    part, whole = nn.Parameter(distribute_tensor(torch.ones(3, 2), mesh, [Shard(0)])), nn.Parameter(torch.ones(3, 2))
    parts, wholes = thetac.AdamW([part], **options), thetac.AdamW([whole], **options)
    for step in range(4):
        part.grad = DTensor.from_local(torch.full((3, 2), 1.0 + step), mesh, [Partial()])
        whole.grad = torch.full((3, 2), COUNT * (1.0 + step))
        if step == 2 and torch.distributed.get_rank() == 0:
            state = parts.state[part]
            state["exp_avg"] = state["exp_avg"].detach()
        parts.step()
        wholes.step()
    assert_equals_whole(parts, wholes)
    assert sum(plans_made(parts).values()) == (2 if torch.distributed.get_rank() == 0 else 1)


def notices_other_shards(options: Options) -> None:
    """State and shards are replaced, and the next step writes to what is there then."""
    mesh = init_device_mesh("cpu", (COUNT,))
    values = torch.arange(6.0).reshape(3, 2)
    part, whole = nn.Parameter(distribute_tensor(values, mesh, [Shard(0)])), nn.Parameter(values.clone())
    parts, wholes = thetac.AdamW([part], **options), thetac.AdamW([whole], **options)

    def step() -> None:
        part.grad = distribute_tensor(torch.ones(3, 2), mesh, [Shard(0)])
        whole.grad = torch.ones(3, 2)
        parts.step()
        wholes.step()
        assert_equals_whole(parts, wholes)

    step()
    assert isinstance(part, DTensor)
    part._local_tensor = part._local_tensor + 1
    whole.data = whole.data + 1
    step()
    for optimizer, param in ((parts, part), (wholes, whole)):
        optimizer.state[param]["exp_avg_sq"] = optimizer.state[param]["exp_avg_sq"] * 2
    step()
    entry = parts.state[part]["exp_avg"]
    entry._local_tensor = entry._local_tensor * 2
    wholes.state[whole]["exp_avg"].mul_(2)
    step()
    assert plans_made(parts) == {"the first step": 1, "a DTensor got another shard": 2, "`exp_avg_sq` was replaced": 1}


def mixes_with_plain_parameters(options: Options) -> None:
    mesh = init_device_mesh("cpu", (COUNT,))
    values = [torch.arange(6.0).reshape(3, 2), torch.arange(4.0), torch.tensor(2.0)]
    parts = [
        nn.Parameter(distribute_tensor(values[0], mesh, [Shard(0)])),
        nn.Parameter(values[1].clone()),
        nn.Parameter(distribute_tensor(values[2], mesh, [Replicate()])),
    ]
    wholes = [nn.Parameter(value.clone()) for value in values]
    of_parts, of_wholes = thetac.AdamW(parts, **options), thetac.AdamW(wholes, **options)
    for step in range(3):
        for part, whole in zip(parts, wholes, strict=True):
            whole.grad = torch.full_like(whole, 1.0 + step)
            part.grad = whole.grad.clone()
            if isinstance(part, DTensor):
                part.grad = distribute_tensor(whole.grad, mesh, part.placements)
        of_parts.step()
        of_wholes.step()
    assert_equals_whole(of_parts, of_wholes)


def takes_transposed_parameters(options: Options) -> None:
    """Not contiguous, neither as a whole nor in parts."""
    mesh = init_device_mesh("cpu", (COUNT,))
    values = torch.arange(15.0).reshape(3, 5)
    part = nn.Parameter(distribute_tensor(values, mesh, [Shard(0)]).t())
    whole = nn.Parameter(values.t())
    assert not part.is_contiguous()
    parts, wholes = thetac.AdamW([part], **options), thetac.AdamW([whole], **options)
    for step in range(3):
        part.grad = distribute_tensor(values + step, mesh, [Shard(0)]).t()
        whole.grad = (values + step).t()
        parts.step()
        wholes.step()
    assert_placed_like_parameters(parts)
    assert_equals_whole(parts, wholes)


def is_differentiable() -> None:
    """Gradients flow through a step on whole DTensors."""
    mesh = init_device_mesh("cpu", (COUNT,))

    def end(place: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        start = torch.arange(6.0).reshape(3, 2).requires_grad_()
        param = place(start).clone()
        param.grad = place(torch.full((3, 2), 0.5))
        optimizer = thetac.SGD([param], lr=0.1, momentum=0.9, weight_decay=0.1, differentiable=True)
        optimizer.step()
        optimizer.step()
        result = full(param)
        assert isinstance(result, Tensor)
        (gradient,) = torch.autograd.grad(result.square().sum(), start)
        return result, gradient

    in_parts = end(lambda tensor: DTensor.from_local(tensor, mesh, [Replicate()]).redistribute(placements=[Shard(0)]))
    assert_identical(in_parts, end(lambda tensor: tensor))


def refuses_what_does_not_fit() -> None:
    """With an error that names the parameter, and nothing written."""
    mesh = init_device_mesh("cpu", (COUNT,))
    other_mesh = DeviceMesh("cpu", [1, 0])
    rows, everywhere = [Shard(0)], [Replicate()]

    def place(placements: Sequence[Placement], mesh: DeviceMesh = mesh) -> DTensor:
        return distribute_tensor(torch.ones(3, 2), mesh, placements)

    def refused(param: Tensor, grad: Tensor, text: str, state: Mapping[str, Tensor] | None = None) -> None:
        param = nn.Parameter(param)
        optimizer = thetac.AdamW([("weight", param)])
        param.grad = grad
        if state is not None:
            optimizer.state[param] = {"step": torch.tensor(1.0), **state}
        before = picture(optimizer)
        with pytest.raises(RuntimeError, match=re.escape(text)) as raised:
            optimizer.step()
        assert "parameter 0 of group 0 (weight)" in str(raised.value)
        assert_identical(full_picture(picture(optimizer)), full_picture(before))

    ones = torch.ones(3, 2)
    mixed = "got mixed torch.Tensor and DTensor"
    refused(place(rows), ones, f"{mixed}: parameter 0 of group 0 (weight) is a DTensor and its gradient is not")
    refused(ones, place(rows), f"{mixed}: its gradient of")
    refused(place(rows), place(rows, other_mesh), "DTensors are not moved between meshes")
    refused(DTensor.from_local(ones, mesh, [Partial()]), place(everywhere), "what is a sum is not updated by its terms")
    both = {"exp_avg": place(rows), "exp_avg_sq": place(rows)}
    refused(place(rows), place(rows), f"{mixed}: `exp_avg_sq` of", {**both, "exp_avg_sq": ones})
    refused(place(rows), place(rows), "`exp_avg` of", {**both, "exp_avg": place(everywhere)})
    refused(ones, ones, f"{mixed}: `exp_avg` of", both)
    # Other processes have other sizes than DTensor itself would have given them.
    uneven = [ones, torch.ones(0, 2)][torch.distributed.get_rank()]
    odd = DTensor.from_local(uneven, mesh, rows, shape=ones.shape, stride=ones.stride())
    refused(place(rows), odd, "the shard of the gradient of")


def full_picture(value: object) -> object:
    """The same with DTensors' shards in their places, which can be compared without communication."""
    match value:
        case DTensor():
            return value._local_tensor.clone()
        case dict():
            return {key: full_picture(one) for key, one in value.items()}
        case list() | tuple():
            return [full_picture(one) for one in value]
        case _:
            return value


# Checkpoints


def save_sharded(name: str, options: Options, folder: Path, steps: int) -> None:
    model = sharded(make_model())
    optimizer = optimizer_class(name)(model.parameters(), **options)
    train_part(model, optimizer, range(steps))
    save(model, optimizer, folder)


def load_sharded(name: str, options: Options, folder: Path, steps: Sequence[int]) -> None:
    model = sharded(make_model(seed=1))
    optimizer = optimizer_class(name)(model.parameters(), **options)
    load(model, optimizer, folder)
    assert_placed_like_parameters(optimizer)
    train_part(model, optimizer, steps)
    assert_equals_whole(optimizer, whole_run(name, options, steps[-1] + 1))


def save(model: nn.Module, optimizer: torch.optim.Optimizer, folder: Path) -> None:
    of_model, of_optimizer = get_state_dict(model, optimizer)
    alone = not torch.distributed.is_initialized()
    dcp.save({"model": of_model, "optimizer": of_optimizer}, checkpoint_id=folder, no_dist=alone)


def load(model: nn.Module, optimizer: torch.optim.Optimizer, folder: Path) -> None:
    of_model, of_optimizer = get_state_dict(model, optimizer)
    saved = {"model": of_model, "optimizer": of_optimizer}
    dcp.load(saved, checkpoint_id=folder, no_dist=not torch.distributed.is_initialized())
    set_state_dict(model, optimizer, model_state_dict=saved["model"], optim_state_dict=saved["optimizer"])


# Data parallel


def trains_data_parallel(name: str, options: Options, folder: Path, bucket_view: bool) -> None:
    """Saved by one process in the middle, loaded by all, and on to where an unbroken run ends."""
    model = DistributedDataParallel(make_model(), gradient_as_bucket_view=bucket_view)
    optimizer = optimizer_class(name)(model.parameters(), **options)
    train_part(model, optimizer, range(2))
    path = folder / "checkpoint.pt"
    if torch.distributed.get_rank() == 0:
        torch.save({"model": model.module.state_dict(), "optimizer": optimizer.state_dict()}, path)
    torch.distributed.barrier()
    model = DistributedDataParallel(make_model(seed=1), gradient_as_bucket_view=bucket_view)
    optimizer = optimizer_class(name)(model.parameters(), **options)
    saved = torch.load(path, weights_only=True)
    model.module.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    train_part(model, optimizer, range(2, 4))
    assert_equals_whole(optimizer, whole_run(name, options, 4))


def trains_with_zero(name: str, options: Options, folder: Path, bucket_view: bool) -> None:
    """Each process has the state of some parameters; brought together, it is that of an optimizer of all of them."""
    make = partial(
        ZeroRedundancyOptimizer,
        optimizer_class=optimizer_class(name),
        parameters_as_bucket_view=bucket_view,
        **options,
    )
    path = folder / "checkpoint.pt"
    model = DistributedDataParallel(make_model())
    optimizer = make(model.parameters())
    train_part(model, optimizer, range(2))
    owned = [name for name, param in model.named_parameters() if optimizer.optim.state.get(param)]
    assert len(owned) < 4, "every process keeps the state of some parameters only"
    optimizer.consolidate_state_dict(to=0)
    if torch.distributed.get_rank() == 0:
        torch.save({"model": model.module.state_dict(), "optimizer": optimizer.state_dict()}, path)
    torch.distributed.barrier()
    saved = torch.load(path, weights_only=True)

    model = DistributedDataParallel(make_model(seed=1))
    model.module.load_state_dict(saved["model"])
    optimizer = make(model.parameters())
    optimizer.load_state_dict(deepcopy(saved["optimizer"]))  # it takes away what belongs to other processes
    train_part(model, optimizer, range(2, 4))

    end = whole_run(name, options, 4)
    for param, expected in zip(model.parameters(), params_of(end), strict=True):
        assert_identical(param.detach(), expected.detach())
    optimizer.consolidate_state_dict(to=0)
    if torch.distributed.get_rank() == 0:
        assert_identical(optimizer.state_dict()["state"], end.state_dict()["state"])

    alone = make_model(seed=1)
    alone.load_state_dict(saved["model"])
    of_all = optimizer_class(name)(alone.parameters(), **options)
    of_all.load_state_dict(saved["optimizer"])
    train_whole(alone, of_all, range(2, 4))
    assert_equals_whole(of_all, end)
