"""Which implementation runs, and why.

In: a group's options and what the tensors at hand are. Out: a `Choice` with its reason in words, or torch's error
where an explicit option cannot be met. This is the only place that decides it.

An explicit option is followed: `fused=True`, `foreach=True`, or either of them False for the for-loop. With neither,
the fastest that fits: fused where there is a kernel for the device, then foreach where torch would take it, then the
for-loop. `differentiable` and `capturable` run the for-loop on tensors. A single parameter that a faster
implementation cannot take falls back to the for-loop, also under an explicit option; `explain()` names it.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache

import torch
from torch import Tensor
from torch.utils._foreach_utils import _get_foreach_kernels_supported_devices

from thetac.runtime.fused import MakeLauncher
from thetac.runtime.gather import Member, tensor_states
from thetac.runtime.groups import check_options, option
from thetac.runtime.launch_triton import TritonLauncher
from thetac.runtime.memory import has_memory, is_dense, is_plain, sharing, significant_strides
from thetac.runtime.schema import Group, Schema


class Implementation(Enum):
    FOR_LOOP = "for-loop"
    ON_TENSORS = "for-loop on tensors"  # no number leaves its tensor: for capturable and differentiable
    FOREACH = "foreach"
    TRITON = "Triton"


FUSED = frozenset({Implementation.TRITON})  # those that a step plan serves

FUSED_DTYPES = frozenset(
    {torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64, torch.complex128}
)


@dataclass(frozen=True, slots=True)
class Choice:
    implementation: Implementation
    reason: str
    is_fallback: bool = False  # of a parameter that what its group asks for cannot take


def choose_all(schema: Schema, groups: Sequence[Group], members: Sequence[Member]) -> list[Choice]:
    """One choice per member. Raises, before anything has changed, where an explicit option cannot be met."""
    wanted: dict[tuple[int, torch.device, torch.dtype, type], Choice] = {}
    choices: list[Choice] = []
    for member in members:
        param = member.param
        key = (member.group, param.device, param.dtype, type(param))
        choice = wanted.get(key)
        if choice is None:
            choice = wanted[key] = choose(schema, groups[member.group], param)
        obstacle = _obstacle(schema, choice.implementation, member)
        choices.append(Choice(Implementation.FOR_LOOP, obstacle, is_fallback=True) if obstacle else choice)

    batched = (Implementation.FOREACH, *FUSED)
    if any(choice.implementation in batched for choice in choices):
        reason = "shares memory with another tensor of this step"
        for index in _sharing_members(members):
            if choices[index].implementation in batched:
                choices[index] = Choice(Implementation.FOR_LOOP, reason, is_fallback=True)
    for member, choice in zip(members, choices, strict=True):
        if choice.implementation not in FUSED:
            _check_dtypes(schema, member)
    return choices


def launcher_of(implementation: Implementation) -> MakeLauncher:
    """What launches the kernels of a fused implementation."""
    match implementation:
        case Implementation.TRITON:
            return TritonLauncher
        case _:
            raise AssertionError(f"{implementation.value} is not a fused implementation")


def _check_dtypes(schema: Schema, member: Member) -> None:
    """torch's operations do not mix dtypes everywhere, and would find out after the first writes."""
    for declared, state in zip(schema.states, member.states, strict=True):
        if declared.kind == "tensor" and state is not None and state.dtype is not member.param.dtype:
            raise RuntimeError(
                f"`{declared.name}` of a parameter of group {member.group} is {state.dtype}, its parameter "
                f"{member.param.dtype}; only fused implementations take both"
            )


def choose(schema: Schema, group: Group, param: Tensor) -> Choice:
    """What a parameter's group and kind of tensor ask for."""
    check_options(group)
    fused, foreach = option(group, "fused"), option(group, "foreach")
    if option(group, "differentiable"):
        if foreach:
            raise AssertionError("_foreach ops don't support autograd")
        return Choice(Implementation.ON_TENSORS, "differentiable=True")
    if option(group, "capturable"):
        return Choice(Implementation.ON_TENSORS, "capturable=True keeps every number on the device")
    if fused:
        if missing := _missing_for_triton(schema, param):
            raise RuntimeError(f"`fused=True` {missing}")
        return Choice(Implementation.TRITON, "fused=True")
    if foreach:
        return Choice(Implementation.FOREACH, "foreach=True")
    if fused is not None or foreach is not None:
        return Choice(Implementation.FOR_LOOP, "foreach=False" if foreach is not None else "fused=False")
    if param.device.type == "cuda" and not _missing_for_triton(schema, param):
        return Choice(Implementation.TRITON, f"the fastest on {param.device.type}")
    if param.device.type in _get_foreach_kernels_supported_devices() and is_plain(param):
        return Choice(Implementation.FOREACH, f"as in torch on {param.device.type}")
    return Choice(Implementation.FOR_LOOP, f"as in torch on {param.device.type}")


def _missing_for_triton(schema: Schema, param: Tensor) -> str:
    """What a Triton kernel would need and does not have, as the end of a sentence; empty if nothing."""
    if not has_triton_kernels(schema.package):
        return f"requires triton and the kernels of {schema.package}, of which one is not installed"
    device = "cpu" if triton_interprets() else "cuda"
    if param.device.type != device or param.dtype not in FUSED_DTYPES:
        return (
            "requires all the params to be floating point or complex Tensors of "
            f"supported devices: {[device]} but {param.dtype} and {param.device.type}"
        )
    if device == "cuda" and torch.cuda.is_current_stream_capturing():
        return "cannot run under graph capture: its numbers come from the host"
    return ""


@cache
def has_triton_kernels(package: str) -> bool:
    """Whether triton and the package's kernels can be imported; neither is imported to find out."""
    return all(importlib.util.find_spec(name) is not None for name in ("triton", f"{package}.triton_kernels"))


def triton_interprets() -> bool:
    """Whether Triton runs kernels in its interpreter, on the CPU: for tests."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "yes", "on", "y")


def _obstacle(schema: Schema, implementation: Implementation, member: Member) -> str:
    """Why this very parameter cannot run in an implementation; empty if it can."""
    if implementation in FUSED:
        return _fused_obstacle(schema, member)
    if member.grad.is_sparse and implementation is Implementation.FOREACH:
        return "the gradient is sparse"
    return ""


def _fused_obstacle(schema: Schema, member: Member) -> str:
    """Why a kernel that runs over storage order through raw addresses cannot take a parameter."""
    tensors = (member.param, member.grad, *tensor_states(schema, member))
    if member.grad.is_sparse:
        return "the gradient is sparse"
    if not all(is_plain(tensor) for tensor in tensors):
        return "a tensor is of another type than Tensor and Parameter, or lazily negated or conjugated"
    if not is_dense(member.param):
        return "the parameter does not fill one stretch of memory"
    strides = significant_strides(member.param)
    if any(significant_strides(tensor) != strides for tensor in tensors):
        return "parameter, gradient and state lie in memory in different orders"
    if not all(tensor.dtype in FUSED_DTYPES for tensor in tensors):
        return "a state has a dtype that kernels do not take"
    if member.param.numel() and not all(tensor.data_ptr() for tensor in tensors):
        return "a tensor has no memory"
    return ""


def _sharing_members(members: Iterable[Member]) -> set[int]:
    written: list[tuple[int, Tensor]] = []
    read: list[tuple[int, Tensor]] = []
    for index, member in enumerate(members):
        for tensor in (member.param, *member.states):
            if tensor is not None and has_memory(tensor):
                written.append((index, tensor))
        if has_memory(member.grad):
            read.append((index, member.grad))
    return sharing(written, read)
