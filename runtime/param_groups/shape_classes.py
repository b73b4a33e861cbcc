"""Which numbers and which states a parameter of a group has: the same for all of one shape and dtype.

In: a group, and its parameters as users have them. Out: one record for each different shape and dtype, made when it is
first met; a single one where the rule reads no shapes. Must not know what a step does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from thetac.runtime.param_groups.state import NewState, states_of
from thetac.runtime.schema import Group, Schema, Shape, State
from thetac.runtime.tensor_facts.shape_numbers import shape_numbers_of


@dataclass(slots=True)
class ShapeClass:
    """What parameters of one group, shape and dtype have in common."""

    shape: Shape  # the numbers that the rule reads
    declared: list[State | None]  # in the schema's order; None for a state that they do not have
    names: list[str] = field(init=False)  # of the states that they have
    new_state: NewState  # makes them

    def __post_init__(self) -> None:
        self.names = [state.name for state in self.declared if state is not None]


class ShapeClasses:
    """The classes of one group."""

    def __init__(self, schema: Schema, group: Group) -> None:
        self._schema = schema
        self._group = group
        self._found: dict[tuple[torch.Size, torch.dtype], ShapeClass] = {}
        self._only = None if schema.shape_numbers else self._make({})

    def of(self, param: Tensor) -> ShapeClass:
        """Return the class of a parameter of the group."""
        if self._only is not None:
            return self._only
        key = (param.shape, param.dtype)
        if key not in self._found:
            self._found[key] = self._make(shape_of(self._schema, param))
        return self._found[key]

    def _make(self, shape: Shape) -> ShapeClass:
        exists = states_of(self._schema, self._group, shape)
        declared = [state if existing else None for state, existing in zip(self._schema.states, exists, strict=True)]
        return ShapeClass(shape, declared, new_state=NewState(self._schema, self._group, exists))


def shape_of(schema: Schema, param: Tensor) -> Shape:
    """Return the numbers of a parameter that a rule reads; nothing, at no cost, where it reads none."""
    if not schema.shape_numbers:
        return {}
    numbers = shape_numbers_of(param)
    return {name: numbers[name] for name in schema.shape_numbers}


def check_params(schema: Schema, groups: Sequence[Group], first: int = 0) -> None:
    """Raise ValueError if the rule does not take some parameters: their shapes, or complex or sparse ones.

    Args:
        schema: The schema of the optimizer.
        groups: Groups with the defaults, each with a list of its parameters, or of pairs of their names and them.
        first: The index of the first of them among those of the optimizer.
    """
    if not schema.shape_requirements:
        return
    found = [
        (group, (number, index), param, _facts_of(param))
        for number, group in enumerate(groups, first)
        for index, named in enumerate(group["params"])
        if isinstance(param := named[-1] if isinstance(named, tuple) and named else named, Tensor)
    ]
    for requirement in schema.shape_requirements:
        wrong = [(place, param) for group, place, param, facts in found if not requirement.holds(group, facts)]
        if wrong:
            (number, index), param = wrong[0]
            values = {
                "{shape}": param.shape,
                "{indices}": [index for (of_group, index), _ in wrong if of_group == number],
                "{index}": index,
                "{places}": [list(place) for place, _ in wrong],
            }
            message = requirement.message
            for placeholder, value in values.items():
                message = message.replace(placeholder, str(value))
            raise ValueError(message)


def _facts_of(param: Tensor) -> Shape:
    """Return everything that requirements may ask of a parameter, by name."""
    return {**shape_numbers_of(param), "is_complex": param.is_complex(), "is_sparse": param.is_sparse}


def list_params(added: dict[str, Any]) -> bool:
    """Make a list of the parameters of a group as it was given; return False where torch refuses them."""
    params = added.get("params")
    if isinstance(params, Tensor):
        params = [params]
    if isinstance(params, set) or not isinstance(params, Iterable):
        return False
    added["params"] = list(params)
    return True
