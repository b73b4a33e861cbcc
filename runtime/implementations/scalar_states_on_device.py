"""Counters and scalar states on a device: read together and written together, without waiting for them.

In: one such state of each of several members, among the tensors of a step. Out: its values as one float64 tensor on the
device. Where all have one dtype, device and shape, one launch reads or writes them at their addresses; elsewhere
torch's operations do.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor

from thetac.runtime.implementations.device_table import DeviceTable
from thetac.runtime.implementations.triton_sequence import triton_dtype
from thetac.runtime.param_groups.step_tensors import StepTensors
from thetac.runtime.tensor_facts.memory import all_have_memory
from thetac.runtime.tensor_facts.reader_choice import load_reader
from thetac.runtime.tensor_facts.selection import Selection


class ScalarStatesOnDevice(Protocol):
    """Reads and writes one counter or scalar state of every member."""

    dtype: torch.dtype

    def is_unchanged(self, tensors: StepTensors) -> bool:
        """Return whether all have their previous kinds; refreshes the known addresses."""
        ...

    def read(self, tensors: StepTensors) -> Tensor:
        """Return one value per member: float64, on the device."""
        ...

    def count_up(self, tensors: StepTensors, skipped: Tensor | None) -> Tensor:
        """Add 1 in the dtype of the counters, unless `skipped` holds, and return the values as `read` does."""
        ...

    def write(self, tensors: StepTensors, values: Tensor) -> None:
        """Round and store one value per member."""
        ...


def scalar_states_on_device(number: int, selection: Selection, known: Sequence[Tensor]) -> ScalarStatesOnDevice:
    """Return access to the selected tensors of list `number`, which are currently `known`."""
    if len({(one.dtype, one.device, one.shape) for one in known}) == 1 and all_have_memory(known):
        return _ByAddress(number, selection, known)
    return _ByOperations(number, selection, known)


class _ByAddress:
    """Reads and writes at addresses: one launch for all members."""

    def __init__(self, number: int, selection: Selection, known: Sequence[Tensor]) -> None:
        self._list, self._selection = number, selection  # where its tensors are among those of a step
        self.dtype, self._device = known[0].dtype, known[0].device
        self._watch = load_reader().watch_tensors(list(known), Selection.all_of(len(known)))
        self._addresses = self._watch.addresses.unsqueeze(0)  # a view: a table of one row
        self._table = DeviceTable(self._device)
        if self._device.type != "cpu":
            self._compile(len(known))

    def is_unchanged(self, tensors: StepTensors) -> bool:
        """See `ScalarStatesOnDevice`."""
        return not self._watch.poll(self._selection.select(tensors.lists[self._list]))

    def read(self, tensors: StepTensors) -> Tensor:
        """See `ScalarStatesOnDevice`."""
        values = torch.empty(self._addresses.shape[1], dtype=torch.float64, device=self._device)
        self._launch(_kernels().gather, values)
        return values

    def count_up(self, tensors: StepTensors, skipped: Tensor | None) -> Tensor:
        """See `ScalarStatesOnDevice`."""
        before = self.read(tensors)
        after = (before.to(self.dtype) + 1).to(torch.float64)
        if skipped is not None:
            after = torch.where(skipped, before, after)
        self.write(tensors, after)
        return after

    def write(self, tensors: StepTensors, values: Tensor) -> None:
        """See `ScalarStatesOnDevice`."""
        self._launch(_kernels().scatter, values)

    def _compile(self, count: int) -> None:
        """Compile the kernels, so that an error in them is raised before anything is written."""
        with torch.cuda.device(self._device):
            table = torch.empty((1, count), dtype=torch.int64, device=self._device)
            values = torch.empty(count, dtype=torch.float64, device=self._device)
            for kernel in (_kernels().gather, _kernels().scatter):
                kernel.warmup(table, values, count, dtype=triton_dtype(self.dtype), grid=(1,))

    def _launch(self, kernel: Any, values: Tensor) -> None:
        """Launch a kernel. Autograd is not told of it: counters and scalar states are not part of its graph."""
        count = len(values)
        with torch.cuda.device(self._device if self._device.type == "cuda" else -1):
            table = self._table.of(self._addresses)
            grid = (-(-count // _kernels().BLOCK),)
            kernel[grid](table, values, count, dtype=triton_dtype(self.dtype))


class _ByOperations:
    """Reads and writes with torch's operations, for members of different kinds or without memory."""

    def __init__(self, number: int, selection: Selection, known: Sequence[Tensor]) -> None:
        self._list, self._selection = number, selection
        self._kinds = list(map(_kind, known))
        self.dtype = known[0].dtype

    def is_unchanged(self, tensors: StepTensors) -> bool:
        """See `ScalarStatesOnDevice`."""
        return list(map(_kind, self._of(tensors))) == self._kinds

    def read(self, tensors: StepTensors) -> Tensor:
        """See `ScalarStatesOnDevice`."""
        return torch.stack([tensor.reshape(()).to(torch.float64) for tensor in self._of(tensors)])

    def count_up(self, tensors: StepTensors, skipped: Tensor | None) -> Tensor:
        """See `ScalarStatesOnDevice`."""
        mine = self._of(tensors)
        if skipped is None:
            torch._foreach_add_(mine, 1)
        else:
            torch._foreach_add_(mine, [torch.where(skipped, 0.0, 1.0).to(self.dtype)] * len(mine))
        return self.read(tensors)

    def write(self, tensors: StepTensors, values: Tensor) -> None:
        """See `ScalarStatesOnDevice`."""
        for tensor, value in zip(self._of(tensors), values.unbind(), strict=True):
            tensor.copy_(value)

    def _of(self, tensors: StepTensors) -> list[Tensor]:
        return self._selection.select(tensors.lists[self._list])


def _kind(tensor: object) -> tuple[type, torch.dtype | None, int, int, torch.device | None]:
    if not isinstance(tensor, Tensor):
        return type(tensor), None, 0, 0, None
    return type(tensor), tensor.dtype, tensor.dim(), tensor.numel(), tensor.device


@cache
def _kernels() -> Any:
    """Return the module of the kernels. Imported here: triton costs half a second, and need not be installed."""
    return importlib.import_module("thetac.runtime.implementations.triton_scalars")
