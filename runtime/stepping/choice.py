"""Which implementation runs, and why.

In: a group's options and what the tensors at hand are. Out: a `Choice` with its reason in words, or torch's error
where an explicit option cannot be met. This is the only place that decides it.

An explicit option is followed: `fused=True`, `foreach=True`, or either of them False for the for-loop. With neither,
the fastest that fits each parameter: fused where there is a kernel for it, then foreach, then the for-loop.
`differentiable` runs the for-loop on tensors, and so does `capturable` where no kernels of a GPU fit. A parameter that
an implementation asked for cannot take falls back to the for-loop; `explain()` names it. Kernels for the CPU are built
here, so that one that cannot be built is known before anything is written.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import torch
from torch import Tensor
from torch.utils._foreach_utils import _get_foreach_kernels_supported_devices

from thetac.runtime.building.objects import BuildError, warn_once
from thetac.runtime.implementations.fused import specialisations_of, streams
from thetac.runtime.implementations.generated_modules import has_triton_kernels, kernel_source
from thetac.runtime.implementations.graph_capture import is_captured
from thetac.runtime.implementations.launch_cpp import CppLauncher, load_kernel, load_norm
from thetac.runtime.implementations.launch_triton import TritonLauncher
from thetac.runtime.implementations.launcher import MakeLauncher
from thetac.runtime.implementations.widened import HALF, computing_dtype, mixes_dtypes
from thetac.runtime.param_groups.groups import check_options, option
from thetac.runtime.param_groups.members import Member, tensor_states
from thetac.runtime.schema import Group, Schema
from thetac.runtime.tensor_facts.dtensors import local_of
from thetac.runtime.tensor_facts.memory import (
    all_have_memory,
    are_apart,
    has_memory,
    is_dense,
    is_plain,
    sharing,
    significant_strides,
)


class Implementation(Enum):
    FOR_LOOP = "for-loop"
    ON_TENSORS = "for-loop on tensors"  # no number leaves its tensor: for capturable and differentiable
    FOREACH = "foreach"
    TRITON = "Triton"
    CPP = "C++"


FUSED = frozenset({Implementation.TRITON, Implementation.CPP})

FUSED_DEVICES = ("cpu", "cuda")
FUSED_DTYPES = frozenset(
    {torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64, torch.complex128}
)


@dataclass(frozen=True, slots=True)
class Choice:
    implementation: Implementation
    reason: str
    is_fallback: bool = False  # of a parameter that what its group asks for cannot take
    is_explicit: bool = False  # asked for by name


def choose_all(schema: Schema, groups: Sequence[Group], members: Sequence[Member]) -> list[Choice]:
    """One choice per member. Raises, before anything has changed, where an explicit option cannot be met."""
    kernels = _Kernels(schema, groups)
    chosen: dict[int, Choice] = {}
    for positions in _alike(members):
        first = members[positions[0]]
        candidates = _candidates(schema, groups[first.group], first.param)
        _check_dtypes(schema, first, FUSED_DTYPES if candidates[0].implementation in FUSED else ())
        if _are_usual(schema, [members[position] for position in positions]):
            chosen |= dict.fromkeys(positions, _first_that_fits(schema, candidates, first, kernels))
        else:
            for position in positions:
                chosen[position] = _first_that_fits(schema, candidates, members[position], kernels)
    choices = [chosen[position] for position in range(len(members))]

    batched = (Implementation.FOREACH, *FUSED)
    if any(choice.implementation in batched for choice in choices):
        reason = "shares memory with another tensor of this step"
        for index in _sharing_members(members):
            if choices[index].implementation in batched:
                capturable = option(groups[members[index].group], "capturable")
                alone = Implementation.ON_TENSORS if capturable else Implementation.FOR_LOOP
                choices[index] = Choice(alone, reason, is_fallback=True)
    return choices


def choose(schema: Schema, group: Group, param: Tensor) -> Choice:
    """What a parameter's group and kind of tensor ask for; what the memory of its tensors allows may be less."""
    return _candidates(schema, group, param if option(group, "differentiable") else local_of(param))[0]


def launcher_of(implementation: Implementation) -> MakeLauncher:
    """What launches the kernels of a fused implementation."""
    match implementation:
        case Implementation.TRITON:
            return TritonLauncher
        case Implementation.CPP:
            return CppLauncher
        case _:
            raise AssertionError(f"{implementation.value} is not a fused implementation")


def _alike(members: Sequence[Member]) -> Iterable[list[int]]:
    """Positions of members that agree in group, device and dtypes, in order of their first ones."""
    found: dict[tuple[object, ...], list[int]] = {}
    for position, member in enumerate(members):
        param, grad = member.param, member.grad
        dtypes = [None if state is None else state.dtype for state in member.states]
        key = (member.group, param.device, param.dtype, type(param), grad.dtype, grad.layout, *dtypes)
        found.setdefault(key, []).append(position)
    return found.values()


def _are_usual(schema: Schema, members: Sequence[Member]) -> bool:
    """Whether all their tensors are such that what one of these members can run in, all can."""
    tensors = [tensor for member in members for tensor in (member.param, member.grad, *tensor_states(schema, member))]
    return (
        all_have_memory(tensors)
        and all(map(Tensor.is_contiguous, tensors))
        and not any(map(Tensor.is_neg, tensors))
        and not any(map(Tensor.is_conj, tensors))
        and all(map(Tensor.data_ptr, tensors))
    )


def _first_that_fits(schema: Schema, candidates: Sequence[Choice], member: Member, kernels: _Kernels) -> Choice:
    """The for-loop, which is always the last, takes everything."""
    why = ""
    for choice in candidates[:-1]:
        obstacle = _obstacle(schema, choice.implementation, member)
        if not obstacle and choice.implementation is Implementation.CPP and (error := kernels.error(member)):
            if choice.is_explicit:
                raise BuildError(f"`fused=True` cannot run: {error}")
            warn_once(error, _without_kernels(schema, member))
            obstacle = "C++ kernels cannot be built here"
        if not obstacle:
            return replace(choice, reason=why, is_fallback=True) if why else choice
        why = why or obstacle
    return replace(candidates[-1], reason=why, is_fallback=True) if why else candidates[-1]


def _without_kernels(schema: Schema, member: Member) -> str:
    """What other implementations do to a parameter that kernels would not, as part of a sentence."""
    dtype = computing_dtype(schema, member)
    return f", and compute {dtype} as torch.optim does, in {dtype} instead of float32" if dtype in HALF else ""


class _Kernels:
    """The C++ kernels of one optimizer, built when they are first asked for."""

    def __init__(self, schema: Schema, groups: Sequence[Group]) -> None:
        self._schema = schema
        self._groups = groups
        self._specialisations: dict[int, tuple[bool, ...]] = {}  # by group, where they make a difference
        self._errors: dict[tuple[bool, tuple[torch.dtype, ...], tuple[bool, ...]], BuildError | None] = {}

    def error(self, member: Member) -> BuildError | None:
        """Why there is none for a member; None if there is."""
        dtypes = _stream_dtypes(self._schema, member)
        is_clipped = option(self._groups[member.group], "clip_grad_norm") is not None
        kernel = (is_clipped, dtypes, self._conditions(member.group))
        if kernel not in self._errors:
            try:
                load_kernel(self._schema, *kernel[1:])
                if is_clipped:
                    load_norm(dtypes[1])
                self._errors[kernel] = None
            except BuildError as error:
                self._errors[kernel] = error
        return self._errors[kernel]

    def _conditions(self, group: int) -> tuple[bool, ...]:
        if not self._schema.separate_kernels:
            return ()
        if group not in self._specialisations:
            self._specialisations[group] = tuple(specialisations_of(self._schema, self._groups[group]).values())
        return self._specialisations[group]


def _check_dtypes(schema: Schema, member: Member, others: Collection[torch.dtype]) -> None:
    """Raise for state that is neither of its parameter's dtype nor of one of the others.

    torch's operations do not mix dtypes everywhere, and would find out after the first writes. Kernels do, and so does
    whatever stands in for them.
    """
    for declared, state in zip(schema.states, member.states, strict=True):
        if declared.kind == "tensor" and state is not None and state.dtype not in (member.param.dtype, *others):
            raise RuntimeError(
                f"`{declared.name}` of a parameter of group {member.group} is {state.dtype}, its parameter "
                f"{member.param.dtype}; only fused implementations take both"
            )


def _candidates(schema: Schema, group: Group, param: Tensor) -> list[Choice]:
    """What a parameter's group and kind of tensor ask for, best first."""
    check_options(group)
    fused, foreach = option(group, "fused"), option(group, "foreach")
    if option(group, "differentiable"):
        if foreach:
            raise AssertionError("_foreach ops don't support autograd")
        return [Choice(Implementation.ON_TENSORS, "differentiable=True")]
    if option(group, "capturable"):
        return _capturable(schema, group, param)
    for_loop = Choice(Implementation.FOR_LOOP, "takes every tensor")
    if fused:
        implementation = _fused_implementation(param.device)
        if missing := _missing(schema, implementation, param):
            raise RuntimeError(f"`fused=True` {missing}")
        return [Choice(implementation, "fused=True", is_explicit=True), for_loop]
    if foreach:
        return [Choice(Implementation.FOREACH, "foreach=True", is_explicit=True), for_loop]
    if fused is not None or foreach is not None:
        return [Choice(Implementation.FOR_LOOP, "foreach=False" if foreach is not None else "fused=False")]
    return [*_fastest(schema, param), for_loop]


def _capturable(schema: Schema, group: Group, param: Tensor) -> list[Choice]:
    """Kernels of a GPU take numbers that no host has read; else the for-loop, on tensors."""
    why = "capturable=True keeps every number on the device"
    fused, implementation = option(group, "fused"), _fused_implementation(param.device)
    on_tensors = Choice(Implementation.ON_TENSORS, why)
    if fused is False or option(group, "foreach") is not None or implementation is not Implementation.TRITON:
        return [on_tensors]
    if is_captured(param.device):
        return [replace(on_tensors, reason="kernels need a step outside of the graph first", is_fallback=True)]
    if missing := _missing(schema, implementation, param):
        if fused:
            raise RuntimeError(f"`fused=True` {missing}")
        return [on_tensors]
    if not fused and (param.device.type == "cpu" or not is_plain(param)):
        return [on_tensors]
    return [Choice(implementation, f"{'fused=True, ' if fused else ''}{why}", is_explicit=bool(fused)), on_tensors]


def _fastest(schema: Schema, param: Tensor) -> list[Choice]:
    """What is faster than the for-loop for a kind of tensor, where nothing was asked for."""
    if not is_plain(param):
        return []
    kind = param.device.type
    found: list[Choice] = []
    implementation = _fused_implementation(param.device)
    interpreted = kind == "cpu" and implementation is Implementation.TRITON
    if not interpreted and not _missing(schema, implementation, param):
        found.append(Choice(implementation, f"the fastest on {kind}"))
    if kind == "cpu" or kind in _get_foreach_kernels_supported_devices():
        found.append(Choice(Implementation.FOREACH, f"the fastest on {kind} without kernels for {param.dtype}"))
    return found


def _fused_implementation(device: torch.device) -> Implementation:
    """Whose kernels run on a device."""
    if device.type != "cpu":
        return Implementation.TRITON
    kernels = os.environ.get("THETAC_CPU_KERNELS", "") or "cpp"
    if kernels not in ("cpp", "triton"):
        raise RuntimeError(f"THETAC_CPU_KERNELS is {kernels!r}; it can be 'cpp', or 'triton' for Triton's interpreter")
    return Implementation.CPP if kernels == "cpp" else Implementation.TRITON


def _missing(schema: Schema, implementation: Implementation, param: Tensor) -> str:
    """What a fused implementation would need and does not have, as the end of a sentence; empty if nothing."""
    on_cpu = param.device.type == "cpu"
    if implementation is Implementation.CPP:
        if kernel_source(schema.package) is None:
            return f"requires the C++ kernels of {schema.package}, which has none"
    elif param.device.type in ("cpu", "cuda") and not has_triton_kernels(schema.package):
        return f"requires triton and the kernels of {schema.package}, of which one is not installed"
    elif on_cpu and not triton_interprets():
        return "with THETAC_CPU_KERNELS=triton requires TRITON_INTERPRET=1: Triton compiles no kernels for a CPU"
    if param.device.type not in FUSED_DEVICES or param.dtype not in FUSED_DTYPES:
        return (
            "requires all the params to be floating point or complex Tensors of "
            f"supported devices: {list(FUSED_DEVICES)} but {param.dtype} and {param.device.type}"
        )
    if is_captured(param.device):
        return "cannot run under graph capture without capturable=True: its numbers come from the host"
    return ""


def _stream_dtypes(schema: Schema, member: Member) -> tuple[torch.dtype, ...]:
    """What a kernel is built for: of each stream; a state that does not exist counts as the parameter's."""
    found = (member.param if stream is None else stream for stream in streams(schema, member).values())
    return tuple(tensor.dtype.to_real() if tensor.is_complex() else tensor.dtype for tensor in found)


def triton_interprets() -> bool:
    """Whether Triton runs kernels in its interpreter, on the CPU: for tests."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "yes", "on", "y")


def _obstacle(schema: Schema, implementation: Implementation, member: Member) -> str:
    """Why this very parameter cannot run in an implementation; empty if it can."""
    if implementation in FUSED:
        return _fused_obstacle(schema, member)
    if implementation is Implementation.FOREACH:
        if member.grad.is_sparse:
            return "the gradient is sparse"
        if mixes_dtypes(schema, member):
            return "state and parameter have different dtypes"
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


def _sharing_members(members: Sequence[Member]) -> set[int]:
    written_by_all = [tensor for member in members for tensor in (member.param, *member.states) if tensor is not None]
    if are_apart([*written_by_all, *(member.grad for member in members)]):
        return set()
    written: list[tuple[int, Tensor]] = []
    read: list[tuple[int, Tensor]] = []
    for index, member in enumerate(members):
        for tensor in (member.param, *member.states):
            if tensor is not None and has_memory(tensor):
                written.append((index, tensor))
        if has_memory(member.grad):
            read.append((index, member.grad))
    return sharing(written, read)
