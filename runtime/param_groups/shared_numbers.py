"""Numbers that parameters share: keys of parameter groups that steps write.

In: a schema and groups. Out: what a group gets when it is made, what a step computes with, and groups that have the
new numbers after it. A number of the optimizer is in every group, and is the same in all of them. Must not know how a
step computes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from thetac.runtime.param_groups.groups import option
from thetac.runtime.schema import Group, Schema
from thetac.runtime.tensors import Scalar, store

SharedNumbers = Mapping[str, Scalar]  # by name


def first_values(schema: Schema, groups: Sequence[Group], added: Group) -> dict[str, object]:
    """Return the shared numbers of a new group, those that it gives itself included.

    Args:
        schema: The schema of the optimizer.
        groups: The groups that there are: a number of the optimizer is taken from the first of them.
        added: The new group, with all hyperparameters; None in place of a number that it does not give.
    """
    found: dict[str, object] = {}
    for shared in schema.shared:
        if added[shared.name] is not None:
            found[shared.name] = added[shared.name]
        elif shared.scope == "optimizer" and groups:
            found[shared.name] = groups[0][shared.name]
        else:
            found[shared.name] = float(shared.init(added))
    return found


def check_agreement(schema: Schema, groups: Sequence[Group]) -> None:
    """Raise ValueError if groups differ in what numbers of the optimizer are, or are computed from."""
    if len(groups) < 2:
        return
    of_optimizer = [shared.name for shared in schema.shared if shared.scope == "optimizer"]
    for name in (*schema.uniform, *of_optimizer):
        values = [group[name] for group in groups]
        if any(value is not values[0] and not _agree(value, values[0]) for value in values[1:]):
            why = (
                f"{schema.name} keeps one number of this name"
                if name in of_optimizer
                else (f"{schema.name} computes numbers of the whole optimizer from it")
            )
            shown = ", ".join(str(_plain(value)) for value in values)
            raise ValueError(f"{name} must be the same in all parameter groups, since {why}; it is {shown}")


def check_shared(schema: Schema, group: Group, where: str) -> None:
    """Raise TypeError or ValueError for a shared number that is none; `where` names the group in messages."""
    for shared in schema.shared:
        value = group[shared.name]
        if isinstance(value, Tensor):
            if value.numel() != 1 or value.is_complex():
                raise ValueError(f"{where}: {shared.name} must be one real number")
        elif not _is_plain(value):
            raise TypeError(f"{where}: {shared.name} must be a number, not {type(value).__name__}")


def numbers_of(schema: Schema, group: Group) -> dict[str, float]:
    """Return the shared numbers of a group as floats; wait for those on an accelerator.

    Raises:
        TypeError: One is no number.
        ValueError: One is a tensor of more than one element, or not real.
    """
    check_shared(schema, group, "a parameter group")
    return {shared.name: float(group[shared.name]) for shared in schema.shared}


def tensors_of(schema: Schema, group: Group, device: torch.device) -> dict[str, Tensor]:
    """Return the shared numbers of a group as 0-d tensors of float64 on a device.

    Raises what `numbers_of` raises.
    """
    check_shared(schema, group, "a parameter group")
    return {shared.name: _as_tensor(group[shared.name], device) for shared in schema.shared}


def scalars_of(schema: Schema, group: Group, device: torch.device) -> dict[str, Scalar]:
    """Return the shared numbers of a group: floats as they are, tensors as 0-d ones of float64 on a device.

    Raises what `numbers_of` raises.
    """
    check_shared(schema, group, "a parameter group")
    given = {shared.name: group[shared.name] for shared in schema.shared}
    return {name: _as_tensor(one, device) if isinstance(one, Tensor) else float(one) for name, one in given.items()}


def keep_as_tensors(schema: Schema, groups: Sequence[dict[str, Any]], *, in_all: bool) -> None:
    """Replace floats in groups by tensors of the same values, since a graph would go on with a float for ever.

    Args:
        schema: The schema of the optimizer.
        groups: All groups. A number of the optimizer becomes one tensor, on the device of the first group with tensors.
        in_all: Whether all groups get tensors, or only those that are capturable.
    """
    having = [group for group in groups if group["params"] and (in_all or option(group, "capturable"))]
    if not having:
        return
    with _disable_current_modes():  # they are no part of a graph that is traced
        for shared in schema.shared:
            name = shared.name
            if shared.scope == "group":
                for group in having:
                    if _is_plain(group[name]):
                        group[name] = _as_tensor(group[name], group["params"][0].device)
            elif _is_plain(groups[0][name]):
                value = _as_tensor(groups[0][name], having[0]["params"][0].device)
                for group in groups:
                    group[name] = value


def restore_floats(schema: Schema, groups: Sequence[dict[str, Any]]) -> None:
    """Replace tensors of a checkpoint or pickle by floats where no group is capturable, since the host reads them."""
    if any(option(group, "capturable") for group in groups):
        return
    for group in groups:
        for shared in schema.shared:
            if isinstance(value := group.get(shared.name), Tensor) and value.numel() == 1:
                group[shared.name] = float(value)


def put_shared(schema: Schema, groups: Sequence[dict[str, Any]], found: Mapping[int, SharedNumbers]) -> None:
    """Put the shared numbers that a step has computed into the groups.

    A tensor in a group is written in place, since a graph may read it in every step, unless a group is differentiable:
    autograd may need its old value. Where a step gives a tensor and a group has a float, the group gets the tensor.

    Args:
        schema: The schema of the optimizer.
        groups: All groups.
        found: The numbers by the index of a group; a group without gradients has none.
    """
    if not found:
        return
    first = next(iter(found.values()))
    in_place = not any(option(group, "differentiable") for group in groups)
    for shared in schema.shared:
        name = shared.name
        if shared.scope == "optimizer":
            value = _kept_or_new(groups[0][name], first[name], in_place=in_place)
            for group in groups:
                _put(group, name, value)  # one tensor, if it is one
        else:
            for index, numbers in found.items():
                _put(groups[index], name, _kept_or_new(groups[index][name], numbers[name], in_place=in_place))


def _put(group: dict[str, Any], name: str, value: Scalar) -> None:
    """Put a value into a group that does not have it yet; a graph that assigned it would write the whole group."""
    if group[name] is not value:
        group[name] = value


def _is_plain(value: object) -> bool:
    """Return whether a value is a number of Python's; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kept_or_new(kept: Scalar, value: Scalar, *, in_place: bool) -> Scalar:
    """Return the tensor of a group with a new value written into it, or the new value itself."""
    if not in_place or not isinstance(kept, Tensor):
        return value
    store(kept, value)
    return kept


def widest_dtype(device: torch.device) -> torch.dtype:
    """Return the dtype of shared numbers that are tensors: float64, or float32 on a device that lacks it."""
    return torch.float32 if device.type == "mps" else torch.float64


def _as_tensor(value: Scalar, device: torch.device) -> Tensor:
    """Return a shared number as a 0-d tensor on a device, the same tensor if it is one."""
    if isinstance(value, Tensor):
        return value.to(device, widest_dtype(device)).reshape(())
    return torch.full((), value, dtype=widest_dtype(device), device=device)


def _agree(one: object, other: object) -> bool:
    """Return whether two values of groups are equal; NaN equals NaN. Tensors are compared on the host."""
    one, other = _plain(one), _plain(other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_agree, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


def _plain(value: object) -> object:
    """Return a value with numbers in place of tensors, and a tuple in place of a list."""
    if isinstance(value, Tensor):
        return value.item()
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value
