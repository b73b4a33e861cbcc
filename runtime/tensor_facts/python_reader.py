"""The tensor reader in Python: it works with every torch, and makes some Python calls per tensor.

In: tensors. Out: what `tensor_reader.py` promises. Must not know of optimizers.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter, is_
from typing import Any, cast

import torch
from torch import Tensor

from thetac.runtime.tensor_facts.memory import MemoryRanges, all_have_memory, pack_integers, significant_strides
from thetac.runtime.tensor_facts.selection import Selection
from thetac.runtime.tensor_facts.tensor_reader import (
    DEVICE,
    DTYPE,
    LAZY,
    MEMORY,
    SHAPE,
    STRIDES,
    TYPE,
    D,
    ScalarTensors,
    TensorReader,
    TensorWatch,
    V,
)

_dtype, _device, _shape, _grad = map(attrgetter, ("dtype", "device", "shape", "grad"))


class PythonReader(TensorReader):
    """Reads tensors by the attributes that torch gives to Python."""

    def read_gradients(self, params: list[Tensor]) -> list[Any]:
        """Return the `grad` attribute of each parameter."""
        return list(map(_grad, params))

    def read_entries(self, keys: list[Tensor], values: list[V], params: list[Tensor], at: Tensor) -> list[V] | None:
        """Return the value of each parameter; None if a key is missing or is another object."""
        positions = at.tolist()
        if max(positions) >= len(keys) or not all(map(is_, [keys[position] for position in positions], params)):
            return None
        return [values[position] for position in positions]

    def read_items(self, dictionaries: list[D], names: list[str]) -> list[list[Any]]:
        """Return a list for each name, with the item of each dictionary or None."""
        return [[dictionary.get(name) for dictionary in dictionaries] for name in names]

    def mark_written(self, lists: list[list[Tensor]], selection: Selection) -> None:
        """Bump the version counters of the selected tensors that have one."""
        written = [tensor for tensors in lists for tensor in selection.select(tensors)]
        try:
            torch.autograd.graph.increment_version(written)
        except RuntimeError:  # some were made in inference mode
            torch.autograd.graph.increment_version([tensor for tensor in written if not tensor.is_inference()])

    def watch_tensors(self, tensors: list[Tensor], selection: Selection, *, any_strides: bool = False) -> TensorWatch:
        """Return a watch that compares Python attributes of the tensors."""
        return _PythonWatch(tensors, selection, any_strides=any_strides)

    def access_scalars(self, tensors: list[Tensor], selection: Selection) -> ScalarTensors:
        """Return access to the scalars by torch's operations, on any device and in any dtype."""
        return _PythonScalars(tensors, selection)


class _PythonWatch(TensorWatch):
    """Compares dtypes, shapes, strides and addresses, each as a list over all watched tensors."""

    def __init__(self, tensors: list[Tensor], selection: Selection, *, any_strides: bool) -> None:
        watched = selection.select(tensors)
        self._selection = selection
        self._dtypes = list(map(_dtype, watched))
        self._shapes = list(map(_shape, watched))
        self._strides = None if any_strides else list(map(Tensor.stride, watched))
        self._significant = None if any_strides else list(map(significant_strides, watched))
        self._device = watched[0].device
        self._is_complex = watched[0].is_complex()
        self._known: list[int] = []  # the addresses
        self.addresses = torch.zeros(selection.count, dtype=torch.int64, device="cpu")
        self.differs_already = self.poll(tensors)

    def poll(self, tensors: list[Tensor], apart_from: MemoryRanges | None = None) -> str:
        """Compare the tensors with what is assumed of them, and return the cause of a difference, empty if none."""
        self.moved = False
        if len(tensors) != self._selection.size:
            return TYPE
        watched = self._selection.select(tensors)
        if differs := self._differs(watched):
            return differs
        addresses = list(map(Tensor.data_ptr, watched))
        if addresses == self._known:
            return ""
        self.moved = True
        if any(tensor.device != self._device for tensor in watched):
            return DEVICE
        if not all(address or not tensor.numel() for address, tensor in zip(addresses, watched, strict=True)):
            return TYPE
        if apart_from is not None and apart_from.overlap(watched):
            return MEMORY
        self._known = addresses
        self.addresses.copy_(pack_integers(addresses))
        return ""

    def _differs(self, tensors: list[Tensor]) -> str:
        """Return in what the tensors differ from what is assumed of them, addresses aside; empty if in nothing."""
        if not all_have_memory(tensors):
            return TYPE
        if list(map(_dtype, tensors)) != self._dtypes:
            return DTYPE
        if list(map(_shape, tensors)) != self._shapes:
            return SHAPE
        same_strides = self._strides is None or list(map(Tensor.stride, tensors)) == self._strides
        if not same_strides and list(map(significant_strides, tensors)) != self._significant:
            return STRIDES
        if any(map(Tensor.is_neg, tensors)) or (self._is_complex and any(map(Tensor.is_conj, tensors))):
            return LAZY
        return ""


class _PythonScalars(ScalarTensors):
    """Scalars on any device, read and written by torch's operations."""

    def __init__(self, tensors: list[Tensor], selection: Selection) -> None:
        scalars = selection.select(tensors)
        self._selection = selection
        self._kinds = _kinds_of(scalars)
        self._are_on_host = all(scalar.device.type == "cpu" for scalar in scalars)

    def refresh(self, tensors: list[Tensor]) -> bool:
        """Return whether the scalars still have the dtypes, devices and sizes that they had at the beginning."""
        scalars = self._selection.select(tensors)
        return (
            all(issubclass(kind, Tensor) for kind in set(map(type, scalars)))
            and set(map(Tensor.numel, scalars)) == {1}
            and _kinds_of(scalars) == self._kinds
        )

    def read(self, tensors: list[Tensor]) -> list[float]:
        """Return the value of each scalar; wait once if some are on an accelerator."""
        scalars = self._selection.select(tensors)
        if self._are_on_host:
            return [scalar.item() for scalar in scalars]
        # On the device of their parameters, as a checkpoint of torch's fused optimizers has them: wait for it once.
        device = next(scalar.device for scalar in scalars if scalar.device.type != "cpu")
        together = torch.stack([scalar.reshape(()).to(device, torch.float64) for scalar in scalars])
        return cast("list[float]", together.tolist())

    def read_common(self, tensors: list[Tensor]) -> float | None:
        """Return the value that all scalars have; None if they differ or one is NaN."""
        values = self.read(tensors)
        return values[0] if values.count(values[0]) == len(values) else None

    def write(self, tensors: list[Tensor], rows: Tensor, values: Sequence[float]) -> None:
        """Write to each scalar the value of its row, with one list operation per row."""
        scalars, row_of_each = self._selection.select(tensors), rows.tolist()
        for row, value in enumerate(values):
            of_row = (
                scalars
                if len(values) == 1
                else [scalar for scalar, its_row in zip(scalars, row_of_each, strict=True) if its_row == row]
            )
            device, dtype = of_row[0].device, of_row[0].dtype
            # torch lists are fast where the source already is a tensor of the same device and dtype.
            torch._foreach_copy_(of_row, [torch.full((), value, dtype=dtype, device=device)] * len(of_row))


def _kinds_of(scalars: list[Tensor]) -> list[tuple[torch.dtype, torch.device]]:
    """Return the dtype and device of each scalar."""
    return list(zip(map(_dtype, scalars), map(_device, scalars), strict=True))
