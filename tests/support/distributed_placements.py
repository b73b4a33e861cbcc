"""What the processes of `distributed_workers` do with DTensors of their own: placements, norms, errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import pytest
import torch
from torch import Tensor, nn
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

import thetac
from tests.support.comparing import assert_identical
from tests.support.distributed_helpers import (
    COUNT,
    Options,
    assert_equals_whole,
    assert_placed_like_parameters,
    full,
    plans_made,
)
from tests.support.every_optimizer import class_of
from tests.support.runtime_helpers import picture


def clips_over_all_processes(name: str, options: Options, mesh_shape: tuple[int, ...]) -> None:
    """`clip_grad_norm` is the norm of all shards together, each counted once; torch's function is the measure."""
    mesh = init_device_mesh("cpu", mesh_shape)
    rows = [Replicate() for _ in mesh_shape[:-1]] + [Shard(0)]
    # The last two are in no shard: each process has them, and they count once.
    placements = [rows, rows, [Replicate() for _ in mesh_shape], None]
    shapes = ((5, 3), (3,), (4,), (1, 4))
    generator = torch.Generator().manual_seed(0)

    def place(value: Tensor, where: Sequence[Placement] | None) -> Tensor:
        return value.clone() if where is None else distribute_tensor(value.clone(), mesh, where)

    values = [torch.randn(shape, generator=generator) for shape in shapes]
    parts = [nn.Parameter(place(value, where)) for value, where in zip(values, placements, strict=True)]
    wholes = [nn.Parameter(value.clone()) for value in values]
    clipping = class_of(name)(parts, clip_grad_norm=0.5, **options)
    measure = class_of(name)(wholes, **options)
    for _ in range(3):
        grads = [torch.randn(shape, generator=generator) for shape in shapes]
        for part, whole, grad, where in zip(parts, wholes, grads, placements, strict=True):
            part.grad = place(grad, where)
            whole.grad = grad.clone()
        clipping.step()
        norm = torch.nn.utils.clip_grad_norm_(wholes, 0.5)
        measure.step()
        assert isinstance(clipping.grad_norm, Tensor)
        torch.testing.assert_close(clipping.grad_norm, norm)
    for part, whole in zip(parts, wholes, strict=True):
        torch.testing.assert_close(full(part.detach()), whole.detach())


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
            parts.param_groups[0]["capturable"] = None  # which says no, as False does
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
    assert plans_made(parts) == {"the first step": 1}


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


def is_differentiable(clip_grad_norm: float | None) -> None:
    """Gradients flow through a step on whole DTensors, and their norm is that of the whole."""
    mesh = init_device_mesh("cpu", (COUNT,))

    def end(place: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        start = torch.arange(6.0).reshape(3, 2).requires_grad_()
        param = place(start).clone()
        param.grad = place(torch.full((3, 2), 0.5))
        options = {"differentiable": True, "clip_grad_norm": clip_grad_norm}
        optimizer = thetac.SGD([param], lr=0.1, momentum=0.9, weight_decay=0.1, **options)
        optimizer.step()
        optimizer.step()
        result = full(param)
        assert isinstance(result, Tensor)
        (gradient,) = torch.autograd.grad(result.square().sum(), start)
        return result, gradient

    in_parts = end(lambda tensor: DTensor.from_local(tensor, mesh, [Replicate()]).redistribute(placements=[Shard(0)]))
    if clip_grad_norm is None:
        assert_identical(in_parts, end(lambda tensor: tensor))
    else:
        torch.testing.assert_close(in_parts, end(lambda tensor: tensor))


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
    refused(place(rows), place(rows, other_mesh), "DTensors cannot be moved between meshes")
    refused(
        DTensor.from_local(ones, mesh, [Partial()]), place(everywhere), "a sum, which cannot be updated by its terms"
    )
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
