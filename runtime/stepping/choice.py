"""Which implementation runs, and why.

In: a group's options and what the tensors at hand are. Out: a `Choice` with its reason in words, or torch's error
where an explicit option cannot be met. Only this module decides it.

An explicit option is followed: `fused=True`, `foreach=True`, or either of them False for the for-loop. With neither,
the fastest that fits each parameter: fused where there is a kernel for it, then foreach, then the for-loop.
`differentiable` runs the for-loop on tensors, and so does `capturable` where no kernels of a GPU fit. A parameter that
an implementation asked for cannot take falls back to the for-loop; `explain()` names it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils._foreach_utils import _get_foreach_kernels_supported_devices

from thetac.runtime.building.compiled_objects import BuildError, warn_once
from thetac.runtime.implementations.graph_capture import is_captured
from thetac.runtime.implementations.widened import HALF, computing_dtype
from thetac.runtime.param_groups.groups import check_options, option
from thetac.runtime.param_groups.members import Member, small_states, tensor_states
from thetac.runtime.schema import Group, Schema
from thetac.runtime.stepping.implementation import FUSED, Choice, Implementation
from thetac.runtime.stepping.requirements import FUSED_DTYPES, Kernels, fused_implementation, missing_for, obstacle_of
from thetac.runtime.tensor_facts.dtensors import get_local, is_dtensor
from thetac.runtime.tensor_facts.memory import (
    all_have_memory,
    are_apart,
    find_overlapping_owners,
    has_memory,
    is_plain,
)

_OVER_PROCESSES = "the parameter is distributed, and its rule has sums over all of it"
ON_HOST = "the host adds up over all parameters between launches of its kernels"  # of a rule that waits for totals


def choose_all(schema: Schema, groups: Sequence[Group], members: Sequence[Member]) -> list[Choice]:
    """Choose the implementation of each member.

    Args:
        schema: The schema of the optimizer.
        groups: All of its groups.
        members: The members of a step.

    Returns:
        One choice per member. Members that share memory with others run alone, not in batches.

    Raises:
        RuntimeError: An explicit option cannot be met, or a state has a dtype that no implementation takes with its
            parameter's. Nothing has changed yet.
        BuildError: `fused=True` needs C++ kernels that cannot be built.
        AssertionError: A group is differentiable and asks for foreach.
    """
    kernels = Kernels(schema, groups)
    chosen: dict[int, Choice] = {}
    for positions in _alike(schema, members):
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
    """Return the implementation that the options of a group ask for and the type of the parameter allows.

    The choice of a step may be another one, as it also depends on the memory of gradient and state.
    """
    is_whole = schema.reduces or option(group, "differentiable")
    return _candidates(schema, group, param if is_whole else get_local(param))[0]


def _alike(schema: Schema, members: Sequence[Member]) -> Iterable[list[int]]:
    """Return positions of members that agree in group, device, dtypes and shape class, in order of the first ones."""
    found: dict[tuple[object, ...], list[int]] = {}
    for position, member in enumerate(members):
        param, grad = member.param, member.grad
        dtypes = [None if state is None else state.dtype for state in member.states]
        shape_class = schema.shape_class(member.shape)
        key = (member.group, param.device, param.dtype, type(param), grad.dtype, grad.layout, shape_class, *dtypes)
        found.setdefault(key, []).append(position)
    return found.values()


def _are_usual(schema: Schema, members: Sequence[Member]) -> bool:
    """Return whether all tensors are contiguous with memory of their own: then what one member can run in, all can."""
    tensors = [
        tensor
        for member in members
        for tensor in (member.param, member.grad, *tensor_states(schema, member), *small_states(schema, member))
    ]
    return (
        all_have_memory(tensors)
        and all(map(Tensor.is_contiguous, tensors))
        and not any(map(Tensor.is_neg, tensors))
        and not any(map(Tensor.is_conj, tensors))
        and all(map(Tensor.data_ptr, tensors))
    )


def _first_that_fits(schema: Schema, candidates: Sequence[Choice], member: Member, kernels: Kernels) -> Choice:
    """Return the first candidate that can take a member: the for-loop, which is always the last, takes everything."""
    why = ""
    for choice in candidates[:-1]:
        obstacle = obstacle_of(schema, choice.implementation, member)
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
    """Return what other implementations do to a parameter that kernels would not, as part of a sentence."""
    dtype = computing_dtype(schema, member)
    return f", and compute {dtype} as torch.optim does, in {dtype} instead of float32" if dtype in HALF else ""


def _check_dtypes(schema: Schema, member: Member, others: Collection[torch.dtype]) -> None:
    """Raise RuntimeError for state that is neither of its parameter's dtype nor of one of the others.

    torch's operations do not mix dtypes everywhere, and would find out after the first writes. Kernels do, and so does
    whatever replaces them.
    """
    for declared, state in zip(schema.states, member.states, strict=True):
        if declared.follows_dtype and state is not None and state.dtype not in (member.param.dtype, *others):
            raise RuntimeError(
                f"`{declared.name}` of a parameter of group {member.group} is {state.dtype}, its parameter "
                f"{member.param.dtype}; only fused implementations take both"
            )


def _candidates(schema: Schema, group: Group, param: Tensor) -> list[Choice]:
    """Return what a parameter's group and kind of tensor ask for, best first."""
    check_options(group)
    fused, foreach = option(group, "fused"), option(group, "foreach")
    if option(group, "differentiable"):
        if foreach:
            raise AssertionError("_foreach ops don't support autograd")
        return [Choice(Implementation.ON_TENSORS, "differentiable=True")]
    if option(group, "capturable"):
        return _capturable(schema, group, param)
    for_loop = Choice(Implementation.FOR_LOOP, "takes every tensor")
    if schema.reduces and is_dtensor(param):
        return [replace(for_loop, reason=_OVER_PROCESSES, is_fallback=True)]
    if fused:
        implementation = fused_implementation(param.device)
        if missing := missing_for(schema, implementation, param):
            raise RuntimeError(f"`fused=True` {missing}")
        return [Choice(implementation, "fused=True", is_explicit=True), for_loop]
    if foreach:
        return [Choice(Implementation.FOREACH, "foreach=True", is_explicit=True), for_loop]
    if fused is not None or foreach is not None:
        return [Choice(Implementation.FOR_LOOP, "foreach=False" if foreach is not None else "fused=False")]
    return [*_fastest(schema, param), for_loop]


def _capturable(schema: Schema, group: Group, param: Tensor) -> list[Choice]:
    """Return kernels of a GPU, which take scalars that no host has read, or the for-loop on tensors."""
    why = "capturable=True keeps every number on the device"
    fused, implementation = option(group, "fused"), fused_implementation(param.device)
    on_tensors = Choice(Implementation.ON_TENSORS, why)
    if fused is False or option(group, "foreach") is not None or implementation is not Implementation.TRITON:
        return [on_tensors]
    if schema.waits:
        return [replace(on_tensors, reason=ON_HOST, is_fallback=True) if fused else on_tensors]
    if is_captured(param.device):
        return [replace(on_tensors, reason="kernels need a step outside of the graph first", is_fallback=True)]
    if missing := missing_for(schema, implementation, param):
        if fused:
            raise RuntimeError(f"`fused=True` {missing}")
        return [on_tensors]
    if not fused and (param.device.type == "cpu" or not is_plain(param)):
        return [on_tensors]
    return [Choice(implementation, f"{'fused=True, ' if fused else ''}{why}", is_explicit=bool(fused)), on_tensors]


def _fastest(schema: Schema, param: Tensor) -> list[Choice]:
    """Return what is faster than the for-loop for a kind of tensor, where nothing was asked for."""
    if not is_plain(param):
        return []
    kind = param.device.type
    found: list[Choice] = []
    implementation = fused_implementation(param.device)
    interpreted = kind == "cpu" and implementation is Implementation.TRITON
    if not interpreted and not missing_for(schema, implementation, param):
        found.append(Choice(implementation, f"the fastest on {kind}"))
    if kind == "cpu" or kind in _get_foreach_kernels_supported_devices():
        found.append(Choice(Implementation.FOREACH, f"the fastest on {kind} without kernels for {param.dtype}"))
    return found


def _sharing_members(members: Sequence[Member]) -> set[int]:
    """Return the indices of members with tensors that share memory, where at least one of these is written."""
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
    return find_overlapping_owners(written, read)
