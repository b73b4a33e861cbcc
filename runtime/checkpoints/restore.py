"""What `load_state_dict` makes of a checkpoint: checked as a whole, and converted, before anything changes.

In: an optimizer's schema, groups and defaults, and a state dict, ours or torch's. Out: the groups and the state that
replace the optimizer's, or an error that says which parameter it is about, what belongs there and what was found.
Nothing here changes the optimizer or the state dict. Must not know where checkpoints are stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thetac.runtime.checkpoints.matching import matched
from thetac.runtime.param_groups.grad_scaling import max_norm_of
from thetac.runtime.param_groups.groups import check_kinds, check_options, is_held_by_float, known_keys, option
from thetac.runtime.param_groups.state import Entry, describe, listed, restored_entry, states_of
from thetac.runtime.schema import Group, Schema, State
from thetac.runtime.stepping.choice import choose
from thetac.runtime.stepping.implementation import FUSED
from thetac.runtime.stepping.requirements import FUSED_DTYPES


@dataclass(frozen=True, slots=True)
class Restored:
    """What an optimizer holds once it has taken over a checkpoint."""

    groups: list[dict[str, Any]]
    state: defaultdict[Any, Any]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a parameter stands, for messages, and the parameter."""

    group: int
    position: int
    name: str  # empty if nobody gave it one
    param: Tensor

    def __str__(self) -> str:
        known = f" ({self.name})" if self.name else ""
        return f"parameter {self.position} of group {self.group}{known}"


def restored(
    schema: Schema,
    groups: Sequence[dict[str, Any]],
    defaults: Mapping[str, object],
    state_dict: Mapping[str, Any],
    *,
    is_declared: bool = True,
) -> Restored:
    """The groups and the state that a state dict holds, for these groups' parameters.

    `is_declared` says that the schema names all of the state; else entries are taken as they are. Raises KeyError for
    what is no state dict of an optimizer, ValueError for one that does not fit, TypeError for values of a wrong kind.
    """
    for key in ("param_groups", "state"):
        if key not in state_dict:
            raise KeyError(
                f"{key!r} is not in the loaded state dict, which has {listed(state_dict)}: it is none of an optimizer"
            )
    check_form(state_dict)
    # As in torch: tensors in groups are copied, state is not.
    saved = matched(groups, deepcopy(state_dict["param_groups"]))
    merged = [_merged(schema, group, other, defaults) for group, (_, other) in zip(groups, saved, strict=True)]
    for (index, _), group in zip(saved, merged, strict=True):
        check_kinds(schema, group, f"group {index} of the loaded state dict")
        check_options(group)
    max_norm_of(merged)
    ids = [(index, group["params"]) for index, group in saved]
    places = _places(groups, ids, merged)
    result = Restored([_with_params(*pair) for pair in zip(merged, groups, strict=True)], defaultdict(dict))
    kinds = tuple({type(known) for known in places})
    for known, entry in state_dict["state"].items():
        place = places.get(known)
        if place is None:
            if isinstance(known, kinds):
                raise ValueError(
                    f"loaded state dict has the state of a parameter {known!r}, which is in none of its groups: "
                    f"{'; '.join(f'group {index} has {_ids(group)}' for index, group in sorted(ids))}"
                )
            result.state[known] = entry  # of no parameter, but of the optimizer: a user's own, carried along
        elif is_declared:
            result.state[place.param] = _restored_entry(schema, merged, place, entry)
        else:
            result.state[place.param] = _carried(place.param, entry, bool(option(merged[place.group], "capturable")))
    return result


def check_form(state_dict: Mapping[str, Any]) -> None:
    """Raise TypeError for what looks like a state dict, but holds something else in its place."""
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


def _merged(schema: Schema, group: Group, saved: dict[str, Any], defaults: Mapping[str, object]) -> dict[str, Any]:
    """The saved group; what an older or another version did not save keeps the value that it has, as names do."""
    for key in known_keys(schema):
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
    merged["params"] = group["params"]
    return merged


def _places(
    groups: Sequence[Group], ids: Sequence[tuple[int, Sequence[Any]]], merged: Sequence[Group]
) -> dict[Any, _Place]:
    """Whose state stands under which id."""
    places: dict[Any, _Place] = {}
    for index, (group, (_, known)) in enumerate(zip(groups, ids, strict=True)):
        names = group.get("param_names") or merged[index].get("param_names") or ()
        for position, (param, other) in enumerate(zip(group["params"], known, strict=True)):
            name = str(names[position]) if position < len(names) else ""
            place = _Place(index, position, name, param)
            before = places.setdefault(other, place)
            if before.param is not param:
                raise ValueError(f"loaded state dict has one id, {other!r}, for {before} and for {place}")
    return places


def _restored_entry(schema: Schema, groups: Sequence[Group], place: _Place, entry: object) -> Entry:
    """The state of one parameter, where it belongs and as implementations take it."""
    group = groups[place.group]
    if not isinstance(entry, Mapping):
        raise TypeError(f"the loaded state of {place} must be a dict, not {type(entry).__name__}")
    _check_names(schema, group, place, entry)
    for declared in schema.states:
        if entry.get(declared.name) is not None:
            _check_value(schema, declared, entry[declared.name], place)
    found: Entry = {**entry, **restored_entry(schema, group, place.param, entry)}
    kept = _dtypes_taken(schema, group, place.param)
    for declared in schema.states:
        tensor = found.get(declared.name)
        if declared.like_param and isinstance(tensor, Tensor):
            dtype = tensor.dtype if tensor.dtype in kept else place.param.dtype
            found[declared.name] = tensor.to(place.param.device, dtype)
    return found


def _check_names(schema: Schema, group: Group, place: _Place, entry: Mapping[str, object]) -> None:
    known = [declared.name for declared in schema.states]
    present = [name for name, value in entry.items() if value is not None]
    needed = [name for name, exists in zip(known, states_of(schema, group), strict=True) if exists]
    missing = [name for name in needed if name not in present]
    unknown = [name for name in entry if name not in known]
    if not unknown and (not missing or len(missing) == len(needed)):
        return
    raise ValueError(
        f"loaded state dict does not fit {place}: the state of {schema.name} consists of "
        f"{listed(needed) or 'nothing'} there, the loaded one of {listed(present) or 'nothing'}"
    )


def _check_value(schema: Schema, declared: State, value: object, place: _Place) -> None:
    where, param = f"`{declared.name}` of {place}", place.param
    if declared.is_number:
        if isinstance(value, int | float):
            if not is_held_by_float(value):
                raise ValueError(f"loaded {where} is a number that no float can hold")
            return
        if not isinstance(value, Tensor):
            raise TypeError(f"loaded {where} must be a number or a tensor of one, not {type(value).__name__}")
        if value.numel() != 1 or value.is_complex():
            raise ValueError(f"loaded {where} must be one real number, not {describe(value)}")
        return
    if not isinstance(value, Tensor):
        raise TypeError(f"loaded {where} must be a tensor, not {type(value).__name__}")
    if value.shape != param.shape:
        raise ValueError(f"loaded {where} has the shape {tuple(value.shape)}, its parameter {tuple(param.shape)}")
    if value.is_complex() != param.is_complex() or not (value.is_floating_point() or value.is_complex()):
        raise ValueError(f"loaded {where} is {value.dtype}, its parameter {param.dtype}")
    if value.layout is not torch.strided and not (value.is_sparse and schema.sparse == "native"):
        raise ValueError(f"loaded {where} is {value.layout}, its parameter {param.layout}")


def _dtypes_taken(schema: Schema, group: Group, param: Tensor) -> Collection[torch.dtype]:
    """Which dtypes state may have beside the parameter's: those of kernels, as nothing else takes others by choice."""
    try:
        return FUSED_DTYPES if choose(schema, group, param).implementation in FUSED else ()
    except (RuntimeError, AssertionError):  # what the group asks for cannot be had here; a step will say so
        return ()


def _carried(param: Tensor, value: Any, capturable: bool, key: object = None) -> Any:
    """State that no schema declares, where torch carries it, in the dtype that the rule gave it."""
    if isinstance(value, Tensor):
        on_host = key == "step" and not capturable  # torch keeps counters of this name there
        return value if on_host else value.to(param.device)
    if isinstance(value, dict):
        return {key: _carried(param, inner, capturable, key) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return type(value)(_carried(param, inner, capturable) for inner in value)
    return value


def _ids(group: Sequence[Any]) -> str:
    ids = list(group)
    consecutive = len(ids) > 2 and all(isinstance(known, int) for known in ids)
    if consecutive and ids == list(range(ids[0], ids[0] + len(ids))):
        return f"{ids[0]} to {ids[-1]}"
    return ", ".join(map(repr, ids)) or "none"
