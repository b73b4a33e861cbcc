"""Parameters of which this process holds a shard, or one of several copies: torch's DTensor.

In: tensors as users and `optimizer.state` know them. Out: the local tensors that implementations run on. Every
operation on a DTensor costs tens of microseconds, so steps only read attributes of theirs. Nobody imports
torch.distributed here: where it is not imported there is no DTensor. Must not know what a step computes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.tensor import DTensor
    from typing_extensions import TypeIs  # of Python 3.13; torch needs the package, too

State = tuple[str, bool, Tensor]  # its name, whether it is like its parameter or a single number, and its tensor


@dataclass(frozen=True, slots=True)
class Whole:
    """The tensors of one parameter as `optimizer.state` knows them, where implementations run on local ones."""

    param: DTensor
    states: tuple[Tensor | None, ...]


class Placed:
    """The gradients of one step that were brought to the placements of their parameters, once each, whoever asks.

    It takes communication, in which every process takes part: if one of them prepares its step anew where others need
    not, it must not communicate a second time.
    """

    def __init__(self) -> None:
        self._found: dict[Tensor, DTensor] = {}

    def like(self, param: DTensor, grad: DTensor, where: str) -> DTensor:
        """The gradient itself, if it is placed as its parameter is."""
        if _placed_alike(param, grad):
            return grad
        if grad not in self._found:
            if grad.device_mesh != param.device_mesh:
                raise RuntimeError(
                    f"the gradient of {where} lies on {grad.device_mesh}, its parameter on {param.device_mesh}; "
                    "DTensors are not moved between meshes"
                )
            moved = grad.redistribute(placements=param.placements)
            if not _placed_alike(param, moved):
                raise RuntimeError(f"the gradient of {where} is sharded in another order than its parameter")
            if not moved._local_tensor.is_contiguous():  # a piece of a larger tensor, which kernels do not take
                copied = moved.clone(memory_format=torch.contiguous_format)
                assert is_dtensor(copied)
                moved = copied
            self._found[grad] = moved
        return self._found[grad]


def may_exist() -> bool:
    """Whether there can be a DTensor: their module has been imported."""
    return "torch.distributed.tensor" in sys.modules


def is_dtensor(tensor: object) -> TypeIs[DTensor]:
    """Whether a tensor is a DTensor."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def are_dtensors(tensors: Iterable[object]) -> TypeIs[Iterable[DTensor]]:
    """Whether all of them are DTensors."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and all(issubclass(kind, module.DTensor) for kind in set(map(type, tensors)))


def local_of(tensor: Tensor) -> Tensor:
    """The tensor on which this process works: a DTensor's shard, which has arrived, or the tensor itself."""
    if not is_dtensor(tensor):
        return tensor
    shard = tensor._local_tensor
    wait: Callable[[], Tensor] | None = getattr(shard, "trigger_wait", None)  # of torch's AsyncCollectiveTensor
    return shard if wait is None else wait()


def check_gradient(param: DTensor, grad: Tensor, where: str) -> DTensor:
    """The gradient of a DTensor, which must be one. Nobody knows the values of a parameter that is a sum."""
    if any(placement.is_partial() for placement in param.placements):
        raise RuntimeError(f"{where} has the placements {param.placements}: what is a sum is not updated by its terms")
    if is_dtensor(grad):
        return grad
    raise RuntimeError(
        f"got mixed torch.Tensor and DTensor: {where} is a DTensor and its gradient is not; "
        "make it one with torch.distributed.tensor.distribute_tensor or DTensor.from_local"
    )


def check_placements(param: DTensor, states: Iterable[State], where: str) -> None:
    """Raise for state that is not placed as its parameter is."""
    for name, like_param, state in states:
        if like_param and not is_dtensor(state):
            raise RuntimeError(
                f"got mixed torch.Tensor and DTensor: `{name}` of {where} is no DTensor, its parameter is"
            )
        if like_param and is_dtensor(state) and not _placed_alike(param, state):
            raise RuntimeError(
                f"`{name}` of {where} has the placements {state.placements} on {state.device_mesh}, "
                f"its parameter {param.placements} on {param.device_mesh}"
            )
        if not like_param and is_dtensor(state) and not all(placement.is_replicate() for placement in state.placements):
            raise RuntimeError(f"`{name}` of {where} is one number, and has the placements {state.placements}")


def check_plain(grad: Tensor, states: Iterable[State], where: str) -> None:
    """Raise for a DTensor beside a parameter that is none."""
    for name, tensor in (("its gradient", grad), *((f"`{name}`", state) for name, _, state in states)):
        if is_dtensor(tensor):
            raise RuntimeError(
                f"got mixed torch.Tensor and DTensor: {name} of {where} is a DTensor, the parameter is not"
            )


def check_shapes(param: Tensor, grad: Tensor, states: Iterable[State], where: str) -> None:
    """Raise if shards that are placed alike differ in shape: `DTensor.from_local` takes any."""
    like_param = [(f"`{name}`", state) for name, is_like_param, state in states if is_like_param]
    for name, other in (("the gradient", grad), *like_param):
        if other.shape != param.shape:
            raise RuntimeError(
                f"the shard of {name} of {where} has the shape {tuple(other.shape)}, "
                f"its parameter's {tuple(param.shape)}"
            )


@dataclass(frozen=True, slots=True)
class Split:
    """How a parameter is spread over processes."""

    mesh: DeviceMesh
    dimensions: tuple[int, ...]  # of the mesh, along which processes have different elements


def by_processes(
    wholes: Sequence[Whole | None], devices: Sequence[torch.device]
) -> list[tuple[Split | None, list[int]]]:
    """Positions of members whose gradients may be summed up before the sum goes over processes, and over which.

    The order is that of the members, so all processes sum in the same one.
    """
    found: dict[object, tuple[Split | None, list[int]]] = {}
    for position, (whole, device) in enumerate(zip(wholes, devices, strict=True)):
        split = None if whole is None else Split(whole.param.device_mesh, _split_dimensions(whole))
        found.setdefault((device, split), (split, []))[1].append(position)
    return list(found.values())


def summed_over_processes(number: Tensor, split: Split | None) -> Tensor:
    """The sum of what all processes have that hold different elements of a parameter; each of them calls this."""
    if split is not None:
        for dimension in split.dimensions:
            torch.distributed.all_reduce(number, group=split.mesh.get_group(dimension))
    return number


def whole_of(tensor: Tensor) -> Tensor:
    """A DTensor's values, all of them."""
    return tensor.full_tensor() if is_dtensor(tensor) else tensor


def _split_dimensions(whole: Whole) -> tuple[int, ...]:
    return tuple(index for index, placement in enumerate(whole.param.placements) if not placement.is_replicate())


def can_be_placed(param: DTensor, grad: DTensor) -> bool:
    a, b = param._spec, grad._spec
    return a is b or (a.shape == b.shape and a.mesh == b.mesh)


def _placed_alike(left: DTensor, right: DTensor) -> bool:
    a, b = left._spec, right._spec
    return a is b or (
        a.placements == b.placements
        and a.mesh == b.mesh
        and getattr(a, "shard_order", None) == getattr(b, "shard_order", None)
    )
