"""The offset of torch's handle within the Python object of a tensor, and the functions of torch that take a handle.

In: the installed torch. Out: addresses and offsets for `compiled_reader.cpp`, or None if this torch lacks something.

The functions are those of torch's stable C interface and three C++ functions under their mangled names. All take the
address of torch's own handle on a tensor. A Python object holds such a handle at an offset that is no part of any
interface. It is found here by comparing objects with handles that torch gives out for them, and then everything is
tried. Handles given out by torch would not do: gradients are new objects at every step, and `torch.utils.swap_tensors`
refuses tensors of which there is another handle. Must not know what is read.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

_LIBRARY = (
    Path(torch.__file__).parent / "lib" / ("libtorch_cpu.dylib" if sys.platform == "darwin" else "libtorch_cpu.so")
)
_WORD = ctypes.sizeof(ctypes.c_void_p)

# By the fields of `TorchInterface` in torch_handles.h. A mangled name says what its function takes, so a function of
# the same name with other parameters cannot be called by mistake.
FUNCTIONS = {
    "layout": "aoti_torch_get_layout",
    "dtype": "aoti_torch_get_dtype",
    "device_type": "aoti_torch_get_device_type",
    "device_index": "aoti_torch_get_device_index",
    "dimensions": "aoti_torch_get_dim",
    "shape": "aoti_torch_get_sizes",
    "strides": "aoti_torch_get_strides",
    "data": "aoti_torch_get_data_ptr",
    "is_neg": "_ZN2at6native6is_negERKNS_6TensorE",
    "is_conj": "_ZN2at6native7is_conjERKNS_6TensorE",
    "bump_version": "_ZN5torch8autograd4impl12bump_versionERKN2at6TensorE",
}


class TorchInterface(ctypes.Structure):
    """`TorchInterface` of torch_handles.h: offsets within Python objects, and the addresses of torch's functions."""

    _fields_ = (
        ("handle_offset", ctypes.c_int64),
        ("type_offset", ctypes.c_int64),
        ("items_offset", ctypes.c_int64),
        ("none", ctypes.c_void_p),
        *((name, ctypes.c_void_p) for name in FUNCTIONS),
    )


def find_torch_interface() -> TorchInterface | None:
    """Find and try the functions and offsets of the installed torch; return None if one is missing or differs."""
    try:
        library = ctypes.CDLL(str(_LIBRARY))
        functions = {field: getattr(library, name) for field, name in FUNCTIONS.items()}
        with torch.inference_mode(False), _disable_current_modes():
            offset = _offset_of_handle(library.aoti_torch_delete_tensor_object)
            if offset is None or not _as_expected(offset, functions):
                return None
    except (OSError, AttributeError):
        return None
    addresses = {field: ctypes.cast(function, ctypes.c_void_p) for field, function in functions.items()}
    return TorchInterface(
        handle_offset=offset, type_offset=_offset_of_type(), items_offset=_offset_of_items(), none=id(None), **addresses
    )


def _offset_of_handle(delete: ctypes._NamedFuncPointer) -> int | None:
    """Return the offset at which tensor objects hold what torch's handles on them hold; None if it is not unique.

    Args:
        delete: The function of torch that deletes a handle.
    """
    empty = [torch.empty(size, dtype=torch.float32, device="cpu") for size in (0, 1, 2, 0, 1, 2)]
    tensors = [*empty[:3], *map(torch.nn.Parameter, empty[3:])]
    pointer_in = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_in.restype, pointer_in.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    handles = [pointer_in(capsule, None) for capsule in torch._C._aoti.unsafe_alloc_void_ptrs_from_tensors(tensors)]
    held = list(map(_word_at, handles))
    offsets = range(object.__basicsize__, torch._C.TensorBase.__basicsize__, _WORD)
    found = [offset for offset in offsets if [_word_at(id(tensor) + offset) for tensor in tensors] == held]
    for handle in handles:
        delete(ctypes.c_void_p(handle))
    return found[0] if len(found) == 1 else None


def _offset_of_type() -> int:
    """Return the offset at which an object holds its type; 0 if it is not unique."""
    objects: tuple[object, ...] = (object(), torch.empty(0, dtype=torch.float32, device="cpu"), {}, [], 1.5, None)
    offsets = range(_WORD, object.__basicsize__, _WORD)
    found = [at for at in offsets if [_word_at(id(one) + at) for one in objects] == [id(type(one)) for one in objects]]
    return found[0] if len(found) == 1 else 0


def _offset_of_items() -> int:
    """Return the offset at which a list holds the address of its items; 0 if it is not unique."""
    lists: list[list[object]] = [[None], [None, 1.5], [{}, None, 2.5]]
    offsets = range(object.__basicsize__, list.__basicsize__, _WORD)
    found = [
        at for at in offsets if all(_items_at(_word_at(id(one) + at), len(one)) == list(map(id, one)) for one in lists)
    ]
    return found[0] if len(found) == 1 else 0


def _items_at(address: int | None, count: int) -> list[int | None]:
    """Return the words at an address; an empty list for what cannot be an address, such as a length."""
    if address is None or address < 1 << 16 or address % _WORD:
        return []
    return [_word_at(address + _WORD * index) for index in range(count)]


def _as_expected(offset: int, functions: Mapping[str, ctypes._NamedFuncPointer]) -> bool:
    """Return whether the functions report of tensors what is known of them."""
    tensor = torch.zeros(3, 4, dtype=torch.float64, device="cpu").t()[:, 1:]
    conjugated = torch.zeros(2, dtype=torch.complex64, device="cpu").conj()
    lazy = {"is_neg": conjugated.imag, "is_conj": conjugated}
    handle = _handle(tensor, offset)
    for name, example in lazy.items():
        functions[name].restype = ctypes.c_bool
        if functions[name](handle) or not functions[name](_handle(example, offset)):
            return False
    data, dimensions = ctypes.c_void_p(), ctypes.c_int64()
    shape, strides = (ctypes.POINTER(ctypes.c_int64)() for _ in range(2))
    for name, out in (("data", data), ("dimensions", dimensions), ("shape", shape), ("strides", strides)):
        if functions[name](handle, ctypes.byref(out)) != 0:
            return False
    version = tensor._version
    functions["bump_version"](handle)
    return (
        (data.value, dimensions.value) == (tensor.data_ptr(), tensor.dim())
        and tuple(shape[: tensor.dim()]) == tensor.shape
        and tuple(strides[: tensor.dim()]) == tensor.stride()
        and tensor._version == version + 1
    )


def _handle(tensor: Tensor, offset: int) -> ctypes.c_void_p:
    """Return the address of the handle within the tensor's object."""
    return ctypes.c_void_p(id(tensor) + offset)


def _word_at(address: int) -> int | None:
    """Return the pointer-sized word at an address; None for 0."""
    return ctypes.c_void_p.from_address(address).value
