"""Decode a state dict that encoding.py has encoded.

In: JSON, and tensors by name; neither is trusted. Out: the dicts, lists, tuples, numbers and tensors that were encoded,
or a ValueError that says what is malformed, and where. Must not know of optimizers or files.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from thetac.runtime.checkpoints.encoding import DEPTH, Json, is_too_deep, path_inside

_FACTS = frozenset({"strides", "pairs", "device", "requires_grad"})


def parse(text: str) -> dict[str, Json]:
    """Parse a JSON object as strictly as the encoder writes it.

    Raises:
        ValueError: It is not a JSON object, is nested too deep, has a key twice, or a number that no float can hold.
    """
    try:
        tree = json.loads(
            text, object_pairs_hook=_without_repetition, parse_float=_finite, parse_constant=_refused_constant
        )
        too_deep = is_too_deep(tree)
    except RecursionError:
        too_deep = True
    if too_deep:
        raise ValueError(f"it is nested more than {DEPTH} deep")
    if not isinstance(tree, dict):
        raise ValueError(f"it is not an object, but {quote(tree)}")
    return tree


class Decoder:
    """Decodes trees that refer to tensors by name.

    The tree is not trusted: what no encoder writes is an error that says where it is, and no tensor becomes larger than
    the one that was stored.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors
        self._made: dict[str, tuple[object, Tensor]] = {}  # with the properties by which each was made

    def decode(self, tree: Json) -> Any:
        """Decode a tree; raise ValueError if it is malformed."""
        return self._decode(tree, "")

    def _decode(self, tree: Json, path: str) -> Any:
        match tree:
            case list():
                return self._items(tree, path)
            case dict() if any(key.startswith("$") for key in tree):
                return self._special(tree, path)
            case dict():
                return {key: self._decode(value, path_inside(path, key)) for key, value in tree.items()}
            case _:
                return tree

    def _items(self, tree: list[Json], path: str) -> list[Any]:
        return [self._decode(item, path_inside(path, index)) for index, item in enumerate(tree)]

    def _special(self, tree: dict[str, Json], path: str) -> Any:
        match tree:
            case {"$float": "inf" | "-inf" | "nan" as text, **facts} if not facts:
                return float(text)
            case {"$tuple": list(items), **facts} if not facts:
                return tuple(self._items(items, path))
            case {"$items": list(pairs), **facts} if not facts:
                return self._dict(pairs, path)
            case {"$tensor": str(name), **facts}:
                return self._tensor(name, facts, path)
            case {"$sparse": [dict(indices), dict(values)], "size": size, "coalesced": bool(coalesced), **facts}:
                return self._sparse(indices, values, _integers(size, path), coalesced, facts, path)
            case _:
                raise ValueError(f"`{path}` is {quote(tree)}, which is not an encoded value")

    def _dict(self, pairs: list[Json], path: str) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for pair in pairs:
            match pair:
                case [coded, value]:
                    key = self._decode(coded, f"a key of {path}")
                case _:
                    raise ValueError(f"`{path}` has {quote(pair)} instead of a pair of a key and a value")
            try:
                repeated = key in made
            except TypeError:
                raise ValueError(
                    f"`{path}` has {quote(coded)} as a key, which is of type {type(key).__name__}"
                ) from None
            if repeated:
                raise ValueError(f"`{path}` has the key {quote(key)} twice")
            made[key] = self._decode(value, path_inside(path, key))
        return made

    def _tensor(self, name: str, facts: Mapping[str, Json], path: str) -> Tensor:
        if name not in self._tensors:
            raise ValueError(f"`{path}` is the tensor {quote(name)}, which the file does not have")
        if name not in self._made:
            self._made[name] = (
                facts,
                _restore_properties(_restore_layout(self._tensors[name], facts, path), facts, path),
            )
        known, made = self._made[name]
        if known != facts:
            raise ValueError(f"`{path}` is the tensor {quote(name)}, which has other properties elsewhere")
        return made

    def _sparse(
        self,
        indices: dict[str, Json],
        values: dict[str, Json],
        size: list[int],
        coalesced: bool,
        facts: Mapping[str, Json],
        path: str,
    ) -> Tensor:
        where, what = self._decode(indices, f"{path}.indices"), self._decode(values, f"{path}.values")
        if not all(isinstance(part, Tensor) and not part.is_sparse for part in (where, what)):
            raise ValueError(f"`{path}` is a sparse tensor whose parts are not tensors")
        if not all(0 <= length < 2**63 for length in size):
            raise ValueError(f"`{path}` is not a sparse tensor: its size is {quote(size)}")
        try:
            # Checked, because indices that are out of range would be read and written out of bounds.
            made = torch.sparse_coo_tensor(
                where,
                what,
                size,
                dtype=what.dtype,
                device=what.device,
                check_invariants=True,
                is_coalesced=coalesced,
            )
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"`{path}` is not a sparse tensor: {error}") from None
        return _restore_properties(made, facts, path)


def quote(value: object) -> str:
    """Print a value for a message, at most 80 characters of it."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _without_repetition(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"an object has the key {quote(next(key for key in keys if keys.count(key) > 1))} twice")
    return made


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{quote(text)} is not a number that a float can hold")
    return number


def _refused_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _integers(value: object, path: str) -> list[int]:
    if not isinstance(value, list) or not all(type(item) is int for item in value):
        raise ValueError(f"`{path}` has {quote(value)} instead of a list of whole numbers")
    return value


def _restore_layout(stored: Tensor, facts: Mapping[str, Json], path: str) -> Tensor:
    """Copy a stored tensor into the strides and the dtype that it was encoded with."""
    if "strides" in facts:
        strides = _integers(facts["strides"], path)
        if not _are_dense(stored.shape, strides):
            raise ValueError(
                f"`{path}` has the strides {quote(strides)}, which do not fit the shape {tuple(stored.shape)}"
            )
        tensor = torch.empty_strided(stored.shape, strides, dtype=stored.dtype, device=stored.device).copy_(stored)
    else:
        tensor = stored.clone()
    if "pairs" not in facts:
        return tensor
    if facts["pairs"] is not True or stored.dtype != torch.float64 or stored.shape[-1:] != (2,):
        raise ValueError(
            f"`{path}` is declared as pairs of float64, but is a {stored.dtype} tensor of shape {tuple(stored.shape)}"
        )
    try:
        return torch.view_as_complex(tensor)
    except RuntimeError as error:
        raise ValueError(f"`{path}` is declared as pairs of float64: {error}") from None


def _are_dense(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Return whether the elements fill a block of memory in some order, as those of all encoded tensors do."""
    if len(strides) != len(shape) or not all(0 <= stride < 2**63 for stride in strides):
        return False
    expected = 1
    for stride, size in sorted((stride, size) for stride, size in zip(strides, shape, strict=True) if size != 1):
        if stride != expected:
            return False
        expected *= size
    return True


def _restore_properties(tensor: Tensor, facts: Mapping[str, Json], path: str) -> Tensor:
    """Move a tensor to its type of device, if that is available, and set `requires_grad`."""
    unknown = facts.keys() - ({"device", "requires_grad"} if tensor.is_sparse else _FACTS)
    if unknown:
        raise ValueError(
            f"`{path}` has {', '.join(f'`{fact}`' for fact in sorted(unknown))}, "
            "which is not a property of such a tensor"
        )
    if "device" in facts:
        device = facts["device"]
        if not isinstance(device, str) or not device.isidentifier():
            raise ValueError(f"`{path}` has {quote(device)} instead of a type of device")
        if _is_available(device):
            tensor = tensor.to(device)
    if "requires_grad" not in facts:
        return tensor
    if facts["requires_grad"] is not True or not (tensor.is_floating_point() or tensor.is_complex()):
        raise ValueError(f"`{path}` is a {tensor.dtype} tensor with {quote(facts['requires_grad'])} as `requires_grad`")
    return tensor.requires_grad_()


def _is_available(device: str) -> bool:
    """Return whether there is a device of a type, which this torch may not know."""
    try:
        return bool(torch.get_device_module(device).is_available())
    except (RuntimeError, AttributeError):
        return False
