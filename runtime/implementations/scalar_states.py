"""Counters and scalar states of many parameters: read together, and written together.

In: one such state of each of several members, among the tensors of a step. Out: its values as Python floats. Where they
lie on the host in float32 or float64, and the compiled helper can be had, they are read and written at their addresses;
else tensor by tensor.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Sequence
from operator import attrgetter
from typing import cast

import torch
from torch import Tensor

from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.step_tensors import FIRST_STATE, StepTensors
from thetac.runtime.schema import Schema, State
from thetac.runtime.tensor_facts.memory import all_have_memory
from thetac.runtime.tensor_facts.places import Places
from thetac.runtime.tensor_facts.tensor_reader import native
from thetac.runtime.tensor_facts.tensor_watch import Watch

_dtype, _device = attrgetter("dtype"), attrgetter("device")
_EXACT_INTEGERS = 2**24  # float32 counts exactly up to here


def numbers_of_members(
    schema: Schema, members: Sequence[Member], places: Places, tensors: StepTensors
) -> list[Numbers]:
    """The counters and scalar states that members of equal kinds of groups have; `places` are those of the members."""
    return [
        Numbers(declared, FIRST_STATE + index, places, tensors)
        for index, declared in enumerate(schema.states)
        if declared.kind != "tensor" and members[0].states[index] is not None
    ]


class Numbers:
    """One counter or scalar state of every member."""

    def __init__(self, declared: State, number: int, places: Places, tensors: StepTensors) -> None:
        self.name = declared.name
        self.is_counter = declared.kind == "counter"
        self._list, self._places = number, places  # where its tensors are among those of a step
        known = self._of(tensors)
        self._dtype = known[0].dtype
        self._on_host = all(tensor.device.type == "cpu" for tensor in known)
        self._buffer = array("d", bytes(8 * len(known)))
        self._helper = native()
        self._equal = False  # what was read last
        self._watch: Watch | None = None
        can_be_read = self._on_host and self._dtype in (torch.float32, torch.float64) and all_have_memory(known)
        if self._helper is not None and can_be_read:
            self._addresses = torch.zeros(len(known), dtype=torch.int64, device="cpu")
            watch = Watch(tensors.lists[number], self._addresses, places)
            if not watch.differs_already:
                self._watch = watch
        self._kinds = [] if self._watch is not None else _kinds(known)

    def why_void(self, tensors: StepTensors) -> str:
        """Whether a tensor has come to be of another kind, or went; empty if not. Takes in where they lie."""
        if self._watch is not None:
            return f"`{self.name}` is of another kind" if self._watch.poll(tensors.lists[self._list]) else ""
        mine = self._of(tensors)
        same = (
            all(issubclass(kind, Tensor) for kind in set(map(type, mine)))
            and set(map(Tensor.numel, mine)) == {1}
            and _kinds(mine) == self._kinds
        )
        return "" if same else f"`{self.name}` is of another kind"

    def common(self, tensors: StepTensors) -> float | None:
        """The value of all, if they are equal; NaN equals nothing."""
        if self._watch is not None:
            self._read_quickly()
            return self._buffer[0] if self._equal else None
        values = self.read(tensors)
        return values[0] if values.count(values[0]) == len(values) else None

    def read(self, tensors: StepTensors) -> list[float]:
        """The value of each, as it is now."""
        if self._watch is not None:
            self._read_quickly()
            return self._buffer.tolist()
        mine = self._of(tensors)
        if self._on_host:
            return [tensor.item() for tensor in mine]
        # Beside the parameters, as a checkpoint of torch's fused optimizers has them: wait for the device once.
        device = next(tensor.device for tensor in mine if tensor.device.type != "cpu")
        together = torch.stack([tensor.reshape(()).to(device, torch.float64) for tensor in mine])
        return cast("list[float]", together.tolist())

    def _of(self, tensors: StepTensors) -> list[Tensor]:
        return self._places.of(tensors.lists[self._list])

    def _read_quickly(self) -> None:
        """Fill the buffer, from where the tensors were found to lie."""
        assert self._helper is not None
        begin, _ = self._buffer.buffer_info()
        wide = self._dtype == torch.float64
        self._equal = bool(self._helper.read_numbers(self._addresses.data_ptr(), len(self._buffer), wide, begin))

    def incremented(self, value: float) -> float:
        """One more, as the counter's own dtype counts."""
        dtype = self._dtype
        if value < _EXACT_INTEGERS and dtype in (torch.float32, torch.float64):
            return value + 1
        return (torch.tensor(value, dtype=dtype, device="cpu") + 1).item()

    def rounded(self, value: float) -> float:
        """What reading it gives once it has been stored."""
        if self._dtype == torch.float32:
            return ctypes.c_float(value).value
        return torch.tensor(value, dtype=torch.float64, device="cpu").to(self._dtype).item()

    def write(self, tensors: StepTensors, index: Tensor, values: Sequence[float]) -> None:
        """Write to each the value of its row: `index` is int64. Must follow a read, with nothing in between.

        Autograd is not told where that is done at their addresses: counters are no part of any graph.
        """
        if self._helper is not None and self._watch is not None:
            new = array("d", values)
            begin, _ = new.buffer_info()
            wide = self._dtype == torch.float64
            count = self._places.count
            self._helper.write_numbers(self._addresses.data_ptr(), count, wide, index.data_ptr(), begin)
            return
        mine, rows = self._of(tensors), index.tolist()
        for row, value in enumerate(values):
            of_row = mine if len(values) == 1 else [one for one, of in zip(mine, rows, strict=True) if of == row]
            device, dtype = of_row[0].device, of_row[0].dtype
            # torch lists are fast where the source already is a tensor of the same device and dtype.
            torch._foreach_copy_(of_row, [torch.full((), value, dtype=dtype, device=device)] * len(of_row))


def _kinds(tensors: list[Tensor]) -> list[tuple[torch.dtype, torch.device]]:
    return list(zip(map(_dtype, tensors), map(_device, tensors), strict=True))
