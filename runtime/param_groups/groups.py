"""Parameter groups: what a group may hold, and the values that implementations are called with.

In: a schema and a group. Out: errors in torch's wording, or a group's values by element name. Must not know of state,
gradients or implementations. torch checks only what its constructors are given; here the overrides of every group are
checked too, and before anything is changed.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Iterable, Mapping
from typing import SupportsFloat, SupportsIndex

import torch
from torch import Tensor

from thetac.options import IN_UPDATE, OPTIONS
from thetac.runtime.param_groups.spelling import find_typo
from thetac.runtime.param_groups.steps_taken import count_keys
from thetac.runtime.param_groups.train_mode import mode_keys
from thetac.runtime.schema import Choice, Group, Hyperparameter, Schema
from thetac.runtime.tensors import plain_number

Value = float | Tensor  # an element of a hyperparameter, or a flag
HostScalars = Mapping[str, float]  # such values as Python numbers, by element name

_DEFAULTS = {name: option.default for name, option in OPTIONS.items()}

# What torch itself puts into groups: names of parameters, and what its schedulers and averaging remember.
_KEYS_OF_TORCH = frozenset(
    {"params", "param_names", "initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum", "swa_lr"}
)


def option(group: Group, name: str) -> object:
    """Return an option of a group; one that torch's class does not have is in a group only where a user gave it."""
    return group.get(name, _DEFAULTS[name])


def known_keys(schema: Schema) -> tuple[str, ...]:
    """Return the keys of a group that the optimizer reads: hyperparameters, choices, flags and options."""
    numbers = (hyperparameter.name for hyperparameter in schema.hyperparameters)
    return (*numbers, *(choice.name for choice in schema.choices), *schema.flags, *OPTIONS)


def written_keys(schema: Schema) -> tuple[str, ...]:
    """Return the keys of a group that the optimizer writes: numbers that parameters share, the mode, a count."""
    return (*(shared.name for shared in schema.shared), *mode_keys(schema), *count_keys(schema))


def starting_values(schema: Schema, given: Group) -> dict[str, object]:
    """Return the numbers of a new group that start as another one which it gives."""
    return {
        one.name: plain_number(given[one.starts_as])
        for one in schema.hyperparameters
        if one.starts_as in given and one.name not in given
    }


def without_unused_options(schema: Schema, defaults: Mapping[str, object]) -> dict[str, object]:
    """Return the group keys of a constructor call: torch's own, and further options only where they are not default."""
    return {
        key: value
        for key, value in defaults.items()
        if key not in OPTIONS or key in schema.options or value is not _DEFAULTS[key]
    }


def check_values(schema: Schema, group: Group, given: Collection[str]) -> None:
    """Check hyperparameters, choices, flags and requirements of a group.

    Args:
        schema: The schema of the optimizer.
        group: The group, or the arguments of a constructor.
        given: The keys whose values are checked; requirements are always checked.

    Raises:
        ValueError: A value is out of range or no choice, or a requirement does not hold; in torch's wording.
        TypeError: A hyperparameter or flag has the wrong type.
    """
    for hyperparameter in schema.hyperparameters:
        if hyperparameter.name in given:
            _check_hyperparameter(hyperparameter, group[hyperparameter.name])
    for choice in schema.choices:
        if choice.name in given:
            _check_choice(choice, group[choice.name])
    for flag in schema.flags:
        if flag in given:
            _check_flag(schema, flag, group[flag])
    for requirement in schema.requirements:
        if not requirement.holds(group):
            raise ValueError(requirement.message)


def check_kinds(schema: Schema, group: Group, where: str) -> None:
    """Raise TypeError or ValueError for a value that cannot be read as what it stands for.

    Ranges are not checked: schedulers may leave them.

    Args:
        schema: The schema of the optimizer.
        group: The group.
        where: How messages call the group.
    """
    try:
        for hyperparameter in schema.hyperparameters:
            _readable_elements(hyperparameter, group[hyperparameter.name])
        for choice in schema.choices:
            _check_choice(choice, group[choice.name])
        for flag in schema.flags:
            _check_flag(schema, flag, group[flag])
    except (TypeError, ValueError) as error:
        raise type(error)(f"{where}: {error}") from None


def check_options(group: Group) -> None:
    """Check the options of a group.

    Raises:
        RuntimeError: Two options exclude each other; in the words of torch's constructors.
        TypeError: `clip_grad_norm` is no number.
        ValueError: `clip_grad_norm` is negative or NaN.
    """
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
    """Warn of keys that are likely typing errors of keys that the optimizer reads; any other key is the user's own.

    Args:
        schema: The schema of the optimizer.
        given: The keys of a group.
        defaults: The keys of the optimizer's defaults, which are known, too.
    """
    known = (*known_keys(schema), *written_keys(schema), *defaults)
    for key in given:
        if not isinstance(key, str) or key in known or key in _KEYS_OF_TORCH:
            continue
        if (close := find_typo(key, known)) is not None:
            warnings.warn(
                f"{schema.name} does not read `{key}` of a parameter group; did you mean `{close}`?", stacklevel=4
            )


def with_scalar_tuples(schema: Schema, defaults: Mapping[str, object]) -> dict[str, object]:
    """Return the defaults with sequences as tuples and 1-element tensors in them as 0-d ones, as torch keeps betas."""
    result = dict(defaults)
    for hyperparameter in schema.hyperparameters:
        if hyperparameter.is_tuple:
            elements = _elements(hyperparameter, result[hyperparameter.name])
            result[hyperparameter.name] = tuple(None if one is None else _to_scalar(one) for one in elements)
    return result


def values_of(schema: Schema, group: Group, *, keep_tensors: bool = False) -> dict[str, Value]:
    """Return what implementations read of a group, by name.

    Args:
        schema: The schema of the optimizer.
        group: The group.
        keep_tensors: Whether no tensor is read, also where an implementation needs a number.

    Returns:
        The elements of hyperparameters (floats or 0-d tensors), the flags, derived ones too, and the options of the
        update. An element that is None is a number that no implementation reads.

    Raises:
        TypeError: A value is no number. An implementation would find out after its first writes.
        ValueError: A value has the wrong number of elements, no float can hold it, or it is none of the choices.
    """
    values: dict[str, Value] = {}
    for hyperparameter in schema.hyperparameters:
        elements = _readable_elements(hyperparameter, group[hyperparameter.name])
        for index, (name, element) in enumerate(zip(hyperparameter.elements, elements, strict=True)):
            if element is None:
                values[name] = hyperparameter.none[index] or 0.0
            elif hyperparameter.integer:
                values[name] = float(element)
            else:
                stays = hyperparameter.tensor or keep_tensors
                values[name] = _to_scalar(element) if stays else _to_number(element)
    for choice in schema.choices:
        _check_choice(choice, group[choice.name])
    for flag in schema.flags:
        values[flag] = bool(group[flag])
    for derived in schema.derived:
        values[derived.name] = derived.holds(group)
    for name in IN_UPDATE:
        values[name] = bool(option(group, name))
    return values


def find_none(schema: Schema, group: Group) -> frozenset[str]:
    """Return the names of the elements of hyperparameters that are None in a group."""
    return frozenset(
        name
        for hyperparameter in schema.hyperparameters
        for name, element in zip(
            hyperparameter.elements, _elements(hyperparameter, group[hyperparameter.name]), strict=True
        )
        if element is None
    )


def host_scalars_of(schema: Schema, group: Group) -> HostScalars:
    """Return the values of a group as host scalars; wait for tensors on an accelerator.

    Raises what `values_of` raises.
    """
    return {name: _to_number(value) for name, value in values_of(schema, group).items()}


def _check_hyperparameter(hyperparameter: Hyperparameter, value: object) -> None:
    """Raise ValueError if an element of a hyperparameter is not allowed, TypeError if it has the wrong type."""
    elements = _elements(hyperparameter, value)
    for index, element in enumerate(elements):
        if hyperparameter.integer and not (element is None and hyperparameter.may_be_none(index)):
            _check_integer(hyperparameter.name, element)
        if isinstance(element, Tensor) and element.numel() != 1:
            name = f"{hyperparameter.name}[{index}]" if hyperparameter.is_tuple else hyperparameter.name
            raise ValueError(f"Tensor {name} must be 1-element")
        if isinstance(element, Tensor) and element.requires_grad and not hyperparameter.tensor:
            raise ValueError(f"{hyperparameter.name} cannot be a Tensor that requires grad; give it as a float")
    for index, (element, interval) in enumerate(zip(elements, hyperparameter.intervals, strict=True)):
        if element is None:
            if hyperparameter.may_be_none(index):
                continue
            raise TypeError(f"{hyperparameter.name} must be a number, not None")
        number = _to_number(element)
        allowed = not math.isnan(number) if interval is None else number in interval
        if not allowed:
            shown = tuple(None if element is None else _to_scalar(element) for element in elements)
            error = hyperparameter.error
            wording = error if isinstance(error, str) else error[index]
            raise ValueError(wording.format(*shown, value=shown[index], index=index))


def _check_choice(choice: Choice, value: object) -> None:
    """Raise ValueError if a value is none of the choices, unless the step does."""
    if not choice.in_step and (not isinstance(value, str | None) or value not in choice.choices):
        raise ValueError(choice.error.format(value))


def _check_flag(schema: Schema, name: str, value: object) -> None:
    """Raise TypeError for a flag that is a text: "no" would be true. torch's own classes take it so."""
    if isinstance(value, str) and not hasattr(torch.optim, schema.name):
        raise TypeError(f"{name} must be True or False, not {value!r}")


def _check_integer(name: str, element: object) -> None:
    """Raise TypeError for an element that is no integer; True and False are none."""
    if isinstance(element, bool) or not isinstance(element, SupportsIndex) or isinstance(element, Tensor):
        raise TypeError(f"{name} must be an int, not {type(element).__name__}")


def _elements(hyperparameter: Hyperparameter, value: object) -> tuple[Value | None, ...]:
    """Return the elements of a hyperparameter, unchecked; raise for a tuple that is none or of another length."""
    if not hyperparameter.is_tuple:
        return (value,)  # type: ignore[return-value]  # what a user gives is checked where it is compared
    name, count = hyperparameter.name, len(hyperparameter.elements)
    if not isinstance(value, tuple | list):
        raise TypeError(f"{name} must be a tuple of {count} numbers, not {type(value).__name__}")
    if len(value) != count:
        raise ValueError(f"{name} must have {count} elements, not {len(value)}")
    return tuple(value)


def _readable_elements(hyperparameter: Hyperparameter, value: object) -> tuple[Value | None, ...]:
    """Return the elements of a hyperparameter; raise TypeError or ValueError if one cannot be read as a number."""
    elements = _elements(hyperparameter, value)
    for index, element in enumerate(elements):
        if element is None and hyperparameter.may_be_none(index):
            continue
        if hyperparameter.integer:
            _check_integer(hyperparameter.name, element)
        _check_readable(hyperparameter.name, element)
    return elements


def _check_readable(name: str, element: object) -> None:
    """Raise TypeError or ValueError for an element that cannot be read as a number."""
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
    """Return an element as a host scalar; wait for a tensor on an accelerator."""
    return element.item() if isinstance(element, Tensor) else element


def _to_scalar(element: Value) -> Value:
    """Return an element with a 1-element tensor as a 0-d one."""
    return element.squeeze() if isinstance(element, Tensor) and element.dim() != 0 else element
