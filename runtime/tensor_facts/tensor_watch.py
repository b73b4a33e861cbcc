"""Whether tensors still are what a step plan took them for, and where they lie now.

In: a list with a tensor of each parameter, those that are looked at among them: the parameters, their gradients or one
of their states. Out: what differs, in a word, and addresses. No tensor is kept. Tensors change in place too: `.data` is
swapped, dimensions are transposed, gradients come back at the same address with other strides; so all of it is read at
every step. Must not know of optimizers.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from operator import attrgetter

from torch import Tensor
from torch.nn import Parameter

from thetac.runtime.tensor_facts.memory import Stretches, all_have_memory, integers, significant_strides
from thetac.runtime.tensor_facts.places import Places
from thetac.runtime.tensor_facts.tensor_reader import Kind, Native, native

# What differs. The order is that of `Finding` in poll.cpp.
CAUSES = ("", "type or layout", "dtype", "shape", "strides", "device", "lazy negation or conjugation", "memory")
TYPE, DTYPE, SHAPE, STRIDES, DEVICE, LAZY, MEMORY = CAUSES[1:]

_shape = attrgetter("shape")
_dtype = attrgetter("dtype")


class Watch:
    """Tensors that agree in dtype and device, and what is assumed of each; their addresses stand in `column`."""

    def __init__(
        self, tensors: list[Tensor], column: Tensor, places: Places | None = None, *, any_strides: bool = False
    ) -> None:
        self.moved = False  # whether the last poll found other addresses than the one before
        places = Places.all_of(len(tensors)) if places is None else places
        helper = native()
        in_native = None if helper is None else _native_poll(helper, tensors, column, places, any_strides=any_strides)
        self._poll = in_native or _PythonPoll(tensors, column, places, any_strides)
        self.differs_already = self.poll(tensors)

    def poll(self, tensors: list[Tensor], apart_from: Stretches | None = None) -> str:
        """What differs, empty if nothing. Tensors that moved must not reach into the memory of `apart_from`."""
        differs, self.moved = self._poll.poll(tensors, apart_from)
        return differs


class _PythonPoll:
    def __init__(self, tensors: list[Tensor], column: Tensor, places: Places, any_strides: bool) -> None:
        tensors = places.of(tensors)
        self._column, self._places = column, places
        self._dtypes = list(map(_dtype, tensors))
        self._shapes = list(map(_shape, tensors))
        self._strides = None if any_strides else list(map(Tensor.stride, tensors))
        self._significant = None if any_strides else list(map(significant_strides, tensors))
        self._device = tensors[0].device
        self._is_complex = tensors[0].is_complex()
        self._addresses: list[int] = []

    def poll(self, tensors: list[Tensor], apart_from: Stretches | None) -> tuple[str, bool]:
        if len(tensors) != self._places.size:
            return TYPE, False
        tensors = self._places.of(tensors)
        differs = self._differs(tensors)
        if differs:
            return differs, False
        addresses = list(map(Tensor.data_ptr, tensors))
        if addresses == self._addresses:
            return "", False
        if any(tensor.device != self._device for tensor in tensors):
            return DEVICE, True
        if not all(address or not tensor.numel() for address, tensor in zip(addresses, tensors, strict=True)):
            return TYPE, True
        if apart_from is not None and apart_from.touch(tensors):
            return MEMORY, True
        self._addresses = addresses
        self._column.copy_(integers(addresses))
        return "", True

    def _differs(self, tensors: list[Tensor]) -> str:
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


class _Expected(ctypes.Structure):
    """`Expected` of poll.cpp."""

    _fields_ = (
        ("torch", ctypes.c_void_p),
        ("types", ctypes.c_void_p),
        ("type_count", ctypes.c_int64),
        ("size", ctypes.c_int64),
        ("places", ctypes.c_void_p),
        ("count", ctypes.c_int64),
        ("kind", Kind),
        ("bytes", ctypes.c_int64),
        ("is_complex", ctypes.c_int64),
        ("layouts", ctypes.c_void_p),
        ("shape_only", ctypes.c_int64),
        ("starts", ctypes.c_void_p),
        ("ends", ctypes.c_void_p),
        ("stretches", ctypes.c_int64),
    )


_TYPES = (ctypes.c_void_p * 2)(id(Tensor), id(Parameter))


class _NativePoll:
    def __init__(self, helper: Native, expected: _Expected, kept: tuple[Tensor, Places], column: Tensor) -> None:
        self._function = helper.poll
        self._expected, self._kept = expected, kept  # what `expected` has the addresses of
        self._address = ctypes.addressof(expected)
        self._column, self._begin, self._step = column, column.data_ptr(), column.stride(0)
        self._moved, self._where = ctypes.c_int64(), ctypes.c_int64()
        self._out = ctypes.addressof(self._moved), ctypes.addressof(self._where)

    def poll(self, tensors: list[Tensor], apart_from: Stretches | None) -> tuple[str, bool]:
        expected = self._expected
        expected.stretches = 0
        if apart_from is not None:
            expected.starts, expected.ends, expected.stretches = apart_from.addresses
        finding = self._function(tensors, self._address, self._begin, self._step, *self._out)
        return CAUSES[finding], self._moved.value != 0


def _native_poll(
    helper: Native, tensors: list[Tensor], column: Tensor, places: Places, *, any_strides: bool
) -> _NativePoll | None:
    """None if the first tensor cannot be read: the way in Python finds out what it is."""
    kind = Kind()
    watched = places.of(tensors)
    if helper.describe(watched[0], helper.torch, ctypes.addressof(kind)):
        return None
    layouts = _layouts(watched)
    expected = _Expected(
        torch=helper.torch,
        types=ctypes.addressof(_TYPES),
        type_count=len(_TYPES),
        size=places.size,
        places=places.address,
        count=places.count,
        kind=kind,
        bytes=watched[0].element_size(),
        is_complex=watched[0].is_complex(),
        layouts=layouts.data_ptr(),
        shape_only=any_strides,
    )
    return _NativePoll(helper, expected, (layouts, places), column)


def _layouts(tensors: Sequence[Tensor]) -> Tensor:
    """Of each tensor the number of its dimensions, its shape and its strides."""
    numbers: list[int] = []
    for tensor in tensors:
        shape = tensor.shape
        numbers.append(len(shape))
        numbers += shape
        numbers += tensor.stride()
    return integers(numbers)
