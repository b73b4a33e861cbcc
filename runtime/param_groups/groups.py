"""Parameter groups: what a group may hold, and the values that implementations are called with.

In: a schema and a group. Out: errors in torch's wording, or a group's values by element name. Must not know of state,
gradients or implementations. torch checks only what its constructors are given; here the overrides of every group are
checked too, and before anything is changed.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Iterable, Mapping
from typing import SupportsFloat

from torch import Tensor

from thetac.options import IN_UPDATE, OPTIONS
from thetac.runtime.param_groups.spelling import typo_of
from thetac.runtime.schema import Group, Hyperparameter, Schema

Value = float | Tensor  # a hyperparameter's element, or a flag
HostScalars = Mapping[str, float]  # the same as a Python number, by element name

_DEFAULTS = {name: option.default for name, option in OPTIONS.items()}

# What torch itself puts into groups: names of parameters, and what its schedulers and averaging remember.
_KEYS_OF_TORCH = frozenset(
    {"params", "param_names", "initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum", "swa_lr"}
)


def option(group: Group, name: str) -> object:
    """Return an option of a group; one that torch's class does not have is in a group only where a user gave it."""
    return group.get(name, _DEFAULTS[name])


def known_keys(schema: Schema) -> tuple[str, ...]:
    return (*(hyperparameter.name for hyperparameter in schema.hyperparameters), *schema.flags, *OPTIONS)


def without_unused_options(schema: Schema, defaults: Mapping[str, object]) -> dict[str, object]:
    """Return the group keys of a constructor call: torch's own, and further options only where they are not default."""
    return {
        key: value
        for key, value in defaults.items()
        if key not in OPTIONS or key in schema.options or value is not _DEFAULTS[key]
    }


def check_values(schema: Schema, group: Group, given: Collection[str]) -> None:
    """Raise torch's ValueError for the first of the `given` keys whose value is not allowed, then for a requirement."""
    for hyperparameter in schema.hyperparameters:
        if hyperparameter.name in given:
            _check_hyperparameter(hyperparameter, group[hyperparameter.name])
    for requirement in schema.requirements:
        if not requirement.holds(group):
            raise ValueError(requirement.message)


def check_kinds(schema: Schema, group: Group, where: str) -> None:
    """Raise for a value that cannot be read as numbers. Ranges are not looked at: schedulers may leave them."""
    for hyperparameter in schema.hyperparameters:
        try:
            _readable_elements(hyperparameter, group[hyperparameter.name])
        except (TypeError, ValueError) as error:
            raise type(error)(f"{where}: {error}") from None


def check_options(group: Group) -> None:
    """Raise for options that exclude each other, as torch's constructors do."""
    if option(group, "fused"):
        if option(group, "differentiable"):
            raise RuntimeError("`fused` does not support `differentiable`")
        if option(group, "foreach"):
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    clip = option(group, "clip_grad_norm")
    if clip is not None:
        if isinstance(clip, bool) or not isinstance(clip, int | float):
            raise TypeError(f"clip_grad_norm must be a float or None, not {type(clip).__name__}")
        if not clip >= 0:
            raise ValueError(f"Invalid clip_grad_norm value: {clip}")


def warn_of_misspelt_keys(schema: Schema, given: Iterable[object], defaults: Iterable[str]) -> None:
    """Warn of keys that nothing reads and that are typing errors of one that something does; others are the user's."""
    known = (*known_keys(schema), *defaults)
    for key in given:
        if not isinstance(key, str) or key in known or key in _KEYS_OF_TORCH:
            continue
        if (close := typo_of(key, known)) is not None:
            warnings.warn(
                f"{schema.name} does not read `{key}` of a parameter group; did you mean `{close}`?", stacklevel=4
            )


def with_scalar_tuples(schema: Schema, defaults: Mapping[str, object]) -> dict[str, object]:
    """Return tuples as tuples, with 1-element tensors in them as 0-d tensors, as torch keeps betas."""
    result = dict(defaults)
    for hyperparameter in schema.hyperparameters:
        if hyperparameter.is_tuple:
            elements = _elements(hyperparameter, result[hyperparameter.name])
            result[hyperparameter.name] = tuple(_to_scalar(element) for element in elements)
    return result


def values_of(schema: Schema, group: Group) -> dict[str, Value]:
    """Return every element of hyperparameters, every own flag and the options of the update; tensors as 0-d ones.

    Raises for what is no number: an implementation would find out after its first writes.
    """
    values: dict[str, Value] = {}
    for hyperparameter in schema.hyperparameters:
        for name, element in zip(
            hyperparameter.elements, _readable_elements(hyperparameter, group[hyperparameter.name]), strict=True
        ):
            values[name] = _to_scalar(element) if hyperparameter.tensor else _to_number(element)
    for flag in schema.flags:
        values[flag] = bool(group[flag])
    for name in IN_UPDATE:
        values[name] = bool(option(group, name))
    return values


def host_scalars_of(schema: Schema, group: Group) -> HostScalars:
    """Return the same with Python numbers only; a tensor on an accelerator is waited for."""
    return {name: _to_number(value) for name, value in values_of(schema, group).items()}


def _check_hyperparameter(hyperparameter: Hyperparameter, value: object) -> None:
    elements = _elements(hyperparameter, value)
    for index, element in enumerate(elements):
        if isinstance(element, Tensor) and element.numel() != 1:
            name = f"{hyperparameter.name}[{index}]" if hyperparameter.is_tuple else hyperparameter.name
            raise ValueError(f"Tensor {name} must be 1-element")
        if isinstance(element, Tensor) and element.requires_grad and not hyperparameter.tensor:
            raise ValueError(f"{hyperparameter.name} cannot be a Tensor that requires grad; give it as a float")
    for index, (element, interval) in enumerate(zip(elements, hyperparameter.intervals, strict=True)):
        number = _to_number(element)
        allowed = not math.isnan(number) if interval is None else number in interval
        if not allowed:
            shown = tuple(_to_scalar(element) for element in elements)
            raise ValueError(hyperparameter.error.format(*shown, value=shown[index], index=index))


def _elements(hyperparameter: Hyperparameter, value: object) -> tuple[Value, ...]:
    if not hyperparameter.is_tuple:
        return (value,)  # type: ignore[return-value]  # what a user gives is checked where it is compared
    name, count = hyperparameter.name, len(hyperparameter.elements)
    if not isinstance(value, tuple | list):
        raise TypeError(f"{name} must be a tuple of {count} numbers, not {type(value).__name__}")
    if len(value) != count:
        raise ValueError(f"{name} must have {count} elements, not {len(value)}")
    return tuple(value)


def _readable_elements(hyperparameter: Hyperparameter, value: object) -> tuple[Value, ...]:
    elements = _elements(hyperparameter, value)
    for element in elements:
        _check_readable(hyperparameter.name, element)
    return elements


def _check_readable(name: str, element: object) -> None:
    if isinstance(element, Tensor):
        if element.numel() != 1:
            raise ValueError(f"Tensor {name} must be 1-element")
    elif not isinstance(element, float | int) and not isinstance(element, SupportsFloat):
        raise TypeError(f"{name} must be a number, not {type(element).__name__}")
    elif isinstance(element, int) and not is_held_by_float(element):
        raise ValueError(f"{name} is a number that no float can hold")


def is_held_by_float(number: float) -> bool:
    """Return whether a number can be made a float; a whole one may be too large."""
    try:
        float(number)
    except OverflowError:
        return False
    return True


def _to_number(element: Value) -> float:
    return element.item() if isinstance(element, Tensor) else element


def _to_scalar(element: Value) -> Value:
    return element.squeeze() if isinstance(element, Tensor) and element.dim() != 0 else element
