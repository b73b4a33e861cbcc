"""Encode a state dict as JSON and a flat mapping of tensors, with its types, order, infinities and aliases.

In: nested dicts, lists and tuples of tensors, numbers, strings, booleans and None. Out: a tree for `json`, in which
tensors are references by name, and the tensors. What JSON lacks is encoded as an object with one key that begins
with `$`. A tensor that occurs twice is stored once. decoding.py is the inverse. Must not know of optimizers or files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.nn import Parameter

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

DEPTH = 100  # the deepest nesting that is stored: a state dict is some 5 deep, and copying it is recursive

_PLAIN_TYPES = (Tensor, Parameter)


class Encoder:
    """Encodes values and collects their tensors under readable names, contiguous and without overlaps."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._references: dict[int, Json] = {}
        self._seen: list[Tensor] = []  # an id stands for a tensor only while it lives
        self._memory: set[int] = set()

    def encode(self, value: object, path: str = "") -> Json:
        """Encode a value; its tensors are added to `tensors`.

        Args:
            value: A tensor, number, string, boolean or None, or a dict, list or tuple of such values.
            path: Where the value is, for messages and names of tensors.

        Returns:
            A tree for `json.dumps`.

        Raises:
            TypeError: A value is of a type that cannot be stored.
        """
        match value:
            case None | bool() | str():
                return value
            case int() if type(value) is int:
                return value
            case float():
                return float(value) if math.isfinite(value) else {"$float": str(float(value))}
            case Tensor():
                return self._reference(value, path)
            case tuple() if type(value) is tuple:
                return {"$tuple": self._items(value, path)}
            case list():
                return self._items(value, path)
            case dict():
                return self._dict(value, path)
            case _:
                raise TypeError(
                    f"{path} is of type {type(value).__name__}, which cannot be stored; tensors, numbers, strings, "
                    "booleans, None, and dicts, lists and tuples of them can"
                )

    def _items(self, values: list[object] | tuple[object, ...], path: str) -> list[Json]:
        return [self.encode(value, path_inside(path, index)) for index, value in enumerate(values)]

    def _dict(self, values: Mapping[object, object], path: str) -> Json:
        if all(type(key) is str and not key.startswith("$") for key in values):
            return {str(key): self.encode(value, path_inside(path, key)) for key, value in values.items()}
        items: list[Json] = [
            [self.encode(key, f"the key {key!r} of {path}"), self.encode(value, path_inside(path, key))]
            for key, value in values.items()
        ]
        return {"$items": items}

    def _reference(self, tensor: Tensor, path: str) -> Json:
        if id(tensor) not in self._references:
            self._references[id(tensor)] = self._stored(tensor, path)
            self._seen.append(tensor)
        return self._references[id(tensor)]

    def _stored(self, tensor: Tensor, path: str) -> Json:
        if type(tensor) not in _PLAIN_TYPES or tensor.is_meta:
            kind = "a tensor on the meta device" if tensor.is_meta else f"of type {type(tensor).__name__}"
            raise TypeError(f"{path} is {kind}, whose values are not all in this process; store it as a plain tensor")
        values = tensor.detach()
        facts: dict[str, Json] = {"requires_grad": True} if tensor.requires_grad else {}
        if values.device.type != "cpu":
            facts["device"] = values.device.type
        if values.is_sparse:
            parts = [
                self._stored(values._indices(), f"{path}.indices"),
                self._stored(values._values(), f"{path}.values"),
            ]
            size: list[Json] = list(values.shape)
            return {"$sparse": parts, "size": size, "coalesced": values.is_coalesced(), **facts}
        values = values.resolve_conj().resolve_neg().cpu()
        if values.dtype == torch.complex128:  # which safetensors files do not have
            values, facts["pairs"] = torch.view_as_real(values), True
        if not values.is_contiguous() and torch.empty_like(values).stride() == values.stride():
            strides: list[Json] = list(values.stride())
            facts["strides"] = strides
        name = path
        while name in self.tensors:  # a key may have a dot in it
            name += "'"
        values = values.contiguous()
        memory = values.untyped_storage().data_ptr()
        if memory in self._memory:  # safetensors files do not take overlapping tensors
            values = values.clone()
        elif memory:
            self._memory.add(memory)
        self.tensors[name] = values
        return {"$tensor": name, **facts}


def is_too_deep(tree: Json) -> bool:
    """Return whether a tree is nested more than `DEPTH` deep."""
    level: list[Json] = [tree]
    for _ in range(DEPTH):
        level = [inner for outer in level if isinstance(outer, dict | list) for inner in _items_of(outer)]
        if not level:
            return False
    return True


def _items_of(tree: dict[str, Json] | list[Json]) -> Iterable[Json]:
    return tree.values() if isinstance(tree, dict) else tree


def path_inside(path: str, key: object) -> str:
    """Return the path of the value under a key or at an index."""
    return f"{path}.{key}" if path else str(key)
