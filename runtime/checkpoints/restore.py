"""Validate and convert a checkpoint for `load_state_dict`, before anything changes.

In: an optimizer's schema, groups and defaults, and a state dict of thetac or torch. Out: the groups and the state that
replace the optimizer's, or an error that names the parameter, what was expected and what was found. Nothing here
changes the optimizer or the state dict. Must not know where checkpoints are stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thetac.runtime.checkpoints.matching import match_groups
from thetac.runtime.param_groups.grad_scaling import max_norm_of
from thetac.runtime.param_groups.groups import (
    check_kinds,
    check_options,
    is_held_by_float,
    known_keys,
    option,
    written_keys,
)
from thetac.runtime.param_groups.shape_classes import shape_of
from thetac.runtime.param_groups.shared_numbers import check_agreement, check_shared
from thetac.runtime.param_groups.state import Entry, describe, listed, restored_entry, states_of
from thetac.runtime.param_groups.steps_taken import check_count
from thetac.runtime.param_groups.train_mode import check_mode
from thetac.runtime.schema import Group, Schema, State
from thetac.runtime.stepping.choice import choose
from thetac.runtime.stepping.implementation import FUSED
from thetac.runtime.stepping.requirements import FUSED_DTYPES


@dataclass(frozen=True, slots=True)
class Restored:
    """The groups and the state of a checkpoint, ready to replace those of an optimizer."""

    groups: list[dict[str, Any]]
    state: defaultdict[Any, Any]


@dataclass(frozen=True, slots=True)
class _Location:
    """A parameter and its position in the optimizer, by which messages name it."""

    group: int
    position: int
    name: str  # empty if it has none
    param: Tensor

    def __str__(self) -> str:
        known = f" ({self.name})" if self.name else ""
        return f"parameter {self.position} of group {self.group}{known}"


def convert_state_dict(
    schema: Schema,
    groups: Sequence[dict[str, Any]],
    defaults: Mapping[str, object],
    state_dict: Mapping[str, Any],
    *,
    is_declared: bool = True,
) -> Restored:
    """Validate a state dict and convert it for the parameters of an optimizer.

    Args:
        schema: What the optimizer's groups and state consist of.
        groups: The optimizer's groups.
        defaults: Its values for keys of groups that neither the state dict nor the groups have.
        state_dict: What `state_dict()` of this or of torch's optimizer returned. It is not changed; state is not copied
            where it needs no conversion.
        is_declared: Whether the schema names all of the state; else entries are taken as they are.

    Returns:
        The groups, in the optimizer's order and with its parameters, and the state by parameter, on its devices.

    Raises:
        KeyError: This is not an optimizer state dict: an entry is missing.
        ValueError: Its groups, state or values do not fit the optimizer.
        TypeError: A value is of a wrong type.
    """
    for key in ("param_groups", "state"):
        if key not in state_dict:
            raise KeyError(
                f"{key!r} is not in the loaded state dict, which has {listed(state_dict)}: "
                "this is not an optimizer state dict"
            )
    check_form(state_dict)
    # As in torch: tensors in groups are copied, state is not.
    saved = match_groups(groups, deepcopy(state_dict["param_groups"]))
    merged = [_merge(schema, group, other, defaults) for group, (_, other) in zip(groups, saved, strict=True)]
    for (index, _), group in zip(saved, merged, strict=True):
        check_kinds(schema, group, f"group {index} of the loaded state dict")
        check_shared(schema, group, f"group {index} of the loaded state dict")
        check_mode(schema, group, f"group {index} of the loaded state dict")
        check_count(schema, group, f"group {index} of the loaded state dict")
        check_options(group)
    max_norm_of(merged)
    check_agreement(schema, merged)
    ids = [(index, group["params"]) for index, group in saved]
    locations = _locate_by_id(groups, ids, merged)
    result = Restored([_with_params(*pair) for pair in zip(merged, groups, strict=True)], defaultdict(dict))
    kinds = tuple({type(known) for known in locations})
    for known, entry in state_dict["state"].items():
        location = locations.get(known)
        if location is None:
            if isinstance(known, kinds):
                raise ValueError(
                    f"loaded state dict has the state of a parameter {known!r}, which is in none of its groups: "
                    f"{'; '.join(f'group {index} has {_ids(group)}' for index, group in sorted(ids))}"
                )
            result.state[known] = entry  # of no parameter: a user's own entry, which is kept
        elif is_declared:
            result.state[location.param] = _convert_entry(schema, merged, location, entry)
        else:
            result.state[location.param] = _carry_over(
                location.param, entry, bool(option(merged[location.group], "capturable"))
            )
    return result


def check_form(state_dict: Mapping[str, Any]) -> None:
    """Raise TypeError if a part of a state dict has another type than it must have."""
    state, groups = state_dict.get("state", {}), state_dict.get("param_groups", [])
    if not isinstance(state, Mapping):
        raise TypeError(f"'state' of the loaded state dict must be a dict, not {type(state).__name__}")
    if not isinstance(groups, list | tuple):
        raise TypeError(f"'param_groups' of the loaded state dict must be a list, not {type(groups).__name__}")
    for index, group in enumerate(groups):
        if not isinstance(group, dict):
            raise TypeError(f"group {index} of the loaded state dict must be a dict, not {type(group).__name__}")
        ids = group.get("params", ())
        if not isinstance(ids, list | tuple):
            raise TypeError(
                f"'params' of group {index} of the loaded state dict must be a list, not {type(ids).__name__}"
            )
        for known in ids:
            try:
                hash(known)
            except TypeError:
                raise TypeError(
                    f"'params' of group {index} of the loaded state dict must hold ids, such as numbers, "
                    f"not {type(known).__name__}"
                ) from None


def _merge(schema: Schema, group: Group, saved: dict[str, Any], defaults: Mapping[str, object]) -> dict[str, Any]:
    """Complete a saved group: keys that were not saved, and names, keep the values of the optimizer's group."""
    for key in (*known_keys(schema), *written_keys(schema)):
        if key not in saved and key in group:
            saved[key] = group[key]
    if "param_names" in group:
        saved["param_names"] = group["param_names"]
    for key, value in defaults.items():
        saved.setdefault(key, value)
    for key in schema.fixed:
        saved[key] = defaults[key]
    return saved


def _with_params(merged: dict[str, Any], group: Group) -> dict[str, Any]:
    """Return a merged group with the optimizer's parameters in place of ids."""
    merged["params"] = group["params"]
    return merged


def _locate_by_id(
    groups: Sequence[Group], ids: Sequence[tuple[int, Sequence[Any]]], merged: Sequence[Group]
) -> dict[Any, _Location]:
    """Map the ids of a checkpoint to parameters; raise ValueError if two parameters share one."""
    locations: dict[Any, _Location] = {}
    for index, (group, (_, known)) in enumerate(zip(groups, ids, strict=True)):
        names = group.get("param_names") or merged[index].get("param_names") or ()
        for position, (param, other) in enumerate(zip(group["params"], known, strict=True)):
            name = str(names[position]) if position < len(names) else ""
            location = _Location(index, position, name, param)
            before = locations.setdefault(other, location)
            if before.param is not param:
                raise ValueError(f"loaded state dict has one id, {other!r}, for {before} and for {location}")
    return locations


def _convert_entry(schema: Schema, groups: Sequence[Group], location: _Location, entry: object) -> Entry:
    """Validate the state of one parameter; return it in the dtypes and on the devices that implementations expect."""
    group = groups[location.group]
    if not isinstance(entry, Mapping):
        raise TypeError(f"the loaded state of {location} must be a dict, not {type(entry).__name__}")
    _check_names(schema, group, location, entry)
    for declared in schema.states:
        if entry.get(declared.name) is not None:
            _check_value(schema, declared, entry[declared.name], location)
    found: Entry = {**entry, **restored_entry(schema, group, location.param, entry)}
    kept = _find_kept_dtypes(schema, group, location.param)
    for declared in schema.states:
        tensor = found.get(declared.name)
        if declared.follows_dtype and isinstance(tensor, Tensor):
            dtype = tensor.dtype if tensor.dtype in kept else location.param.dtype
            found[declared.name] = tensor.to(location.param.device, dtype)
    return found


def _check_names(schema: Schema, group: Group, location: _Location, entry: Mapping[str, object]) -> None:
    """Raise ValueError if an entry has unknown state, or only a part of the state that the group needs."""
    known = [declared.name for declared in schema.states]
    present = [name for name, value in entry.items() if value is not None]
    exists = states_of(schema, group, shape_of(schema, location.param))
    needed = [name for name, existing in zip(known, exists, strict=True) if existing]
    missing = [name for name in needed if name not in present]
    unknown = [name for name in entry if name not in known]
    if not unknown and (not missing or len(missing) == len(needed)):
        return
    raise ValueError(
        f"loaded state dict does not fit {location}: the state of {schema.name} consists of "
        f"{listed(needed) or 'nothing'} there, the loaded one of {listed(present) or 'nothing'}"
    )


def _check_value(schema: Schema, declared: State, value: object, location: _Location) -> None:
    """Raise TypeError or ValueError if a value cannot be this state of this parameter."""
    where, param = f"`{declared.name}` of {location}", location.param
    if not declared.follows_dtype:
        if isinstance(value, int | float):
            if not is_held_by_float(value):
                raise ValueError(f"loaded {where} is a number that no float can hold")
            if declared.integer and not float(value).is_integer():
                raise ValueError(f"loaded {where} must be an integer, not {value}")
            return
        if not isinstance(value, Tensor):
            raise TypeError(f"loaded {where} must be a number or a tensor of one, not {type(value).__name__}")
        if value.numel() != 1 or value.is_complex():
            raise ValueError(f"loaded {where} must be one real number, not {describe(value)}")
        if declared.integer and not float(value.item()).is_integer():
            raise ValueError(f"loaded {where} must be an integer, not {value.item()}")
        return
    if not isinstance(value, Tensor):
        raise TypeError(f"loaded {where} must be a tensor, not {type(value).__name__}")
    if value.shape != (expected := declared.shape_of(param.shape)):
        instead = "" if declared.like_param else f", and so it should have {tuple(expected)}"
        raise ValueError(
            f"loaded {where} has the shape {tuple(value.shape)}, its parameter {tuple(param.shape)}{instead}"
        )
    if value.is_complex() != param.is_complex() or not (value.is_floating_point() or value.is_complex()):
        raise ValueError(f"loaded {where} is {value.dtype}, its parameter {param.dtype}")
    if value.layout is not torch.strided and not (value.is_sparse and schema.sparse == "native"):
        raise ValueError(f"loaded {where} is {value.layout}, its parameter {param.layout}")


def _find_kept_dtypes(schema: Schema, group: Group, param: Tensor) -> Collection[torch.dtype]:
    """Return the dtypes besides the parameter's that its state may keep: those that a fused implementation takes."""
    try:
        return FUSED_DTYPES if choose(schema, group, param).implementation in FUSED else ()
    except (RuntimeError, AssertionError):  # the group asks for what is not available here; a step raises the error
        return ()


def _carry_over(param: Tensor, value: Any, capturable: bool, key: object = None) -> Any:
    """Move state that no schema declares to the devices where torch puts it; dtypes stay."""
    if isinstance(value, Tensor):
        on_host = key == "step" and not capturable  # torch keeps counters of this name there
        return value if on_host else value.to(param.device)
    if isinstance(value, dict):
        return {key: _carry_over(param, inner, capturable, key) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return type(value)(_carry_over(param, inner, capturable) for inner in value)
    return value


def _ids(group: Sequence[Any]) -> str:
    """Print ids for a message, consecutive ones as a range."""
    ids = list(group)
    consecutive = len(ids) > 2 and all(isinstance(known, int) for known in ids)
    if consecutive and ids == list(range(ids[0], ids[0] + len(ids))):
        return f"{ids[0]} to {ids[-1]}"
    return ", ".join(map(repr, ids)) or "none"
