"""The executor of C++ kernels for sparse gradients: each stored row is an entry of the address table.

In: members of any groups whose gradients are sparse, and that agree in dtypes and specialisations. Out: one launch per
step, which updates the rows that are stored and touches nothing else. How many rows there are is another number in each
step; tables are made by a few operations for each parameter, never by one for each row. Must not know what rows mean,
nor which gradients get here: `stepping/requirements.py` decides it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thetac.runtime.implementations.fused import stream_numbers, streams
from thetac.runtime.implementations.launch_cpp import CppLauncher
from thetac.runtime.implementations.launcher import LaunchedBucket
from thetac.runtime.implementations.scalar_rows import ScalarRows
from thetac.runtime.implementations.tables import ELEMENTS, HEADER, ROW
from thetac.runtime.param_groups.grad_scaling import Scaling, sum_of_squares
from thetac.runtime.param_groups.groups import HostScalars
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.step_tensors import GRAD, StepTensors
from thetac.runtime.schema import Group, Schema
from thetac.runtime.tensor_facts.reader_choice import load_reader
from thetac.runtime.tensor_facts.selection import Selection


def why_not_by_rows(schema: Schema, tensors: Sequence[Tensor], grad: Tensor) -> str:
    """Return why a kernel cannot update the rows of a parameter one by one; empty if it can.

    Args:
        schema: That of the optimizer.
        tensors: The parameter and its states with one number per element.
        grad: The sparse gradient.
    """
    if schema.sparse != "rows" or schema.reduces:
        return "the gradient is sparse"
    if not all(_has_rows(tensor, grad.sparse_dim()) for tensor in tensors):
        return "the gradient is sparse, and the elements of a row are not side by side in memory"
    return ""


def _has_rows(tensor: Tensor, sparse_dim: int) -> bool:
    """Return whether the elements of each row follow each other in memory."""
    expected = 1
    pairs = list(zip(tensor.shape, tensor.stride(), strict=True))[sparse_dim:]
    for size, stride in reversed(pairs):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


class SparseRowsExecutor:
    """Updates the stored rows of some parameters with one launch per step; for one step only."""

    def __init__(
        self,
        schema: Schema,
        members: Sequence[Member],
        selection: Selection,
        specialisations: Mapping[str, bool],
        tensors: StepTensors,
    ) -> None:
        first = members[0]
        found = streams(schema, first)
        self._selection = selection
        numbers = stream_numbers(schema)
        self._streams = [
            None if stream is None else number for number, stream in zip(numbers, found.values(), strict=True)
        ]
        dtypes = {
            name: (first.param.dtype if stream is None else stream.dtype).to_real() for name, stream in found.items()
        }
        self._rows = ScalarRows(schema, members, dtypes["param"], selection, tensors)
        self._launcher = CppLauncher(LaunchedBucket(schema, first.param.device, dtypes, specialisations, [], []))
        self.launches = self._launcher.launches

    def check(self, tensors: StepTensors) -> str:
        """Return an empty string: the executor is used for one step only."""
        return ""

    def refresh(self, groups: Sequence[Group], host_scalars: Mapping[int, HostScalars], tensors: StepTensors) -> None:
        """Compute the scalar rows."""
        self._rows.compute(host_scalars, tensors)

    def sum_of_squares(self, tensors: StepTensors) -> Tensor:
        """See `Executor`."""
        return sum_of_squares(self._selection.select(tensors.grads))

    def can_skip_on_device(self, tensors: StepTensors) -> bool:
        """Return False: the host computes counters."""
        return False

    def run(self, tensors: StepTensors, scaling: Scaling) -> None:
        """Store counters and scalar states, then launch."""
        rows = [find_rows(grad) for grad in scaling.apply(self._selection.select(tensors.grads))]
        self._rows.store(tensors)
        lists = [
            None if number is None or number == GRAD else self._selection.select(tensors.lists[number])
            for number in self._streams
        ]
        parts = [
            _entries(stored, row, [None if one is None else one[index] for one in lists])
            for index, (stored, row) in enumerate(zip(rows, self._rows.row_of_member.tolist(), strict=True))
        ]
        table = parts[0] if len(parts) == 1 else torch.cat(parts)
        written = [tensors.lists[number] for number in self._streams if number is not None and number != GRAD]
        load_reader().mark_written(written, self._selection)
        self._launcher.resize(table[:, ELEMENTS], max(stored.elements for stored in rows))
        self._launcher.launch(table, self._rows.rows)

    def finish(self) -> None:
        """Do nothing: the executor is used for one step only."""


@dataclass(frozen=True, slots=True)
class StoredRows:
    """The rows of a sparse gradient, each once."""

    indices: Tensor  # int64 [sparse axes, rows]
    addresses: Tensor  # int64 [rows]: where the values of each row begin
    elements: int  # of a row; a complex one has two numbers per element
    values: tuple[Tensor, ...]  # what the addresses point into


def find_rows(grad: Tensor) -> StoredRows:
    """Return the rows of a sparse gradient; entries of the same index are added up, as by `coalesce`.

    Rules need not be linear, so every row must be there once. Unlike `coalesce`, this moves no values but those of
    rows that occur more than once.
    """
    indices, values = grad._indices(), grad._values().contiguous()
    elements = values.shape[1:].numel() * (2 if grad.is_complex() else 1)
    stride = values.shape[1:].numel() * values.element_size()
    begin = values.data_ptr()
    if grad.is_coalesced() or indices.shape[1] < 2:
        places = torch.arange(indices.shape[1], dtype=torch.int64, device="cpu")
        return StoredRows(indices, places * stride + begin, elements, (values,))
    flat = _offsets(indices, _strides_of(grad.shape[: grad.sparse_dim()]))
    ordered, places = torch.sort(flat, stable=True)
    is_first = torch.ones(len(flat), dtype=torch.bool, device="cpu")
    torch.ne(ordered[1:], ordered[:-1], out=is_first[1:])
    firsts = places[is_first]
    addresses = firsts * stride + begin
    if len(firsts) == len(flat):
        return StoredRows(indices[:, firsts], addresses, elements, (values,))
    row_of_entry = torch.cumsum(is_first, 0) - 1
    again = torch.nonzero(is_first.logical_not()).squeeze(1)  # of the entries that belong to the row before
    several, row_of_again = torch.unique_consecutive(row_of_entry[again], return_inverse=True)
    sums = values[firsts[several]].index_add_(0, row_of_again, values[places[again]])
    addresses[several] = torch.arange(len(several), dtype=torch.int64, device="cpu") * stride + sums.data_ptr()
    return StoredRows(indices[:, firsts], addresses, elements, (values, sums))


def _strides_of(shape: Sequence[int]) -> list[int]:
    """Return the strides of a contiguous tensor of a shape."""
    strides, stride = [], 1
    for size in reversed(shape):
        strides.append(stride)
        stride *= size
    return strides[::-1]


def _entries(stored: StoredRows, row: int, streams: Sequence[Tensor | None]) -> Tensor:
    """Return the part of the address table that is for one parameter.

    Args:
        stored: The rows of the gradient.
        row: The index of the parameter's scalar row.
        streams: The tensors of the parameter; None for the gradient, and for a state that is missing.

    Returns:
        int64 [stored rows, HEADER + streams].
    """
    sparse_dim, count = stored.indices.shape
    table = torch.zeros((count, HEADER + len(streams)), dtype=torch.int64, device="cpu")
    table[:, ELEMENTS], table[:, ROW] = stored.elements, row
    table[:, HEADER + GRAD] = stored.addresses
    known: dict[tuple[int, ...], Tensor] = {}  # by strides in bytes, which states have in common with their parameter
    for number, stream in enumerate(streams):
        if stream is None:
            continue
        strides = tuple(stride * stream.element_size() for stride in stream.stride()[:sparse_dim])
        if strides not in known:
            known[strides] = _offsets(stored.indices, strides)
        torch.add(known[strides], stream.data_ptr(), out=table[:, HEADER + number])
    return table


def _offsets(indices: Tensor, strides: Sequence[int]) -> Tensor:
    """Return where each row begins in a tensor with these strides, in their unit."""
    if len(indices) == 1:
        return indices[0] * strides[0]
    offsets = torch.zeros(indices.shape[1], dtype=torch.int64, device="cpu")
    for along, stride in zip(indices, strides, strict=True):
        offsets += along * stride
    return offsets
