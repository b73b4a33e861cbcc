"""Copy tensors into others of the same form, as fast as memory is.

In: pairs of tensors. Out: the second of each has the bits of the first. Large tensors on the CPU are copied by C++ on
the threads of torch; all others, and where C++ cannot be compiled, by torch. Must not know what is copied and why.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from thetac.runtime.building.compiled_objects import load_object
from thetac.runtime.building.compiler_process import BuildError
from thetac.runtime.implementations.openmp import openmp
from thetac.runtime.tensor_facts.memory import is_dense, is_plain

# How many modes of torch's want to see operations.
_active_modes = torch._C._len_torch_dispatch_stack

RECIPE: tuple[list[Path], dict[str, str], str] = (  # sources, macros, and what begins the object's file name
    [Path(__file__).resolve().parents[1] / "cpp" / "copy.cpp"],
    {},
    "copy",
)
LEAST = 1 << 23  # bytes of all tensors, below which torch is as fast
_PIECE = 1 << 20  # bytes that a thread takes at once


def copy_tensors(into: Sequence[Tensor], out_of: Sequence[Tensor]) -> None:
    """Copy tensors into others, bit for bit.

    Args:
        into: The tensors to write.
        out_of: As many tensors of the same shapes and dtypes, on the same devices.
    """
    if not into:
        return
    can = [not _active_modes() and _can_copy(one, other) for one, other in zip(into, out_of, strict=True)]
    large = sum(one.nbytes for one, yes in zip(into, can, strict=True) if yes) >= LEAST
    copy = _library() if large else None
    if copy is None:
        torch._foreach_copy_(list(into), list(out_of))
        return
    rows: list[tuple[int, int, int]] = []
    rest: tuple[list[Tensor], list[Tensor]] = [], []
    for one, other, yes in zip(into, out_of, can, strict=True):
        if not yes:
            rest[0].append(one)
            rest[1].append(other)
            continue
        to, source, size = one.data_ptr(), other.data_ptr(), one.nbytes
        rows += [(to + at, source + at, min(_PIECE, size - at)) for at in range(0, size, _PIECE)]
        torch.autograd.graph.increment_version(one)
    table = torch.tensor(rows, dtype=torch.int64, device="cpu")
    copy.thetac_copy(
        ctypes.c_void_p(table.data_ptr()),
        ctypes.c_int64(len(rows)),
        ctypes.c_int64(torch.get_num_threads()),
        ctypes.c_void_p(openmp().parallel),
    )
    if rest[0]:
        torch._foreach_copy_(*rest)


def _can_copy(one: Tensor, other: Tensor) -> bool:
    """Return whether both tensors are dense pieces of a CPU's memory with their elements in the same order."""
    return (
        is_plain(one)
        and is_plain(other)
        and one.device.type == other.device.type == "cpu"
        and one.stride() == other.stride()
        and is_dense(one)
    )


@cache
def _library() -> ctypes.CDLL | None:
    """Return the compiled object; None where it cannot be built, of which kernels warn."""
    try:
        library = load_object(*RECIPE, ctypes.CDLL)
    except BuildError:
        return None
    library.thetac_copy.restype = None
    return library
