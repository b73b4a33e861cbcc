"""The numbers a fused kernel reads: one row per distinct group, step count and scalar state.

In: members of one bucket, and the numbers of their groups. Out: the rows, which member reads which, and, once the
kernel has been launched, the new values of counters and scalar states. Numbers are computed in float64; what is
stored has the dtype of the state it is stored in, and so have later reads.
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Protocol, cast

import torch
from torch import Tensor

from thetac.runtime.gather import Member
from thetac.runtime.schema import Schema, State

_EXACT_INTEGERS = 2**24  # float32 counts exactly up to here


class Scalars(Protocol):
    """The generated module. Keywords are those of the schema: counters, scalar states, firsts and values."""

    ROW: tuple[str, ...]

    def scalars(self, **keywords: object) -> tuple[Sequence[float], Sequence[float]]: ...


@cache
def module_of(package: str) -> Scalars:
    return cast(Scalars, importlib.import_module(f"{package}.scalars"))


class RowTable:
    """The rows of one bucket; `compute` reads, `store` writes."""

    def __init__(self, schema: Schema, members: Sequence[Member], dtype: torch.dtype) -> None:
        self._schema = schema
        self._module = module_of(schema.package)
        self._groups = [member.group for member in members]
        self._numbers = [
            _Numbers(declared, [state for member in members if (state := member.states[index]) is not None])
            for index, declared in enumerate(schema.states)
            if declared.kind != "tensor" and members[0].states[index] is not None
        ]
        here = {numbers.name for numbers in self._numbers}
        self._scalars = [declared.name for declared in schema.states if declared.kind == "scalar"]
        self._absent = [s.name for s in schema.states if s.kind != "tensor" and s.name not in here]
        self._created = [member.created for member in members]
        self._dtype = torch.float64 if dtype == torch.float64 else torch.float32
        self.index = [0] * len(members)
        self.numbers = torch.zeros((1, max(len(self._module.ROW), 1)), dtype=self._dtype)

    def compute(self, values: Mapping[int, Mapping[str, float]]) -> None:
        """Read counters and scalar states and compute the rows; `values` are the numbers of each group by its index."""
        columns = [numbers.read() for numbers in self._numbers]
        found: dict[tuple[object, ...], int] = {}
        keys = zip(self._groups, self._created, *columns, strict=True)
        self.index = [found.setdefault(key, len(found)) for key in keys]
        for numbers in self._numbers:
            numbers.new = []
        rows = [self._row(values[cast(int, key[0])], key) for key in found]
        if self._module.ROW:
            self.numbers = torch.tensor(rows, dtype=self._dtype)

    def store(self) -> None:
        """Write the new counters and scalar states, and take it that every state exists from now on."""
        for numbers in self._numbers:
            numbers.store(self.index)
        self._created = [False] * len(self._created)

    def _row(self, values: Mapping[str, float], key: tuple[object, ...]) -> Sequence[float]:
        """The row of one key: group, whether the state is new, then a number per counter and scalar state."""
        keywords: dict[str, object] = dict(values)
        keywords |= {declared.first: key[1] for declared in self._schema.states if declared.first}
        # What a group has no state for is not read there.
        keywords |= dict.fromkeys(self._absent, 0.0)
        if self._scalars:
            keywords["round_to"] = _Numbers.unrounded
        for numbers, read in zip(self._numbers, key[2:], strict=True):
            value = cast(float, read)
            if numbers.is_counter:
                value = numbers.incremented(value)
                numbers.new.append(value)
            else:
                keywords["round_to"] = numbers.rounded
            keywords[numbers.name] = value
        row, new_states = self._module.scalars(**keywords)
        news = dict(zip(self._scalars, new_states, strict=True))
        for numbers in self._numbers:
            if not numbers.is_counter:
                numbers.new.append(news[numbers.name])
        return row


class _Numbers:
    """One counter or scalar state of every member of a bucket."""

    def __init__(self, declared: State, tensors: list[Tensor]) -> None:
        self.name = declared.name
        self.is_counter = declared.kind == "counter"
        self.new: list[float] = []  # one per row, as it will be stored
        self._tensors = tensors
        self._dtype = tensors[0].dtype
        self._on_host = all(tensor.device.type == "cpu" for tensor in tensors)

    def read(self) -> list[float]:
        if self._on_host:
            return [tensor.item() for tensor in self._tensors]
        # Beside the parameters, as a checkpoint of torch's fused optimizers has them: wait for the device once.
        device = next(tensor.device for tensor in self._tensors if tensor.device.type != "cpu")
        together = torch.stack([tensor.reshape(()).to(device, torch.float64) for tensor in self._tensors])
        return cast("list[float]", together.tolist())

    def incremented(self, value: float) -> float:
        """One more, as the counter's own dtype counts."""
        if value < _EXACT_INTEGERS and self._dtype in (torch.float32, torch.float64):
            return value + 1
        return (torch.tensor(value, dtype=self._dtype) + 1).item()

    @staticmethod
    def unrounded(value: float) -> float:
        """Where none of the scalar states exists, nothing is stored."""
        return value

    def rounded(self, value: float) -> float:
        """What reading it gives once it has been stored."""
        if self._dtype == torch.float32:
            return ctypes.c_float(value).value
        return torch.tensor(value, dtype=torch.float64).to(self._dtype).item()

    def store(self, index: Sequence[int]) -> None:
        """Write each row's new value to its members."""
        for row, value in enumerate(self.new):
            tensors = (
                self._tensors
                if len(self.new) == 1
                else [t for t, of in zip(self._tensors, index, strict=True) if of == row]
            )
            device, dtype = tensors[0].device, tensors[0].dtype
            # torch lists are fast where the source already is a tensor of the same device and dtype.
            torch._foreach_copy_(tensors, [torch.full((), value, dtype=dtype, device=device)] * len(tensors))
