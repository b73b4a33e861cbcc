"""Distributed parameters, torch's DTensor: this process has a local shard, or a replica, of a global tensor.

In: tensors as users and `optimizer.state` have them. Out: the local tensors that implementations run on. Every
operation on a DTensor takes tens of microseconds, so steps only read attributes. torch.distributed is not imported
here: as long as nothing else imports it, there is no DTensor. Must not know what a step computes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from thetac.runtime.schema import State

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.tensor import DTensor, Placement
    from typing_extensions import TypeIs  # of Python 3.13; torch needs the package, too

Placed = tuple[State, Tensor]  # a state's declaration and its tensor


@dataclass(frozen=True, slots=True)
class GlobalTensors:
    """A parameter and its states as `optimizer.state` has them, where implementations run on local tensors."""

    param: DTensor
    states: tuple[Tensor | None, ...]  # in the schema's order; None for one that does not exist


class RedistributedGradients:
    """Gradients of one step that were redistributed to the placements of their parameters, once each.

    Redistribution is communication, in which every process takes part: a process that re-plans its step where others
    need not must not communicate a second time.
    """

    def __init__(self) -> None:
        self._found: dict[Tensor, DTensor] = {}

    def redistribute(self, param: DTensor, grad: DTensor, where: str) -> DTensor:
        """Redistribute a gradient to the placements of its parameter.

        Args:
            param: The parameter.
            grad: Its gradient.
            where: The name of the parameter in messages.

        Returns:
            The gradient itself if it has these placements already; else a redistributed one, with a contiguous shard.

        Raises:
            RuntimeError: The gradient and its parameter are on different meshes, or sharded in different orders.
        """
        if _have_same_placements(param, grad):
            return grad
        if grad not in self._found:
            if grad.device_mesh != param.device_mesh:
                raise RuntimeError(
                    f"the gradient of {where} is on {grad.device_mesh}, its parameter on {param.device_mesh}; "
                    "DTensors cannot be moved between meshes"
                )
            moved = grad.redistribute(placements=param.placements)
            if not _have_same_placements(param, moved):
                raise RuntimeError(f"the gradient of {where} is sharded in another order than its parameter")
            if not moved._local_tensor.is_contiguous():  # a part of a larger tensor, which kernels do not take
                copied = moved.clone(memory_format=torch.contiguous_format)
                assert is_dtensor(copied)
                moved = copied
            self._found[grad] = moved
        return self._found[grad]


def can_exist() -> bool:
    """Return whether there can be a DTensor: whether its module has been imported."""
    return "torch.distributed.tensor" in sys.modules


def is_dtensor(tensor: object) -> TypeIs[DTensor]:
    """Return whether a tensor is a DTensor."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def are_dtensors(tensors: Iterable[object]) -> TypeIs[Iterable[DTensor]]:
    """Return whether all objects are DTensors."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and all(issubclass(kind, module.DTensor) for kind in set(map(type, tensors)))


def get_local(tensor: Tensor) -> Tensor:
    """Return the local shard of a DTensor, and wait until it has arrived; return any other tensor as it is."""
    if not is_dtensor(tensor):
        return tensor
    shard = tensor._local_tensor
    wait: Callable[[], Tensor] | None = getattr(shard, "trigger_wait", None)  # of torch's AsyncCollectiveTensor
    return shard if wait is None else wait()


def check_gradient(param: DTensor, grad: Tensor, where: str) -> DTensor:
    """Check the gradient of a DTensor.

    Args:
        param: The parameter.
        grad: Its gradient.
        where: How messages call the parameter.

    Returns:
        The gradient, as a DTensor.

    Raises:
        RuntimeError: The gradient is not a DTensor, or the parameter is partial.
    """
    if any(placement.is_partial() for placement in param.placements):
        raise RuntimeError(
            f"{where} has the placements {param.placements}: "
            "a partial parameter is a sum, which cannot be updated by its terms"
        )
    if is_dtensor(grad):
        return grad
    raise RuntimeError(
        f"got mixed torch.Tensor and DTensor: {where} is a DTensor and its gradient is not; "
        "make it one with torch.distributed.tensor.distribute_tensor or DTensor.from_local"
    )


def place_beside(param: Tensor, declared: State, local: Tensor) -> Tensor:
    """Return a tensor as the state of a parameter: as it is, or for a DTensor as this process's part of one.

    An axis that the state has is sharded as the parameter's is. Where it has size 1 instead, the state is replicated.

    Args:
        param: The parameter.
        declared: The state's declaration.
        local: This process's part, contiguous.
    """
    if not is_dtensor(param):
        return local
    from torch.distributed.tensor import DTensor  # imported already: there is a DTensor

    shape = declared.shape_of(param.shape)
    strides = torch.empty(shape, dtype=local.dtype, device="meta").stride()
    placements = _placements_of(param, declared)
    return DTensor.from_local(local, param.device_mesh, placements, run_check=False, shape=shape, stride=strides)


def check_placements(param: DTensor, states: Iterable[Placed], where: str) -> None:
    """Raise RuntimeError for state that is placed otherwise than its parameter, and for scalars not replicated."""
    for declared, state in states:
        if not declared.follows_dtype:
            if is_dtensor(state) and not all(placement.is_replicate() for placement in state.placements):
                raise RuntimeError(
                    f"`{declared.name}` of {where} is a scalar, which must be replicated, and has the placements "
                    f"{state.placements}"
                )
        elif not is_dtensor(state):
            raise RuntimeError(
                f"got mixed torch.Tensor and DTensor: `{declared.name}` of {where} is not a DTensor, its parameter is"
            )
        elif not (_have_same_placements(param, state) if declared.like_param else _is_beside(param, declared, state)):
            raise RuntimeError(
                f"`{declared.name}` of {where} has the placements {state.placements} on {state.device_mesh}, "
                f"its parameter {param.placements} on {param.device_mesh}"
            )


def check_plain(grad: Tensor, states: Iterable[Placed], where: str) -> None:
    """Raise RuntimeError for a gradient or state that is a DTensor while its parameter is not."""
    for name, tensor in (("its gradient", grad), *((f"`{declared.name}`", state) for declared, state in states)):
        if is_dtensor(tensor):
            raise RuntimeError(
                f"got mixed torch.Tensor and DTensor: {name} of {where} is a DTensor, the parameter is not"
            )


def check_shapes(param: Tensor, grad: Tensor, states: Iterable[Placed], where: str) -> None:
    """Raise RuntimeError if local shards do not fit in shape, which `DTensor.from_local` does not check."""
    fitting = [
        (f"`{declared.name}`", state, declared.shape_of(param.shape))
        for declared, state in states
        if declared.follows_dtype
    ]
    for name, other, shape in (("the gradient", grad, param.shape), *fitting):
        if other.shape != shape:
            raise RuntimeError(
                f"the shard of {name} of {where} has the shape {tuple(other.shape)}, "
                f"its parameter's {tuple(param.shape)}"
            )


@dataclass(frozen=True, slots=True)
class Split:
    """How a parameter is sharded."""

    mesh: DeviceMesh
    dimensions: tuple[int, ...]  # of the mesh, along which processes have different shards


def group_by_processes(
    global_tensors: Sequence[GlobalTensors | None], devices: Sequence[torch.device]
) -> list[tuple[Split | None, list[int]]]:
    """Group members whose gradients are summed locally first, then over the same processes.

    Args:
        global_tensors: Those of each member, None for one that is not distributed.
        devices: The device of each member's local gradient.

    Returns:
        For each group how its parameters are sharded, None if they are not, and the positions of its members. The order
        of groups is that of the members, so that all processes communicate in the same order.
    """
    found: dict[object, tuple[Split | None, list[int]]] = {}
    for position, (known, device) in enumerate(zip(global_tensors, devices, strict=True)):
        split = None if known is None else Split(known.param.device_mesh, _split_dimensions(known))
        found.setdefault((device, split), (split, []))[1].append(position)
    return list(found.values())


def sum_over_processes(number: Tensor, split: Split | None) -> Tensor:
    """Sum a tensor, in place, over the processes that have different shards, and return it.

    It communicates: each of these processes has to call it.

    Args:
        number: A tensor with this process's term.
        split: How the parameters are sharded; None: nothing is summed.
    """
    if split is not None:
        for dimension in split.dimensions:
            torch.distributed.all_reduce(number, group=split.mesh.get_group(dimension))
    return number


def to_global(tensor: Tensor) -> Tensor:
    """Return the global tensor of a DTensor, which takes communication; return any other tensor as it is."""
    return tensor.full_tensor() if is_dtensor(tensor) else tensor


def complete(tensor: DTensor) -> DTensor:
    """Return a DTensor of which no process has only a term: sums over processes are computed, which communicates."""
    if not any(placement.is_partial() for placement in tensor.placements):
        return tensor
    from torch.distributed.tensor import Replicate  # imported already, as there is a DTensor

    return tensor.redistribute(
        placements=[Replicate() if placement.is_partial() else placement for placement in tensor.placements]
    )


def replicate(tensor: DTensor) -> DTensor:
    """Return a DTensor of which every process has all, which communicates."""
    from torch.distributed.tensor import Replicate  # imported already, as there is a DTensor

    return tensor.redistribute(placements=[Replicate()] * len(tensor.placements))


def has_empty_shards(tensor: DTensor) -> bool:
    """Return whether some process has no element because an axis is shorter than there are shards of it."""
    shards: dict[int, int] = {}
    for dimension, placement in enumerate(tensor.placements):
        axis: int | None = getattr(placement, "dim", None)  # of all kinds of shards
        if axis is not None:
            shards[axis] = shards.get(axis, 1) * tensor.device_mesh.size(dimension)
    return any(tensor.shape[axis] < number for axis, number in shards.items())


def _split_dimensions(known: GlobalTensors) -> tuple[int, ...]:
    """Return the dimensions of the mesh along which processes have different shards."""
    return tuple(index for index, placement in enumerate(known.param.placements) if not placement.is_replicate())


def can_be_redistributed(param: DTensor, grad: DTensor) -> bool:
    """Return whether a gradient can be redistributed like its parameter: it has the same global shape and mesh."""
    a, b = param._spec, grad._spec
    return a is b or (a.shape == b.shape and a.mesh == b.mesh)


def _placements_of(param: DTensor, declared: State) -> list[Placement]:
    """Return the placements of a state: its parameter's, but replicated where these cut an axis that it has not."""
    from torch.distributed.tensor import Replicate  # imported already: there is a DTensor

    found: list[Placement] = []
    for placement in param.placements:
        axis: int | None = getattr(placement, "dim", None)  # of all kinds of shards
        found.append(placement if axis is None or declared.has_axis(axis, param.dim()) else Replicate())
    return found


def _is_beside(param: DTensor, declared: State, state: DTensor) -> bool:
    """Return whether a state is placed as `place_beside` places it."""
    return state.device_mesh == param.device_mesh and list(state.placements) == _placements_of(param, declared)


def _have_same_placements(left: DTensor, right: DTensor) -> bool:
    """Return whether two DTensors have the same mesh, placements and order of shards."""
    a, b = left._spec, right._spec
    return a is b or (
        a.placements == b.placements
        and a.mesh == b.mesh
        and getattr(a, "shard_order", None) == getattr(b, "shard_order", None)
    )
