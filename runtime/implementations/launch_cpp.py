"""Launches the generated C++ kernel of one bucket: a call through ctypes, on the threads that torch uses.

In: the address table and scalar rows of a bucket. Out: updated tensors. Must not know what the tables mean, nor how
kernels are built: `build.py` finds or makes their objects. docs/building.md and `cpp/kernel.h` describe the interface.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from thetac.runtime.building.compiled_objects import Interface, load_object
from thetac.runtime.implementations.generated_modules import kernel_source
from thetac.runtime.implementations.openmp import openmp
from thetac.runtime.implementations.tables import chunk_table
from thetac.runtime.param_groups.grad_scaling import NONE, Scaling
from thetac.runtime.schema import Schema

_KERNEL = Interface(("thetac_step",), version=1)
_NORM = Interface(("thetac_sum_of_squares",), version=1)
_CPP = Path(__file__).resolve().parents[1] / "cpp"
_HEADERS = sorted(_CPP.glob("*.h"))
_NAMES = {torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16"}


class _Launch(ctypes.Structure):
    """`ThetacLaunch` of cpp/kernel.h."""

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
    )


def load_kernel(schema: Schema, dtypes: Sequence[torch.dtype], specialisations: Sequence[bool]) -> ctypes.CDLL:
    """The kernel for streams of these dtypes and a group's specialisations, built if need be. Raises BuildError."""
    return load_object(*recipe_of(schema, dtypes, specialisations), ctypes.CDLL, _KERNEL)


def load_norm(dtype: torch.dtype) -> ctypes.CDLL:
    """The kernel that adds up squares of gradients of this dtype, built if need be. Raises BuildError."""
    return load_object(*recipe_of_norm(dtype), ctypes.CDLL, _NORM)


def recipe_of(
    schema: Schema, dtypes: Sequence[torch.dtype], specialisations: Sequence[bool]
) -> tuple[list[Path], dict[str, str], str]:
    """What the object is made of, and how its file is named: by the dtypes, once where all are the same.

    The specialisations, in the order of the schema, make a difference only where `schema.separate_kernels` says so.
    """
    source = kernel_source(schema.package)
    assert source is not None, f"{schema.package} has no C++ kernel"
    defines = {f"THETAC_DTYPE_{index}": _NAMES[dtype] for index, dtype in enumerate(dtypes)}
    if schema.separate_kernels:
        defines["THETAC_HOLDS"] = ",".join(str(int(holds)) for holds in specialisations)
    kinds = [_NAMES[dtype].lower() for dtype in (dtypes if len(set(dtypes)) > 1 else dtypes[:1])]
    return [source, *_HEADERS], defines, "-".join((schema.package.rpartition(".")[2], *kinds))


def recipe_of_norm(dtype: torch.dtype) -> tuple[list[Path], dict[str, str], str]:
    """The same for the kernel that adds up squares of gradients."""
    kind = _NAMES[dtype]
    return [_CPP / "norm.cpp", *_HEADERS], {"THETAC_DTYPE_0": kind}, f"norm-{kind.lower()}"


class CppLauncher:
    """A kernel with everything that stays the same from step to step."""

    def __init__(
        self,
        schema: Schema,
        device: torch.device,
        dtypes: Mapping[str, torch.dtype],
        specialisations: Mapping[str, bool],
        sizes: Sequence[int],
    ) -> None:
        values = tuple(specialisations.values())
        library = load_kernel(schema, tuple(dtypes.values()), values)
        self._step = _function(library.thetac_step)
        self._grad_dtype = dtypes["grad"]
        self._columns = 3 + len(dtypes)
        chunk = ctypes.c_int64.in_dll(library, "thetac_chunk").value
        self._chunks = chunk_table(sizes, chunk)
        self._most_for_norm = -(-sum(sizes) // chunk)
        self._launch = _Launch(
            chunks=self._chunks.data_ptr(),
            n_chunks=len(self._chunks),
            # Separate kernels know them already, and there may be more of them than bits.
            specialisations=0 if schema.separate_kernels else sum(holds << bit for bit, holds in enumerate(values)),
        )
        self._address = ctypes.byref(self._launch)

    def launch(self, tensors: Tensor, rows: Tensor, scaling: Scaling = NONE) -> None:
        launch = self._launch
        launch.rows = rows.data_ptr()
        launch.grad_scale = 1.0 if scaling.grad_scale is None else scaling.grad_scale.item()
        launch.clip = 1.0 if scaling.clip_coefficient is None else scaling.clip_coefficient.item()
        launch.write_back = scaling.grad_scale is not None
        self._use_threads(torch.get_num_threads())  # the kernel takes fewer for small work
        launch.tensors = tensors.data_ptr()
        self._step(self._address)

    def sum_of_squares(self, tensors: Tensor) -> Tensor:
        """Of all gradients, added up in one order whatever the number of threads."""
        norm = _function(load_norm(self._grad_dtype).thetac_sum_of_squares)
        sums = torch.empty(max(len(self._chunks), 1), dtype=torch.float64, device="cpu")
        launch = self._launch
        launch.tensors = tensors.data_ptr()
        self._use_threads(min(torch.get_num_threads(), self._most_for_norm))
        norm(self._address, ctypes.c_int64(self._columns), ctypes.c_void_p(sums.data_ptr()))
        return sums[0]

    def _use_threads(self, number: int) -> None:
        runtime = openmp()
        self._launch.threads = number
        self._launch.parallel = runtime.parallel
        self._launch.thread_number = runtime.thread_number


def _function(function: ctypes._NamedFuncPointer) -> ctypes._NamedFuncPointer:
    function.restype = None
    return function
