"""Counters and scalar states of many parameters: read together, and written together.

In: one such state of each of several members. Out: its values as Python floats. Where they lie on the host in float32
or float64, and the compiled helper can be had, they are read and written at their addresses; else tensor by tensor.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from thetac.runtime.gather import Member
from thetac.runtime.native import native
from thetac.runtime.polling import Watch
from thetac.runtime.schema import Schema, State

_EXACT_INTEGERS = 2**24  # float32 counts exactly up to here


def numbers_of_members(schema: Schema, members: Sequence[Member]) -> list[Numbers]:
    """The counters and scalar states that members of equal kinds of groups have."""
    return [
        Numbers(declared, [state for member in members if (state := member.states[index]) is not None])
        for index, declared in enumerate(schema.states)
        if declared.kind != "tensor" and members[0].states[index] is not None
    ]


class Numbers:
    """One counter or scalar state of every member."""

    def __init__(self, declared: State, tensors: list[Tensor]) -> None:
        self.name = declared.name
        self.is_counter = declared.kind == "counter"
        self.tensors = tensors
        self._dtype = tensors[0].dtype
        self._on_host = all(tensor.device.type == "cpu" for tensor in tensors)
        self._addresses = torch.zeros(len(tensors), dtype=torch.int64)
        self._buffer = array("d", bytes(8 * len(tensors)))
        self._helper = native()
        self._equal = False  # what was read last
        self._watch: Watch | None = None
        if self._helper is not None and self._on_host and self._dtype in (torch.float32, torch.float64):
            watch = Watch(tensors, self._addresses, same_objects=True)
            if not watch.differs_already:
                self._watch = watch

    def common(self) -> float | None:
        """The value of all, if they are equal; NaN equals nothing."""
        if self._read_quickly():
            return self._buffer[0] if self._equal else None
        values = self.read()
        return values[0] if values.count(values[0]) == len(values) else None

    def read(self) -> list[float]:
        """The value of each, as it is now."""
        if self._read_quickly():
            return self._buffer.tolist()
        if self._on_host:
            return [tensor.item() for tensor in self.tensors]
        # Beside the parameters, as a checkpoint of torch's fused optimizers has them: wait for the device once.
        device = next(tensor.device for tensor in self.tensors if tensor.device.type != "cpu")
        together = torch.stack([tensor.reshape(()).to(device, torch.float64) for tensor in self.tensors])
        return cast("list[float]", together.tolist())

    def _read_quickly(self) -> bool:
        """Fill the buffer, where that can be done."""
        if self._helper is None or self._watch is None:
            return False
        if self._watch.poll(self.tensors):
            self._watch = None
            return False
        begin, _ = self._buffer.buffer_info()
        wide = self._dtype == torch.float64
        count = len(self.tensors)
        self._equal = bool(self._helper.read_numbers(self._addresses.data_ptr(), count, wide, begin))
        return True

    def incremented(self, value: float) -> float:
        """One more, as the counter's own dtype counts."""
        if value < _EXACT_INTEGERS and self._dtype in (torch.float32, torch.float64):
            return value + 1
        return (torch.tensor(value, dtype=self._dtype) + 1).item()

    def rounded(self, value: float) -> float:
        """What reading it gives once it has been stored."""
        if self._dtype == torch.float32:
            return ctypes.c_float(value).value
        return torch.tensor(value, dtype=torch.float64).to(self._dtype).item()

    def write(self, index: Tensor, values: Sequence[float]) -> None:
        """Write to each the value of its row: `index` is int64. Must follow a read, with nothing in between.

        Autograd is not told where that is done at their addresses: counters are no part of any graph.
        """
        if self._helper is not None and self._watch is not None:
            new = array("d", values)
            begin, _ = new.buffer_info()
            wide = self._dtype == torch.float64
            count = len(self.tensors)
            self._helper.write_numbers(self._addresses.data_ptr(), count, wide, index.data_ptr(), begin)
            return
        rows = index.tolist()
        for row, value in enumerate(values):
            tensors = (
                self.tensors
                if len(values) == 1
                else [tensor for tensor, of in zip(self.tensors, rows, strict=True) if of == row]
            )
            device, dtype = tensors[0].device, tensors[0].dtype
            # torch lists are fast where the source already is a tensor of the same device and dtype.
            torch._foreach_copy_(tensors, [torch.full((), value, dtype=dtype, device=device)] * len(tensors))
