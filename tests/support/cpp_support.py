"""Generated C++ kernels, built by the system's compiler into a temporary folder, and called through ctypes.

How the runtime builds and keeps them is its own business and has tests of its own.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from getpass import getuser
from pathlib import Path
from tempfile import gettempdir, mkdtemp

import torch
from torch import Tensor

from tests.support.paths import ROOT
from tests.support.triton_support import Advance, Member, Training, Values, specialised, step_together
from tests.support.views import sees_matrix
from thetac.codegen.passes.analysis.combinations import kernels_are_few
from thetac.codegen.pipeline import Compiled
from thetac.runtime.implementations.cpp_interface import ALL_PASSES, KERNEL, Launch, macros
from thetac.runtime.implementations.tables import shape_table

HEADERS = ROOT / "runtime" / "cpp"
FLAGS = ("-std=c++17", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
REPORT = ("-fopt-info-vec-optimized-missed",)


def _call(step: Callable[[object], None], launch: Launch) -> None:
    step(ctypes.byref(launch))


@dataclass(frozen=True, slots=True)
class Options:
    """What a launch may be told beside its tensors."""

    grad_scale: float = 1.0
    clip: float = 1.0
    write_back: bool = False
    threads: int = 1
    backwards: bool = False  # the last chunk first
    level: str = ""
    headers: Path = HEADERS
    optimised: bool = True
    call: Callable[[Callable[[object], None], Launch], None] = _call


@cache
def compiler() -> str:
    found = shutil.which("g++")
    assert found is not None, "these tests need g++"
    return found


@cache
def levels() -> tuple[str, ...]:
    """The levels of x86-64 that this processor runs."""
    words = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")).split()
    needs = {
        "v2": {"sse4_2", "popcnt"},
        "v3": {"avx2", "f16c", "fma", "bmi2"},
        "v4": {"avx512f", "avx512bw", "avx512vl"},
    }
    return tuple(f"x86-64-{level}" for level, flags in needs.items() if flags <= set(words))


@cache
def _folder() -> Path:
    """One for all processes of a test run: what one of them has built need not be built again."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    folder = Path(gettempdir()) / f"thetac-cpp-{getuser()}-{run}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@dataclass(frozen=True, slots=True)
class Build:
    """A kernels.cpp to be built: for which dtypes of its streams, and how."""

    source: str
    streams: tuple[torch.dtype, ...]
    level: str = ""  # empty: the best one of this processor
    headers: Path = HEADERS
    optimised: bool = True  # else it is built in less time; results are the same
    holds: tuple[bool, ...] | None = None  # values of the specialisations, where an object is made for these alone

    def made(self) -> tuple[Path, str]:
        """The object, and the compiler's report on loops."""
        options = [
            "-O3" if self.optimised else "-O1",
            *FLAGS,
            f"-march={self.level or levels()[-1]}",
            *(f"-D{name}={value}" for name, value in macros(self.streams, self.holds).items()),
            f"-I{self.headers}",
        ]
        texts = [path.read_text(encoding="utf-8") for path in sorted(self.headers.iterdir())]
        key = hashlib.sha256("\0".join((self.source, *texts, *options)).encode()).hexdigest()[:16]
        made, report = _folder() / f"{key}.so", _folder() / f"{key}.txt"
        if not made.exists():
            own = Path(mkdtemp(dir=_folder()))
            (own / "kernels.cpp").write_text(self.source, encoding="utf-8")
            command = [compiler(), *options, *REPORT, "-o", str(own / "made.so"), str(own / "kernels.cpp")]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, "\n".join(re.findall(r"^.*error:.*$", done.stderr, re.MULTILINE))
            report.write_text(done.stderr, encoding="utf-8")
            (own / "made.so").rename(made)
        return made, report.read_text(encoding="utf-8")


@cache
def library(build: Build) -> ctypes.CDLL:
    """The object, loaded."""
    loaded = ctypes.CDLL(str(build.made()[0]))
    loaded.thetac_step.restype = None
    assert ctypes.c_int64.in_dll(loaded, "thetac_abi").value == KERNEL.version
    return loaded


@cache
def openmp() -> tuple[int, int]:
    """The addresses of GOMP_parallel and omp_get_thread_num in the OpenMP runtime that torch has loaded."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = line.split(maxsplit=5)[-1]
        if "libgomp" in path or "libomp" in path or "libiomp" in path:
            runtime = ctypes.CDLL(path)
            functions = (runtime.GOMP_parallel, runtime.omp_get_thread_num)
            parallel, number = (ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions)
            return parallel, number
    raise AssertionError("torch has loaded no OpenMP runtime")


def launch_cpp(
    compiled: Compiled,
    values: Values,
    members: Sequence[Member],
    rows: Sequence[Sequence[float]],
    options: Options = Options(),
    advance: Advance | None = None,
) -> None:
    """A step of parameters of one dtype, each with its own row: one launch, or one between two barriers.

    At each barrier `advance` is given what each parameter adds to each total, and returns the rows for later passes.
    """
    names = (*compiled.fused.streams, *(state.name for state in compiled.fused.small))
    first = {"param": members[0][0], "grad": members[0][1], **members[0][2]}
    dtypes = tuple(first.get(name, first["param"]).dtype for name in names)
    holds = specialised(compiled.fused, values)
    alone = None if kernels_are_few(compiled.fused) else tuple(holds.values())
    source = compiled.files["kernels.cpp"]
    loaded = library(Build(source, dtypes, options.level, options.headers, options.optimised, alone))
    chunk = ctypes.c_int64.in_dll(loaded, "thetac_chunk").value
    table: list[list[int]] = []
    for index, (param, grad, states) in enumerate(members):
        tensors = {"param": param, "grad": grad, **states}
        addresses = [tensors[name].data_ptr() if name in tensors else 0 for name in names]
        table.append([param.numel(), index, all(address % 16 == 0 for address in addresses), *addresses])
    chunks = [(i, number) for i, entry in enumerate(table) for number in range(-(-entry[0] // chunk))]
    chunks = chunks[::-1] if options.backwards else chunks
    tensor_table = torch.tensor(table, dtype=torch.int64)
    chunk_table = torch.tensor(chunks, dtype=torch.int32)
    row_table = torch.tensor(rows, dtype=torch.float64 if dtypes[0] is torch.float64 else torch.float32)
    mask = sum(1 << bit for bit, one in enumerate(compiled.fused.specialisations) if holds[one.name])
    launch = Launch(
        tensor_table.data_ptr(),
        chunk_table.data_ptr(),
        len(chunks),
        row_table.data_ptr(),
        mask,
        options.grad_scale,
        options.clip,
        options.write_back,
        options.threads,
        *(openmp() if options.threads > 1 else (None, None)),
    )
    if hasattr(loaded, "thetac_prepare"):
        prepared = _prepare(loaded, launch, [param for param, _, _ in members], of_matrix=sees_matrix(compiled.rule))
        assert len(prepared) == 2
    totals = compiled.fused.totals
    for passes in sorted({total.passes for total in totals}):
        assert advance is not None
        launch.end_pass = passes
        options.call(loaded.thetac_step, launch)
        terms = torch.empty((len(totals), len(members)), dtype=torch.float64)
        loaded.thetac_terms(ctypes.byref(launch), ctypes.c_void_p(terms.data_ptr()))
        known = [row for row, total in zip(terms.tolist(), totals, strict=True) if total.passes == passes]
        row_table.copy_(torch.tensor(advance(known), dtype=row_table.dtype))
        launch.first_pass, launch.end_pass = passes, ALL_PASSES
    options.call(loaded.thetac_step, launch)


def _prepare(
    loaded: ctypes.CDLL, launch: Launch, params: Sequence[Tensor], *, of_matrix: bool
) -> tuple[Tensor, Tensor]:
    """Give a launch of several passes its shapes and its memory, which live as long as what is returned."""
    loaded.thetac_prepare.restype = ctypes.c_int64
    shapes = shape_table([param.shape for param in params], [param.numel() for param in params], of_matrix=of_matrix)
    launch.n_tensors, launch.shapes, launch.end_pass = len(params), shapes.data_ptr(), ALL_PASSES
    memory = torch.full((loaded.thetac_prepare(ctypes.byref(launch)),), 0xFF, dtype=torch.uint8)
    launch.scratch = memory.data_ptr()
    loaded.thetac_prepare(ctypes.byref(launch))
    return shapes, memory


class CppTraining(Training):
    """The tensors of one parameter, stepped by the C++ kernel too."""

    def step_cpp(self, grad: Tensor, options: Options = Options()) -> None:
        step_together([self], [grad], partial(launch_cpp, self.compiled, self.values, options=options))
