"""The compiled helper that looks at thousands of tensors without a call of Python for each.

In: nothing. Out: its functions, or None where it cannot be had: no compiler, or a torch without DLPack's exchange
interface. Everything that uses it has a way in Python too, which is slower and finds the same.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

from torch import Tensor

from thetac.runtime.build import BuildError, load_object

_SOURCE = Path(__file__).parent / "native" / "poll.cpp"
RECIPE: tuple[list[Path], dict[str, str], str] = ([_SOURCE], {}, "poll")  # as `build.load_object` takes it
_CAPSULE = b"dlpack_exchange_api"
_MAJOR_VERSION = 1


class _ExchangeInterface(ctypes.Structure):
    """DLPack's table of functions, of which only one is called here."""

    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("previous", ctypes.c_void_p),
        ("allocate", ctypes.c_void_p),
        ("managed_from_object", ctypes.c_void_p),
        ("managed_to_object", ctypes.c_void_p),
        ("read", ctypes.c_void_p),
        ("stream", ctypes.c_void_p),
    )


class Native:
    """The functions of `native/poll.cpp`, with the interpreter's lock held while they run."""

    def __init__(self, library: ctypes.PyDLL, read: int) -> None:
        number, address, python = ctypes.c_int64, ctypes.c_void_p, ctypes.py_object
        self.read = read
        self.poll = _typed(library.thetac_poll, number, python, address, address, number, address, address)
        self.first_replaced = _typed(library.thetac_first_replaced, number, python, python, python)
        self.first_different = _typed(library.thetac_first_different, number, python, python)
        self.attributes = _typed(library.thetac_attributes, python, python, python)
        self.describe = _typed(library.thetac_describe, number, python, address, address)
        self.read_numbers = _typed(library.thetac_read_numbers, number, address, number, number, address)
        self.write_numbers = _typed(library.thetac_write_numbers, None, address, number, number, address, address)


@cache
def native() -> Native | None:
    """Built at the first call of a process, if it was never built on this machine."""
    read = _read_tensor()
    if not read:
        return None
    try:
        return Native(load_object(*RECIPE, ctypes.PyDLL), read)
    except BuildError:
        return None


def _read_tensor() -> int:
    """The address of torch's function that describes a tensor; 0 if this torch has none."""
    capsule = getattr(Tensor, "__dlpack_c_exchange_api__", None)
    if capsule is None:
        return 0
    pointer_in = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_in.restype, pointer_in.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    interface = _ExchangeInterface.from_address(pointer_in(capsule, _CAPSULE))
    while interface.major > _MAJOR_VERSION and interface.previous:
        interface = _ExchangeInterface.from_address(interface.previous)
    return (interface.read or 0) if interface.major == _MAJOR_VERSION else 0


def _typed(function: ctypes._NamedFuncPointer, result: type | None, *arguments: type) -> ctypes._NamedFuncPointer:
    function.restype, function.argtypes = result, arguments
    return function
