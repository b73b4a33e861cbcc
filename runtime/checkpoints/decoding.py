"""What encoding.py made of a state dict, made into one again.

In: JSON, and tensors by name; both may be a stranger's. Out: the dicts, lists, tuples, numbers and tensors that were
encoded, or a ValueError that says what is malformed, and where. Must not know of optimizers or files.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from thetac.runtime.checkpoints.encoding import DEPTH, Json, inside, is_too_deep

_FACTS = frozenset({"strides", "pairs", "device", "requires_grad"})


def parse(text: str) -> dict[str, Json]:
    """Read a JSON object. Raises ValueError where an encoder would have written something else.

    So keys that occur twice, numbers that no float holds, and deep nesting are errors.
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
        raise ValueError(f"it is no object, but {shown(tree)}")
    return tree


class Decoder:
    """Makes of an encoded tree what it was made of.

    The tree may be a stranger's: whatever no encoder writes is a ValueError that says where it is, and no tensor is
    made that is larger than the one it is made of.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors
        self._made: dict[str, tuple[object, Tensor]] = {}  # with the facts by which each was made

    def decode(self, tree: Json) -> Any:
        """Raises ValueError for what is malformed."""
        return self._decode(tree, "")

    def _decode(self, tree: Json, path: str) -> Any:
        match tree:
            case list():
                return self._items(tree, path)
            case dict() if any(key.startswith("$") for key in tree):
                return self._special(tree, path)
            case dict():
                return {key: self._decode(value, inside(path, key)) for key, value in tree.items()}
            case _:
                return tree

    def _items(self, tree: list[Json], path: str) -> list[Any]:
        return [self._decode(item, inside(path, index)) for index, item in enumerate(tree)]

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
                raise ValueError(f"`{path}` is {shown(tree)}, which is nothing that is stored like that")

    def _dict(self, pairs: list[Json], path: str) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for pair in pairs:
            match pair:
                case [coded, value]:
                    key = self._decode(coded, f"a key of {path}")
                case _:
                    raise ValueError(f"`{path}` has {shown(pair)} for a pair of a key and a value")
            try:
                repeated = key in made
            except TypeError:
                raise ValueError(
                    f"`{path}` has {shown(coded)} for a key, which is of type {type(key).__name__}"
                ) from None
            if repeated:
                raise ValueError(f"`{path}` has the key {shown(key)} twice")
            made[key] = self._decode(value, inside(path, key))
        return made

    def _tensor(self, name: str, facts: Mapping[str, Json], path: str) -> Tensor:
        if name not in self._tensors:
            raise ValueError(f"`{path}` is the tensor {shown(name)}, which is not there")
        if name not in self._made:
            self._made[name] = facts, _with_facts(_laid_out(self._tensors[name], facts, path), facts, path)
        known, made = self._made[name]
        if known != facts:
            raise ValueError(f"`{path}` is the tensor {shown(name)}, of which something else is said elsewhere")
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
            raise ValueError(f"`{path}` is a sparse tensor whose parts are no tensors")
        if not all(0 <= length < 2**63 for length in size):
            raise ValueError(f"`{path}` is no sparse tensor: its size is {shown(size)}")
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
            raise ValueError(f"`{path}` is no sparse tensor: {error}") from None
        return _with_facts(made, facts, path)


def shown(value: object) -> str:
    """For messages; what a file holds may be long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _without_repetition(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"an object has the key {shown(next(key for key in keys if keys.count(key) > 1))} twice")
    return made


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{shown(text)} is no number that a float can hold")
    return number


def _refused_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _integers(value: object, path: str) -> list[int]:
    if not isinstance(value, list) or not all(type(item) is int for item in value):
        raise ValueError(f"`{path}` has {shown(value)} in the place of a list of whole numbers")
    return value


def _laid_out(stored: Tensor, facts: Mapping[str, Json], path: str) -> Tensor:
    """In memory of its own, as it lay when it was encoded."""
    if "strides" in facts:
        strides = _integers(facts["strides"], path)
        if not _fills_its_memory(stored.shape, strides):
            raise ValueError(
                f"`{path}` has the strides {shown(strides)}, which do not fit the shape {tuple(stored.shape)}"
            )
        tensor = torch.empty_strided(stored.shape, strides, dtype=stored.dtype, device=stored.device).copy_(stored)
    else:
        tensor = stored.clone()
    if "pairs" not in facts:
        return tensor
    if facts["pairs"] is not True or stored.dtype != torch.float64 or stored.shape[-1:] != (2,):
        raise ValueError(
            f"`{path}` is said to be pairs of float64, but is a {stored.dtype} tensor of shape {tuple(stored.shape)}"
        )
    try:
        return torch.view_as_complex(tensor)
    except RuntimeError as error:
        raise ValueError(f"`{path}` is said to be pairs of float64: {error}") from None


def _fills_its_memory(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether elements lie in some order in one stretch of memory, as those of every tensor with `strides` do."""
    if len(strides) != len(shape) or not all(0 <= stride < 2**63 for stride in strides):
        return False
    expected = 1
    for stride, size in sorted((stride, size) for stride, size in zip(strides, shape, strict=True) if size != 1):
        if stride != expected:
            return False
        expected *= size
    return True


def _with_facts(tensor: Tensor, facts: Mapping[str, Json], path: str) -> Tensor:
    """On its kind of device, if there is one here, and for autograd."""
    unknown = facts.keys() - ({"device", "requires_grad"} if tensor.is_sparse else _FACTS)
    if unknown:
        raise ValueError(
            f"`{path}` has {', '.join(f'`{fact}`' for fact in sorted(unknown))}, which says nothing of a tensor there"
        )
    if "device" in facts:
        device = facts["device"]
        if not isinstance(device, str) or not device.isidentifier():
            raise ValueError(f"`{path}` has {shown(device)} for a kind of device")
        if _is_here(device):
            tensor = tensor.to(device)
    if "requires_grad" not in facts:
        return tensor
    if facts["requires_grad"] is not True or not (tensor.is_floating_point() or tensor.is_complex()):
        raise ValueError(
            f"`{path}` is a {tensor.dtype} tensor with {shown(facts['requires_grad'])} for `requires_grad`"
        )
    return tensor.requires_grad_()


def _is_here(device: str) -> bool:
    """Whether there is a device of a kind, which may be one that this torch does not know."""
    try:
        return bool(torch.get_device_module(device).is_available())
    except (RuntimeError, AttributeError):
        return False
