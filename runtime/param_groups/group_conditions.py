"""What the conditions of a group depend on: which states exist in it, and what its kernels are specialised on.

In: a group, which condition functions of a schema then read through this mapping. Out: whether their answers are
still valid, without asking again. Under `capturable` a tensor among the values that decide, such as a weight decay that
may be 0, is read on the host only when its version says that it was written, and is a host scalar from there on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from thetac.runtime.param_groups.groups import option
from thetac.runtime.schema import Group


class Conditions(Mapping[str, Any]):
    """A group that remembers which of its keys were read."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._numbers: dict[str, object] = {}  # values by key, with host scalars instead of tensors
        self._tensors: list[Tensor] = []
        self._versions: list[int] = []
        self._may_change = False
        self._keeps = bool(option(group, "capturable")) and not option(group, "differentiable")

    def __getitem__(self, key: str) -> object:
        """Return the value of a key, with a host scalar for a tensor whose version can be watched."""
        value = self._group[key]
        if is_immutable(value):
            return value
        if key not in self._numbers:
            self._remember(key, value)
        return self._numbers.get(key, value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._group)

    def __len__(self) -> int:
        return len(self._group)

    def are_unchanged(self) -> bool:
        """Return whether the values that were read are still the same, given that the group holds the same objects."""
        if self._may_change:
            return False
        return not self._tensors or [tensor._version for tensor in self._tensors] == self._versions

    def replace_tensors(self, group: Group) -> Group:
        """Return the group with host scalars for the tensors that were read through this mapping."""
        return {**group, **self._numbers} if self._numbers else group

    def _remember(self, key: str, value: object) -> None:
        """Keep a host scalar and the versions of the tensors; note that values may change where this is impossible."""
        tensors = [one for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, Tensor)]
        if not self._keeps or not tensors or any(tensor.is_inference() for tensor in tensors):
            self._may_change = True
            return
        self._tensors += tensors
        self._versions += [tensor._version for tensor in tensors]
        self._numbers[key] = tuple(map(_number, value)) if isinstance(value, tuple) else _number(value)


def is_immutable(value: object) -> bool:
    """Return whether a value can only change by assignment: a number, bool, string, None or a tuple of such."""
    if isinstance(value, tuple):
        return all(map(is_immutable, value))
    return value is None or type(value) in (bool, int, float, str)


def _number(value: object) -> object:
    """Return a tensor's element as a host scalar; any other value as it is."""
    return value.item() if isinstance(value, Tensor) else value
