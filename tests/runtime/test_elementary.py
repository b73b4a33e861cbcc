"""Exponentials, logarithms, powers, roots and angles: accurate, IEEE 754 at every edge, and the same bits everywhere.

NumPy's functions in a wider type are the control: float64 for float32, and for float64 the 64 bits of an x86 processor.
"""

from __future__ import annotations

import ctypes
import platform
import re
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from numpy.typing import NDArray

from tests.references.elements import ELEMENTS
from tests.support.cpp_support import FLAGS, HEADERS, compiler, levels
from thetac.codegen.backends.kernels.cpp_tables import CPP
from thetac.codegen.backends.kernels.triton_expressions import TRITON
from thetac.codegen.ir.ops import ELEMENT_FUNCTIONS, OPS
from thetac.runtime import triton_ops

Array = NDArray[np.floating]

EXACT = {"sqrt", "abs", "sign", "lerp", "maximum", "minimum", "clamp", "where"}  # of few roundings, tested elsewhere
NAMES = [op.name for op in ELEMENT_FUNCTIONS if op.name not in EXACT] + ["pow"]
BOUNDS = {"exp": 1.0, "log": 1.0, "pow": 1.0, "cbrt": 1.2, "rsqrt": 1.5}  # in units in the last place; others 2
SPECIAL = (
    *(0.0, 1.0, 0.5, 2.0, 3.0, 1 / 3, 2.5, np.inf, np.nan, 1e5, 1e6 + 1, 16777217.0, 9007199254740993.0),
    *(88.7, 88.8, 103.9, 104.1, 709.7, 709.8, 745.1, 745.2, 0.625),
)
COUNT = 60_000
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def numbers(dtype: type[np.floating], seed: int, count: int) -> Array:
    """Numbers of every magnitude, and more of those around 0 and 1."""
    draw = np.random.default_rng(seed)
    word = np.uint32 if dtype is np.float32 else np.uint64
    every = draw.integers(0, np.iinfo(word).max, count // 3, dtype=word, endpoint=True).view(dtype)
    usual = draw.standard_normal(count // 3) * 10.0 ** draw.uniform(-8, 3, count // 3)
    near_one = 1 + draw.standard_normal(count - 2 * (count // 3)) * 10.0 ** draw.uniform(
        -16, -1, count - 2 * (count // 3)
    )
    found = np.concatenate([every, usual.astype(dtype), near_one.astype(dtype)])
    return draw.permutation(found)


def special(dtype: type[np.floating]) -> Array:
    limits = np.finfo(dtype)
    found = np.array([*SPECIAL, limits.tiny, limits.smallest_subnormal, limits.max], dtype=dtype)
    return np.concatenate([found, -found])


@cache
def arguments(name: str, dtype: type[np.floating]) -> tuple[Array, ...]:
    edges = special(dtype)
    if OPS[name].arity == 1:
        return (np.concatenate([edges, numbers(dtype, 0, COUNT)]),)
    first, second = numbers(dtype, 0, COUNT), numbers(dtype, 1, COUNT)
    with np.errstate(all="ignore"):
        logs = np.log(np.abs(first.astype(float)))
        moderate = np.where(np.isfinite(logs) & (logs != 0), 300 * np.tanh(second) / logs, 1).astype(dtype)
    grid = np.meshgrid(edges, edges)
    return (
        np.concatenate([grid[0].ravel(), first, np.abs(first)]),
        np.concatenate([grid[1].ravel(), second, moderate if name == "pow" else first * dtype(0.7)]),
    )


SOURCE = '#include "elements.h"\nusing namespace thetac;\n'


@cache
def library(level: str) -> tuple[ctypes.CDLL, str]:
    """Every function in a loop over arrays, compiled for a level of x86-64, and what the compiler vectorized."""
    text = SOURCE
    for name in NAMES:
        inputs = ["a", "b"][: OPS[name].arity]
        value = CPP[name].template.format(*(f"{array}[i]" for array in inputs))
        for number in ("float", "double"):
            parameters = ", ".join(f"const {number}* __restrict {array}" for array in inputs)
            text += f'extern "C" void {name}_{number}({parameters}, {number}* __restrict out, long count) {{\n'
            text += f"    THETAC_VECTORIZE for (long i = 0; i < count; ++i) out[i] = {value};  // {name} {number}\n}}\n"
    folder = Path(mkdtemp(prefix="thetac-elementary-"))
    (folder / "loops.cpp").write_text(text)
    march = [f"-march={level}"] if level else []
    command = [compiler(), *FLAGS, "-O3", *march, "-I", HEADERS, "-fopt-info-vec", "loops.cpp", "-o", "loops.so"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return ctypes.CDLL(str(folder / "loops.so")), done.stdout + done.stderr


def of_cpp(name: str, level: str, inputs: tuple[Array, ...]) -> Array:
    out = np.empty_like(inputs[0])
    function = getattr(library(level)[0], f"{name}_{'float' if out.dtype == np.float32 else 'double'}")
    function(*(ctypes.c_void_p(array.ctypes.data) for array in (*inputs, out)), ctypes.c_long(out.size))
    return out


@triton.jit
def _loop(a, b, out, count, function: tl.constexpr, arity: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < count
    if arity == 1:
        value = function(tl.load(a + offsets, mask=mask))
    else:
        value = function(tl.load(a + offsets, mask=mask), tl.load(b + offsets, mask=mask))
    tl.store(out + offsets, value, mask=mask)


def of_triton(name: str, inputs: tuple[Array, ...]) -> Array:
    tensors = [torch.from_numpy(array) for array in inputs]
    out = torch.empty_like(tensors[0])
    function = getattr(triton_ops, TRITON[name].template.split("(")[0].removeprefix("ops."))
    with np.errstate(all="ignore"):
        _loop[(1,)](
            tensors[0], tensors[-1], out, out.numel(), function, len(inputs), triton.next_power_of_2(out.numel())
        )
    return out.numpy()


def assert_same_bits(one: Array, other: Array) -> None:
    word = np.uint32 if one.dtype == np.float32 else np.uint64
    np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
    finite = ~np.isnan(one)
    np.testing.assert_array_equal(one[finite].view(word), other[finite].view(word))


@DTYPES
@pytest.mark.parametrize("name", NAMES)
def test_functions_of_elements_are_accurate(name: str, dtype: type[np.floating]) -> None:
    if dtype is np.float64 and platform.machine() != "x86_64":
        pytest.skip("NumPy has no wider type there")
    inputs = arguments(name, dtype)
    got = of_cpp(name, "", inputs)
    wide = np.float64 if dtype is np.float32 else np.longdouble
    with np.errstate(all="ignore"):
        exact = ELEMENTS.operations[name](*(array.astype(wide) for array in inputs))
        wanted = exact.astype(dtype)
        units = np.abs(got.astype(wide) - exact) / np.spacing(np.abs(wanted)).astype(wide)
    same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
    finite = np.isfinite(got) & np.isfinite(wanted)
    assert (same | finite).all(), [
        (*(a[i] for a in inputs), got[i], wanted[i]) for i in np.flatnonzero(~(same | finite))[:3]
    ]
    assert (np.signbit(got) == np.signbit(wanted))[~np.isnan(wanted)].all()
    worst = int(np.argmax(np.where(finite, units, 0)))
    assert units[worst] <= BOUNDS.get(name, 2.0), (*(a[worst] for a in inputs), got[worst], exact[worst])


@DTYPES
@pytest.mark.parametrize("name", NAMES)
def test_bits_are_the_same_at_every_level_and_in_triton(name: str, dtype: type[np.floating]) -> None:
    inputs = arguments(name, dtype)
    expected = of_cpp(name, "", inputs)
    for level in levels():
        assert_same_bits(of_cpp(name, level, inputs), expected)
    assert_same_bits(of_triton(name, inputs), expected)


@pytest.mark.parametrize("level", ["", *levels()])
def test_loops_over_them_are_vector_code(level: str) -> None:
    report = library(level)[1]
    lines = len(SOURCE.splitlines())
    vectorized = {int(line) for line in re.findall(r"loops\.cpp:(\d+):\d+: optimized: loop vectorized", report)}
    assert vectorized == {lines + 3 * index + 2 for index in range(2 * len(NAMES))}
