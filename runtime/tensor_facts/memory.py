"""Where tensors lie in memory: what a kernel that takes raw addresses and runs over storage order has to know.

In: tensors. Out: facts about their layout. Must not know of optimizers.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import pairwise
from operator import add, attrgetter

import torch
from torch import Tensor
from torch.nn import Parameter

# Wrapper subclasses, fake and functorch tensors have no memory of their own, or report the address 0.
_PLAIN_TYPES = frozenset((Tensor, Parameter))
_layout, _bytes = attrgetter("layout"), attrgetter("nbytes")
_is_functorch_wrapped = torch._C._functorch.is_functorch_wrapped_tensor


def has_memory(tensor: Tensor) -> bool:
    """Whether a tensor is exactly a `Tensor` or `Parameter` with strided memory of its own."""
    return type(tensor) in _PLAIN_TYPES and tensor.layout is torch.strided and not _is_functorch_wrapped(tensor)


def is_plain(tensor: Tensor) -> bool:
    """Whether, besides, the memory holds the values as they are: lazy negations and conjugations are carried out."""
    return has_memory(tensor) and not tensor.is_neg() and not tensor.is_conj()


def all_have_memory(tensors: Sequence[Tensor]) -> bool:
    """`has_memory` of many tensors, without a call of Python for each."""
    return (
        set(map(type, tensors)) <= _PLAIN_TYPES
        and set(map(_layout, tensors)) <= {torch.strided}
        and not any(map(_is_functorch_wrapped, tensors))
    )


def significant_strides(tensor: Tensor) -> tuple[int, ...]:
    """The strides of the dimensions that have more than one index: equal for tensors with equal orders of elements."""
    return tuple(stride if size > 1 else 0 for size, stride in zip(tensor.shape, tensor.stride(), strict=True))


def is_dense(tensor: Tensor) -> bool:
    """Whether the elements fill one stretch of memory, each once, in some order of the dimensions."""
    if tensor.is_contiguous() or tensor.numel() == 0:
        return True
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size == 1:
            continue
        if stride != expected:
            return False
        expected *= size
    return True


def extent(tensor: Tensor) -> tuple[int, int]:
    """The addresses of the first byte and of the one behind the last; nothing in between need belong to the tensor."""
    start = tensor.data_ptr()
    if tensor.is_contiguous():
        return start, start + tensor.numel() * tensor.element_size()
    if tensor.numel() == 0:
        return start, start
    reach = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return start, start + (reach + 1) * tensor.element_size()


def are_apart(tensors: Sequence[Tensor]) -> bool:
    """Whether all have memory of their own, of which no two have an address in common. Quick where that is so."""
    return all_have_memory(tensors) and not _overlap(_stretches(tensors))


def sharing(written: Sequence[tuple[int, Tensor]], read: Sequence[tuple[int, Tensor]]) -> set[int]:
    """The owners of tensors whose memory overlaps, if at least one of the tensors that meet there is written.

    Tensors come with the index of their owner. An owner is also named if two of its own tensors overlap. Stretches
    that overlap in a chain count as one, and gaps inside a stretch count as used: too many owners may be named, never
    too few.
    """
    tensors = [tensor for _, tensor in (*written, *read)]
    if not _overlap(_stretches(tensors)):
        return set()
    stretches = sorted(
        (*extent(tensor), is_written, owner)
        for is_written, owned in ((True, written), (False, read))
        for owner, tensor in owned
        if tensor.numel()
    )
    found: set[int] = set()
    cluster: list[tuple[bool, int]] = []
    end_of_cluster = 0
    for start, end, is_written, owner in stretches:
        if start >= end_of_cluster:
            found |= _owners_in_conflict(cluster)
            cluster, end_of_cluster = [], end
        cluster.append((is_written, owner))
        end_of_cluster = max(end_of_cluster, end)
    return found | _owners_in_conflict(cluster)


class Stretches:
    """The memory of a set of tensors, to be asked whether others reach into it."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        starts: list[int] = []
        ends: list[int] = []
        for start, end in sorted(_stretches(tensors)):
            if ends and start < ends[-1]:
                ends[-1] = max(ends[-1], end)
            else:
                starts.append(start)
                ends.append(end)
        self._starts, self._ends = integers(starts), integers(ends)
        # Where the starts and the ends lie as 64-bit integers, in order, and how many there are.
        self.addresses = self._starts.data_ptr(), self._ends.data_ptr(), len(starts)

    def touch(self, tensors: Sequence[Tensor]) -> bool:
        """Whether any of these tensors shares memory with the set."""
        stretches = _stretches(tensors)
        starts = integers([start for start, _ in stretches])
        ends = integers([end for _, end in stretches])
        # The first stretch of the set that ends behind a tensor's start must not begin before that tensor's end.
        behind = torch.searchsorted(self._ends, starts, right=True)
        exists = behind < len(self._ends)
        return bool((self._starts[behind[exists]] < ends[exists]).any())


def _stretches(tensors: Sequence[Tensor]) -> list[tuple[int, int]]:
    """The extents of those that have elements."""
    if not all(map(Tensor.is_contiguous, tensors)):
        return [extent(tensor) for tensor in tensors if tensor.numel()]
    starts = list(map(Tensor.data_ptr, tensors))
    return [pair for pair in zip(starts, map(add, starts, map(_bytes, tensors)), strict=True) if pair[0] < pair[1]]


def integers(numbers: Sequence[int]) -> Tensor:
    """`torch.tensor` for 64-bit integers, several times faster."""
    return (
        torch.frombuffer(array("q", numbers), dtype=torch.int64)
        if numbers
        else torch.empty(0, dtype=torch.int64, device="cpu")
    )


def _overlap(stretches: list[tuple[int, int]]) -> bool:
    """Whether any two stretches have an address in common."""
    stretches.sort()
    return any(start < end for (_, end), (start, _) in pairwise(stretches))


def _owners_in_conflict(cluster: list[tuple[bool, int]]) -> set[int]:
    conflict = len(cluster) > 1 and any(is_written for is_written, _ in cluster)
    return {owner for _, owner in cluster} if conflict else set()
