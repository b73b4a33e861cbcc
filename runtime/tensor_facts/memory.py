"""The layout of tensors in memory, for kernels that take raw addresses and run over elements in storage order.

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
    """Return whether a tensor is exactly a `Tensor` or `Parameter` with strided memory of its own."""
    return type(tensor) in _PLAIN_TYPES and tensor.layout is torch.strided and not _is_functorch_wrapped(tensor)


def is_plain(tensor: Tensor) -> bool:
    """Return whether a tensor has memory that contains its values as they are, without lazy negation or conjugation."""
    return has_memory(tensor) and not tensor.is_neg() and not tensor.is_conj()


def all_have_memory(tensors: Sequence[Tensor]) -> bool:
    """Return whether `has_memory` is true of all tensors, without a Python call for each."""
    return (
        set(map(type, tensors)) <= _PLAIN_TYPES
        and set(map(_layout, tensors)) <= {torch.strided}
        and not any(map(_is_functorch_wrapped, tensors))
    )


def significant_strides(tensor: Tensor) -> tuple[int, ...]:
    """Return the strides, with 0 for dimensions of size 1: equal for tensors of one shape and one storage order."""
    return tuple(stride if size > 1 else 0 for size, stride in zip(tensor.shape, tensor.stride(), strict=True))


def is_dense(tensor: Tensor) -> bool:
    """Return whether a tensor is dense: its elements fill a block of memory, each once, in some order of dimensions."""
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


def compute_extent(tensor: Tensor) -> tuple[int, int]:
    """Return the address of the first byte of a tensor and that after its last; there may be gaps in between."""
    start = tensor.data_ptr()
    if tensor.is_contiguous():
        return start, start + tensor.numel() * tensor.element_size()
    if tensor.numel() == 0:
        return start, start
    reach = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return start, start + (reach + 1) * tensor.element_size()


def are_apart(tensors: Sequence[Tensor]) -> bool:
    """Return whether all tensors have memory and no two extents overlap. Fast if that is true."""
    return all_have_memory(tensors) and not _have_overlaps(_extents(tensors))


def find_overlapping_owners(written: Sequence[tuple[int, Tensor]], read: Sequence[tuple[int, Tensor]]) -> set[int]:
    """Find the owners of tensors that overlap in memory, where at least one of those that overlap is written.

    Extents that overlap in a chain count as one, and gaps within an extent count as used: too many owners may be found,
    never too few.

    Args:
        written: Tensors that are written, each with the index of its owner.
        read: Tensors that are only read, likewise.

    Returns:
        The indices of the owners of overlapping tensors, including an owner with two tensors that overlap.
    """
    tensors = [tensor for _, tensor in (*written, *read)]
    if not _have_overlaps(_extents(tensors)):
        return set()
    extents = sorted(
        (*compute_extent(tensor), is_written, owner)
        for is_written, owned in ((True, written), (False, read))
        for owner, tensor in owned
        if tensor.numel()
    )
    found: set[int] = set()
    cluster: list[tuple[bool, int]] = []
    end_of_cluster = 0
    for start, end, is_written, owner in extents:
        if start >= end_of_cluster:
            found |= _owners_in_conflict(cluster)
            cluster, end_of_cluster = [], end
        cluster.append((is_written, owner))
        end_of_cluster = max(end_of_cluster, end)
    return found | _owners_in_conflict(cluster)


class MemoryRanges:
    """The memory of a set of tensors as disjoint ranges of addresses, in ascending order."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        starts: list[int] = []
        ends: list[int] = []
        for start, end in sorted(_extents(tensors)):
            if ends and start < ends[-1]:
                ends[-1] = max(ends[-1], end)
            else:
                starts.append(start)
                ends.append(end)
        self._starts, self._ends = pack_integers(starts), pack_integers(ends)
        # The addresses of two int64 arrays, the begins and the ends of the ranges, and their length.
        self.addresses = self._starts.data_ptr(), self._ends.data_ptr(), len(starts)

    def overlap(self, tensors: Sequence[Tensor]) -> bool:
        """Return whether the extent of any of these tensors overlaps the ranges."""
        extents = _extents(tensors)
        starts = pack_integers([start for start, _ in extents])
        ends = pack_integers([end for _, end in extents])
        # The first range that ends behind a tensor's begin must not begin before that tensor's end.
        behind = torch.searchsorted(self._ends, starts, right=True)
        exists = behind < len(self._ends)
        return bool((self._starts[behind[exists]] < ends[exists]).any())


def _extents(tensors: Sequence[Tensor]) -> list[tuple[int, int]]:
    """Return the extents of the tensors that have elements."""
    if not all(map(Tensor.is_contiguous, tensors)):
        return [compute_extent(tensor) for tensor in tensors if tensor.numel()]
    starts = list(map(Tensor.data_ptr, tensors))
    return [pair for pair in zip(starts, map(add, starts, map(_bytes, tensors)), strict=True) if pair[0] < pair[1]]


def pack_integers(numbers: Sequence[int]) -> Tensor:
    """Return an int64 tensor of shape [len(numbers)] on the host; several times faster than `torch.tensor`."""
    return (
        torch.frombuffer(array("q", numbers), dtype=torch.int64)
        if numbers
        else torch.empty(0, dtype=torch.int64, device="cpu")
    )


def _have_overlaps(extents: list[tuple[int, int]]) -> bool:
    """Return whether any two extents overlap."""
    return any(start < end for (_, end), (start, _) in pairwise(sorted(extents)))


def _owners_in_conflict(cluster: list[tuple[bool, int]]) -> set[int]:
    """Return the owners of a chain of overlapping extents if one of them is written."""
    conflict = len(cluster) > 1 and any(is_written for is_written, _ in cluster)
    return {owner for _, owner in cluster} if conflict else set()
