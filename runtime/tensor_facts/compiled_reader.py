"""The tensor reader that is compiled from C++: it makes no Python call per tensor.

In: tensors. Out: what `tensor_reader.py` promises; what it cannot read, the reader in Python reads. Must not know of
optimizers.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from thetac.runtime.building.compiled_objects import Interface, load_object
from thetac.runtime.tensor_facts.memory import MemoryRanges, all_have_memory, pack_integers
from thetac.runtime.tensor_facts.python_reader import PythonReader
from thetac.runtime.tensor_facts.selection import Selection
from thetac.runtime.tensor_facts.tensor_reader import CAUSES, D, ScalarTensors, TensorReader, TensorWatch, V
from thetac.runtime.tensor_facts.torch_interface import TorchInterface, find_torch_interface

_FOLDER = Path(__file__).parent
_SOURCES = [_FOLDER / "compiled_reader.cpp", _FOLDER / "torch_handles.h"]
RECIPE: tuple[list[Path], dict[str, str], str] = (_SOURCES, {}, "reader")  # as `load_object` takes it

_NUMBER, _ADDRESS, _OBJECT = ctypes.c_int64, ctypes.c_void_p, ctypes.py_object
# The functions of compiled_reader.cpp: what each returns, and what it takes.
_SIGNATURES: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "thetac_poll": (_NUMBER, (_OBJECT, _ADDRESS, _ADDRESS, _ADDRESS)),
    "thetac_read_attributes": (_OBJECT, (_OBJECT, _OBJECT, _ADDRESS)),
    "thetac_read_items": (_OBJECT, (_OBJECT, _OBJECT, _OBJECT, _ADDRESS)),
    "thetac_read_entries": (_OBJECT, (_OBJECT, _OBJECT, _OBJECT, _ADDRESS, _ADDRESS)),
    "thetac_describe": (_NUMBER, (_OBJECT, _ADDRESS, _ADDRESS)),
    "thetac_bump_versions": (None, (_OBJECT, _ADDRESS, _NUMBER, _ADDRESS)),
    "thetac_read_scalars": (_NUMBER, (_ADDRESS, _NUMBER, _NUMBER, _ADDRESS)),
    "thetac_write_scalars": (None, (_ADDRESS, _NUMBER, _NUMBER, _ADDRESS, _ADDRESS)),
}
_TYPES = (ctypes.c_void_p * 2)(id(Tensor), id(Parameter))  # the exact types that can be read


class Kind(ctypes.Structure):
    """`Kind` of compiled_reader.cpp: layout, dtype and device in torch's codes, which are only compared."""

    _fields_ = (
        ("layout", ctypes.c_int32),
        ("dtype", ctypes.c_int32),
        ("device_type", ctypes.c_int32),
        ("device_index", ctypes.c_int32),
    )


class _Expected(ctypes.Structure):
    """`Expected` of compiled_reader.cpp: which tensors a watch observes, and what it assumes of them."""

    _fields_ = (
        ("torch", ctypes.c_void_p),
        ("types", ctypes.c_void_p),
        ("type_count", ctypes.c_int64),
        ("list_size", ctypes.c_int64),
        ("positions", ctypes.c_void_p),
        ("count", ctypes.c_int64),
        ("kind", Kind),
        ("element_bytes", ctypes.c_int64),
        ("is_complex", ctypes.c_int64),
        ("layouts", ctypes.c_void_p),
        ("any_strides", ctypes.c_int64),
        ("range_begins", ctypes.c_void_p),
        ("range_ends", ctypes.c_void_p),
        ("range_count", ctypes.c_int64),
    )


def load_compiled_reader() -> CompiledReader | None:
    """Load the compiled reader, and build it first if it was never built on this machine.

    Returns:
        The reader; None if this torch lacks what it needs.

    Raises:
        BuildError: The reader cannot be built.
    """
    interface = find_torch_interface()
    if interface is None:
        return None
    functions = Interface(tuple(_SIGNATURES), version=1)
    return CompiledReader(load_object(*RECIPE, ctypes.PyDLL, functions), interface)


class CompiledReader(TensorReader):
    """Reads tensors by the functions of `compiled_reader.cpp`, which run with the interpreter's lock held."""

    def __init__(self, library: ctypes.PyDLL, interface: TorchInterface) -> None:
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
        self._library = library
        self._interface = interface  # kept for as long as its address is in use
        self._torch = ctypes.addressof(interface)
        self._read_attributes, self._read_items = library.thetac_read_attributes, library.thetac_read_items
        self._read_entries, self._bump_versions = library.thetac_read_entries, library.thetac_bump_versions
        self._in_python = PythonReader()

    def read_gradients(self, params: list[Tensor]) -> list[Any]:
        """Return the gradient of each parameter, read without a Python call per parameter."""
        found: list[Any] = self._read_attributes(params, "grad", self._torch)
        return found

    def read_entries(self, keys: list[Tensor], values: list[V], params: list[Tensor], at: Tensor) -> list[V] | None:
        """Return the value of each parameter; None if a key has moved or is another object."""
        found: list[V] = self._read_entries(keys, values, params, at.data_ptr(), self._torch)
        return found if len(found) == len(params) else None

    def read_items(self, dictionaries: list[D], names: list[str]) -> list[list[Any]]:
        """Return a list for each name, with the item of each dictionary or None."""
        found: list[list[Any]] = self._read_items(dictionaries, names, None, self._torch)
        return found

    def mark_written(self, lists: list[list[Tensor]], selection: Selection) -> None:
        """Bump the version counters of the selected tensors of each list."""
        self._bump_versions(lists, selection.address, selection.count, self._torch)

    def watch_tensors(self, tensors: list[Tensor], selection: Selection, *, any_strides: bool = False) -> TensorWatch:
        """Return a compiled watch; one in Python if torch does not describe the first tensor."""
        kind = self.describe(selection.select(tensors)[0])
        if kind is None:
            return self._in_python.watch_tensors(tensors, selection, any_strides=any_strides)
        return _CompiledWatch(self._library, self._torch, tensors, selection, kind, any_strides=any_strides)

    def access_scalars(self, tensors: list[Tensor], selection: Selection) -> ScalarTensors:
        """Return access to the scalars.

        Scalars on the host, in float32 or float64 and with memory of their own, are accessed at their addresses. The
        reader in Python accesses all others.
        """
        scalars = selection.select(tensors)
        dtype = scalars[0].dtype
        are_on_host = all(scalar.device.type == "cpu" for scalar in scalars)
        if are_on_host and dtype in (torch.float32, torch.float64) and all_have_memory(scalars):
            watch = self.watch_tensors(tensors, selection)
            if not watch.differs_already:
                return _CompiledScalars(self._library, watch, dtype)
        return self._in_python.access_scalars(tensors, selection)

    def describe(self, tensor: Tensor) -> Kind | None:
        """Return the layout, dtype and device of a tensor in torch's codes; None if torch does not say."""
        kind = Kind()
        return None if self._library.thetac_describe(tensor, self._torch, ctypes.addressof(kind)) else kind


class _CompiledWatch(TensorWatch):
    """Holds what is assumed of the tensors as the structure that compiled code compares them with."""

    def __init__(
        self,
        library: ctypes.PyDLL,
        torch_interface: int,
        tensors: list[Tensor],
        selection: Selection,
        kind: Kind,
        *,
        any_strides: bool,
    ) -> None:
        watched = selection.select(tensors)
        self.addresses = torch.zeros(selection.count, dtype=torch.int64, device="cpu")
        self._kept = layouts, selection = _layouts_of(watched), selection  # what `_expected` has the addresses of
        self._expected = _Expected(
            torch=torch_interface,
            types=ctypes.addressof(_TYPES),
            type_count=len(_TYPES),
            list_size=selection.size,
            positions=selection.address,
            count=selection.count,
            kind=kind,
            element_bytes=watched[0].element_size(),
            is_complex=watched[0].is_complex(),
            layouts=layouts.data_ptr(),
            any_strides=any_strides,
        )
        self._poll = library.thetac_poll
        self._moved = ctypes.c_int64()
        self._arguments = (
            ctypes.addressof(self._expected),
            self.addresses.data_ptr(),
            ctypes.addressof(self._moved),
        )
        self.differs_already = self.poll(tensors)

    def poll(self, tensors: list[Tensor], apart_from: MemoryRanges | None = None) -> str:
        """Compare the tensors with what is assumed of them, and return the cause of a difference, empty if none."""
        expected = self._expected
        if apart_from is None:
            expected.range_count = 0
        else:
            expected.range_begins, expected.range_ends, expected.range_count = apart_from.addresses
        finding: int = self._poll(tensors, *self._arguments)
        self.moved = self._moved.value != 0
        return CAUSES[finding]


def _layouts_of(tensors: Sequence[Tensor]) -> Tensor:
    """Return an int64 tensor on the host: for each tensor its dimension count, its shape and its strides."""
    layouts: list[int] = []
    for tensor in tensors:
        shape = tensor.shape
        layouts.append(len(shape))
        layouts += shape
        layouts += tensor.stride()
    return pack_integers(layouts)


class _CompiledScalars(ScalarTensors):
    """Scalars on the host, in float32 or float64: read and written at their addresses."""

    def __init__(self, library: ctypes.PyDLL, watch: TensorWatch, dtype: torch.dtype) -> None:
        self._watch = watch
        self._is_wide = dtype == torch.float64
        self._values = array("d", bytes(8 * len(watch.addresses)))
        self._read_scalars, self._write_scalars = library.thetac_read_scalars, library.thetac_write_scalars

    def refresh(self, tensors: list[Tensor]) -> bool:
        """Read the addresses again, and return whether the tensors still are what was assumed of them."""
        return not self._watch.poll(tensors)

    def read(self, tensors: list[Tensor]) -> list[float]:
        """Return the value of each scalar."""
        self._are_equal_when_read()
        return self._values.tolist()

    def read_common(self, tensors: list[Tensor]) -> float | None:
        """Return the value that all scalars have; None if they differ or one is NaN."""
        return self._values[0] if self._are_equal_when_read() else None

    def write(self, tensors: list[Tensor], rows: Tensor, values: Sequence[float]) -> None:
        """Write to each scalar the value of its row, at the addresses that the last refresh observed."""
        new = array("d", values)
        begin, _ = new.buffer_info()
        addresses = self._watch.addresses
        self._write_scalars(addresses.data_ptr(), len(self._values), self._is_wide, rows.data_ptr(), begin)

    def _are_equal_when_read(self) -> bool:
        """Read all values, and return whether they are equal."""
        begin, _ = self._values.buffer_info()
        addresses = self._watch.addresses
        return bool(self._read_scalars(addresses.data_ptr(), len(self._values), self._is_wide, begin))
