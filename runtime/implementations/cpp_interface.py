"""The interface of compiled C++ objects, as ctypes and as macros of the compiler's command line.

In: dtypes of streams and conditions of a group. Out: the structure that objects are called with, and the macros that
they are compiled with. runtime/cpp/launch.h has the other side. Must not know what is launched, nor how objects are
built.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

import torch

from thetac.runtime.building.compiled_objects import Interface
from thetac.runtime.implementations.tables import HEADER

KERNEL = Interface(("thetac_step",), version=2)
NORM = Interface(("thetac_sum_of_squares",), version=2)
HISTORY = Interface(("thetac_products", "thetac_recursion", "thetac_combine"), version=2)

CPP = Path(__file__).resolve().parents[1] / "cpp"
HEADERS = tuple(sorted(CPP.glob("*.h")))

ALL_PASSES = 2**31 - 1  # as `end_pass` of a launch: up to the last one

DTYPE_NAMES = {torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16"}


class Launch(ctypes.Structure):
    """`ThetacLaunch` of runtime/cpp/launch.h, which says what each field means."""

    _fields_ = (
        ("tensors", ctypes.c_void_p),
        ("chunks", ctypes.c_void_p),
        ("n_chunks", ctypes.c_int64),
        ("rows", ctypes.c_void_p),
        ("specialisations", ctypes.c_uint64),
        ("grad_scale", ctypes.c_double),
        ("clip", ctypes.c_double),
        ("write_back", ctypes.c_int64),
        ("threads", ctypes.c_int64),
        ("parallel", ctypes.c_void_p),
        ("thread_number", ctypes.c_void_p),
        ("n_tensors", ctypes.c_int64),
        ("shapes", ctypes.c_void_p),
        ("scratch", ctypes.c_void_p),
        ("first_pass", ctypes.c_int64),
        ("end_pass", ctypes.c_int64),
    )


def macros(dtypes: Sequence[torch.dtype], specialisations: Sequence[bool] | None = None) -> dict[str, str]:
    """Return the macros that an object is compiled with, and their values.

    Args:
        dtypes: of its streams, in their order
        specialisations: values of the schema's specialisations, in their order, if the object is compiled for these
            alone; None if it holds the kernels for all of them
    """
    defines = {f"THETAC_DTYPE_{index}": DTYPE_NAMES[dtype] for index, dtype in enumerate(dtypes)}
    defines["THETAC_HEADER"] = str(HEADER)
    if specialisations is not None:
        defines["THETAC_HOLDS"] = ",".join(str(int(holds)) for holds in specialisations)
    return defines
