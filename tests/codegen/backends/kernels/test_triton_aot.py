"""Every generated Triton kernel, compiled ahead of time for two GPUs that need not be there, and what came out."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations as combinations_of
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.support.every_optimizer import one_in
from tests.support.fused_by_hand import BY_HAND, written_by_hand
from tests.support.paths import ROOT
from tests.support.triton_support import (
    combinations,
    every_spec,
    everything,
    host_value,
    resolved,
    resolved_program,
    shapes_of,
    specialised,
    written,
)
from thetac.codegen.backends.kernels.triton_sweeps import CHUNK
from thetac.codegen.ir.fused import ElementAssign, Fused, Pass, walk_elements
from thetac.codegen.ir.nodes import Call, Const, Expr, walk_expression
from thetac.runtime.implementations.triton_scratch import Extents, Tile

PROGRAM = Path(__file__).parent / "aot" / "compile_kernels.py"

# Registers per thread; docs/triton.md says why. Tensor programs may have as many as float64.
REGISTERS = {"float32": 72, "float64": 128, "float16": 128, "bfloat16": 128}
OF_TILES, OF_POWERS, OF_PROGRAMS = 128, 128, 128
OF_TILES_OF_16_BITS = 224  # a block has 8 elements per thread, computed in float32
OF_A_MULTIPROCESSOR = 65536
# Bytes that the threads of a multiprocessor wait for at a time: AdamW's of four streams with 72 registers, and what
# 800 ns of latency need of each of 132 multiprocessors at 4.8 TB/s.
OF_ADAMW = 7 * 128 * 4 * 16
OF_LATENCY = 4.8e12 * 800e-9 / 132

ITEMSIZES = {"float32": 4, "float64": 8, "float16": 2, "bfloat16": 2}
WIDE = Extents(1, 1024, 1024)

TARGETS = ("sm_90", "gfx942")

Job = dict[str, Any]
Facts = dict[str, Any]


def rules() -> tuple[str, ...]:
    """The names of the rules: those of this checkout, and those that are made for tests."""
    return (*every_spec(), "Everything", *(f"{name} by hand" for name in BY_HAND))


def jobs(name: str) -> list[Job]:
    """What to compile of a rule: float32 for every combination, every dtype for some, on AMD for one; nothing twice."""
    if name.endswith(" by hand"):
        name = name.removesuffix(" by hand")
        fused, module = BY_HAND[name], written_by_hand(name)
        names = [one.name for one in fused.specialisations]
        kernels = [dict(zip(names, values, strict=True)) for values in product((True, False), repeat=len(names))]
    else:
        compiled = everything() if name == "Everything" else every_spec()[name]
        fused, module = compiled.fused, written(compiled, "triton_kernels.py")
        every = [values for shape in shapes_of(compiled) for values in combinations(compiled, shape)]
        kernels = [specialised(fused, values) for values in every]
    kernels = list({tuple(s.items()): s for s in kernels}.values())
    largest = max(kernels, key=lambda constants: sum(len(used(one, constants, "loaded")) for one in fused.passes))
    variants = [(constants, "float32", "float32", False) for constants in kernels]
    # With fewer streams there may be vectors instead.
    for some in [largest, *(pairwise(kernels) if fused.has_axes else [])]:
        variants += [(some, dtype, dtype, False) for dtype in ("float64", "float16", "bfloat16")]
        variants.append((some, "bfloat16", "float32", False))
        variants.append((some, "float32", "float32", True))
    found: dict[object, Job] = {}
    for constants, dtype, state_dtype, scaled in variants:
        targets = TARGETS if constants is largest or (dtype == "float32" and not scaled) else TARGETS[:1]
        dtypes = {s: dtype if s in ("param", "grad") else state_dtype for s in fused.streams}
        dtypes |= {state.name: state_dtype for state in fused.small}
        tile = Tile.of(WIDE, ITEMSIZES[dtype])
        constants_of_tiles = {f"tile_{key}": getattr(tile, key) for key in ("matrices", "rows", "columns", "steps")}
        constants_of_tiles |= {"row_alignment": 16 // min(map(ITEMSIZES.__getitem__, dtypes.values()))}
        constants_of_tiles |= {"group_matrices": 1}
        for kernel, (text, facts) in kernels_of(fused, constants).items():
            # A program knows the dtypes of small states, the largest tiles, and whether the row is float64.
            known = dtypes if facts["sweeps"] else {state.name: state_dtype for state in fused.small}
            of_dtypes = (*known.items(), fused.has_axes and ITEMSIZES[dtype], dtype == "float64")
            for target in targets:
                found.setdefault(
                    (kernel, target, text, of_dtypes, scaled),
                    {
                        "name": name,
                        "module": str(module),
                        "kernel": kernel,
                        "target": target,
                        "dtypes": dtypes,
                        "specialisations": constants,
                        "scaled": scaled,
                        "tile": constants_of_tiles,
                        **facts,
                        "in_flight": sum(16 * ITEMSIZES[dtypes[s]] // ITEMSIZES[dtype] for s in facts["loaded"]),
                        # The first sweep stores the unscaled gradient.
                        "loads": len(facts["loaded"])
                        + (scaled and kernel == "kernel" and "grad" not in facts["loaded"]),
                        "stores": len(facts["stored"]) + (scaled and kernel == "kernel"),
                        "branches": any(isinstance(s, tuple) for one in resolved(fused, constants) for s in one),
                    },
                )
    return list(found.values())


def pairwise(kernels: Sequence[Mapping[str, bool]]) -> list[Mapping[str, bool]]:
    """Some of the kernels, among which each two conditions have every pair of values that they have in any kernel."""
    pairs_of = [set(combinations_of(sorted(constants.items()), 2)) or {()} for constants in kernels]
    left = set().union(*pairs_of)
    chosen = []
    while left:
        best = max(range(len(kernels)), key=lambda index: len(pairs_of[index] & left))
        chosen.append(kernels[best])
        left -= pairs_of[best]
    return chosen


def kernels_of(fused: Fused, constants: Mapping[str, bool]) -> dict[str, tuple[object, Facts]]:
    """The kernels of a rule by name: what decides their text, and how many streams each moves with how many warps.

    Specialisations that leave the same statements, loads, stores and sums leave the same kernel.
    """
    dims = {value.name: value.dims for value in fused.tensor_values}
    needed = tuple(bool(host_value(fold.needed, constants)) for one in fused.passes for fold in one.folds)
    small = tuple(bool(host_value(how, constants)) for state in fused.small for how in (state.loaded, state.stored))
    found: dict[str, tuple[object, Facts]] = {}
    folds = False
    for index, (one, statements) in enumerate(zip(fused.passes, resolved(fused, constants), strict=True)):
        suffix = f"_{index}" if index else ""
        if one.before or folds:
            found[f"tensor_program{suffix}"] = (
                (needed, small, resolved_program(one, constants)),
                {"loaded": [], "stored": [], "sweeps": False, "warps": 8, "tiled": False, "powers": False},
            )
        moved = [use for stream in one.streams for use in (stream.loaded, stream.stored)]
        if any(use != Const(False) for use in moved):
            tiled = any(dims[name] is not None for name in (*one.reads, *(fold.target for fold in one.folds)))
            values = [step.value for step in walk_elements(one.body) if isinstance(step, ElementAssign)]
            found[f"kernel{suffix}"] = (
                (needed, tuple(bool(host_value(use, constants)) for use in moved), statements),
                {
                    "loaded": used(one, constants, "loaded"),
                    "stored": used(one, constants, "stored"),
                    "sweeps": True,
                    "warps": 4,
                    "tiled": tiled,
                    "powers": any(_is_power(part) for value in values for part in walk_expression(value)),
                },
            )
        folds = bool(one.folds)
    return found


def _is_power(part: Expr) -> bool:
    return isinstance(part, Call) and part.op in ("pow", "atan2")  # sequences of many operations


def used(one: Pass, constants: Mapping[str, bool], how: str) -> list[str]:
    """The streams that a specialised sweep loads or stores."""
    conditions = {stream.name: stream.loaded if how == "loaded" else stream.stored for stream in one.streams}
    return [name for name, condition in conditions.items() if host_value(condition, constants)]


@pytest.fixture(scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[list[Job]], list[Job]]]:
    """A program in which Triton's interpreter is off; it gives jobs back with what compiling them gave."""
    folder = tmp_path_factory.mktemp("ahead")
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment |= {"PYTHONPATH": str(ROOT), "TRITON_CACHE_DIR": str(folder / "cache")}
    command = [sys.executable, str(PROGRAM), str(folder / "scratch.cubin")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdin is not None
    assert process.stdout is not None
    requests, answers = process.stdin, process.stdout

    def compiled_ahead(every: list[Job]) -> list[Job]:
        requests.write(json.dumps(every) + "\n")
        requests.flush()
        answer = answers.readline()
        assert answer, "the compiling program failed; its messages are above"
        found: list[Job] = json.loads(answer)
        assert len(found) == len(every)
        return found

    yield compiled_ahead
    requests.close()
    assert process.wait() == 0


def title(job: Job) -> str:
    on = [name for name, value in job["specialisations"].items() if value]
    if job["scaled"]:
        on.append("unscaled and clipped gradients")
    dtypes = "/".join(sorted(set(job["dtypes"].values())))
    return f"{job['kernel']} of {job['name']} ({', '.join(on) or 'nothing'} on; {dtypes})"


def errors(job: Job) -> list[str]:
    return [f"{title(job)} for {job['target']}: {job['error']}"] if "error" in job else []


def narrow_accesses(job: Job) -> list[str]:
    """The main path moves 128 bits at once: one access per stream where its dtype is the parameter's.

    A branch on a number of the row may be compiled as copies of all that surrounds it, and so may a loop over a tile;
    there it is the same number for each. The loop over a chunk may be unrolled if little is in it: whole, then. A
    float32 state beside a 16-bit parameter takes two accesses.
    """
    if len(set(job["dtypes"].values())) > 1:
        return []
    blocks = CHUNK * ITEMSIZES[job["dtypes"]["param"]] // (128 * 16)  # of a chunk
    wrong = []
    for what in ("loads", "stores"):
        wanted, found = job[what], job[f"wide_{what}"]
        copied = bool(found) and not found % wanted and (job["branches"] or job["tiled"]) if wanted else True
        if not copied and found not in (wanted, blocks * wanted):
            wrong.append(f"{title(job)}: {found} {what} of 128 bits for {wanted} streams")
    return wrong


def spills(job: Job) -> list[str]:
    """No register is spilled, and their number keeps to the bound. A division that is called may use the stack."""
    wrong = []
    may_call = not job["sweeps"] or job["dtypes"]["param"] != "float32" or job["name"] == "Unusual"  # float64
    if job["local"] or (job["stack"] and not may_call):
        wrong.append(f"{title(job)}: {job['stack']} bytes of stack, {job['local']} of local memory")
    bound = most_registers(job)
    if job["reg"] > bound:
        wrong.append(f"{title(job)}: {job['reg']} registers per thread, the bound is {bound}")
    return wrong


def most_registers(job: Job) -> int:
    """The bound on registers per thread, from what a kernel moves and computes."""
    if not job["sweeps"]:
        return OF_PROGRAMS
    dtype = job["dtypes"]["param"]
    bound = REGISTERS[dtype]
    if job["tiled"]:
        return max(bound, OF_TILES if ITEMSIZES[dtype] > 2 else OF_TILES_OF_16_BITS)
    if job["powers"]:
        return max(bound, OF_POWERS, registers_for(OF_LATENCY, job) if ITEMSIZES[dtype] == 2 else 0)
    return max(bound, registers_for(OF_ADAMW, job) if dtype == "float32" else 0)


def registers_for(in_flight: float, job: Job) -> int:
    """How many registers leave room for the programs whose loads are so many bytes at a time."""
    programs = math.ceil(in_flight / (128 * job["in_flight"])) if job["in_flight"] else 16
    return min(255, OF_A_MULTIPROCESSOR // (128 * programs) // 8 * 8)


def inexact_operations(job: Job) -> list[str]:
    """No product and sum in one instruction, no division or root that is only nearly right."""
    found = {*job["fused"], *job["approximate"]}
    return [f"{title(job)}: {sorted(found)}"] if found else []


@pytest.mark.parametrize("rule", rules())
def test_every_kernel_compiles_to_what_it_should(rule: str, compiler: Callable[[list[Job]], list[Job]]) -> None:
    """Without --all it is one kernel in 21, the first among them: both targets."""
    every = jobs(rule)
    assert {job["target"] for job in every} == {"sm_90", "gfx942"}
    results = compiler(one_in(21, every))
    wrong = [message for job in results for message in errors(job)]
    for job in results:
        if job["target"] == "sm_90" and "error" not in job:
            wrong += [*narrow_accesses(job), *spills(job), *inexact_operations(job)]
    assert not wrong, "\n".join(wrong)
