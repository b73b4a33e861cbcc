"""Every generated Triton kernel, compiled ahead of time for two GPUs that need not be there, and what came out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

from tests.support.every_optimizer import one_in
from tests.support.fused_by_hand import BY_HAND, written_by_hand
from tests.support.paths import ROOT
from tests.support.triton_support import (
    combinations,
    every_spec,
    everything,
    host_value,
    resolved,
    shapes_of,
    specialised,
    written,
)
from thetac.codegen.ir.fused import ElementAssign, ElementStmt, Fused, Pass, walk_elements
from thetac.codegen.ir.nodes import Call, Const, Expr, names_read, walk_expression
from thetac.runtime.implementations.triton_scratch import Extents, Tile

PROGRAM = Path(__file__).parent / "aot" / "compile_kernels.py"
PROCESSES = 2

# Of a sweep, per thread; docs/triton.md says why. Tiles need more, and tensor programs may have as many as float64.
REGISTERS = {"float32": 72, "float64": 128, "float16": 128, "bfloat16": 128}
OF_TILES, OF_POWERS, OF_PROGRAMS = 128, 128, 128
OF_TILES_OF_16_BITS = 224  # a block has 8 elements per thread, computed in float32

ITEMSIZES = {"float32": 4, "float64": 8, "float16": 2, "bfloat16": 2}
WIDE = Extents(1, 1024, 1024)

Job = dict[str, object]


def jobs() -> list[Job]:
    """float32 for every combination; every dtype for the kernel with the most streams."""
    found: list[Job] = []
    for name, compiled in {**every_spec(), "Everything": everything()}.items():
        every = [values for shape in shapes_of(compiled) for values in combinations(compiled, shape)]
        kernels = [specialised(compiled.fused, values) for values in every]
        found += jobs_of(name, compiled.fused, str(written(compiled, "triton_kernels.py")), kernels)
    for name, fused in BY_HAND.items():
        names = [one.name for one in fused.specialisations]
        kernels = [dict(zip(names, values, strict=True)) for values in product((True, False), repeat=len(names))]
        found += jobs_of(name, fused, str(written_by_hand(name)), kernels)
    return found


def jobs_of(name: str, fused: Fused, module: str, kernels: Sequence[Mapping[str, bool]]) -> list[Job]:
    kernels = list({tuple(s.items()): s for s in kernels}.values())
    largest = max(kernels, key=lambda constants: sum(used(one, constants, "loaded") for one in fused.passes))
    variants = [(constants, "float32", "float32", False) for constants in kernels]
    # With fewer streams there may be vectors instead.
    for every in kernels if fused.has_axes else [largest]:
        variants += [(every, dtype, dtype, False) for dtype in ("float64", "float16", "bfloat16")]
        variants.append((every, "bfloat16", "float32", False))
        variants.append((every, "float32", "float32", True))
    found: list[Job] = []
    for constants, dtype, state_dtype, scaled in variants:
        dtypes = {s: dtype if s in ("param", "grad") else state_dtype for s in fused.streams}
        dtypes |= {state.name: state_dtype for state in fused.small}
        tile = Tile.of(WIDE, ITEMSIZES[dtype])
        constants_of_tiles = {f"tile_{key}": getattr(tile, key) for key in ("matrices", "rows", "columns", "steps")}
        constants_of_tiles |= {"row_alignment": 16 // min(map(ITEMSIZES.__getitem__, dtypes.values()))}
        constants_of_tiles |= {"group_matrices": 1}
        for kernel, facts in kernels_of(fused, constants).items():
            for target in ("sm_90", "gfx942"):
                found.append(
                    {
                        "name": name,
                        "module": module,
                        "kernel": kernel,
                        "target": target,
                        "dtypes": dtypes,
                        "specialisations": constants,
                        "scaled": scaled,
                        "tile": constants_of_tiles,
                        **facts,
                        # The first sweep stores the unscaled gradient.
                        "loads": facts["loads"] + (scaled and kernel == "kernel" and not facts["gradient"]),
                        "stores": facts["stores"] + (scaled and kernel == "kernel"),
                        "branches": any(isinstance(s, tuple) for one in resolved(fused, constants) for s in one),
                    }
                )
    return found


def kernels_of(fused: Fused, constants: Mapping[str, bool]) -> dict[str, dict[str, int]]:
    """The kernels of a rule by name: how many streams each loads and stores, with how many warps it runs."""
    dims = {value.name: value.dims for value in fused.tensor_values}
    found: dict[str, dict[str, int]] = {}
    folds = False
    for index, one in enumerate(fused.passes):
        suffix = f"_{index}" if index else ""
        if one.before or folds:
            found[f"tensor_program{suffix}"] = {
                "loads": 0,
                "stores": 0,
                "gradient": 0,
                "warps": 8,
                "tiled": False,
                "powers": False,
            }
        moved = [use for stream in one.streams for use in (stream.loaded, stream.stored)]
        if any(use != Const(False) for use in moved):
            loads, stores = len(live_loads(one, constants)), used(one, constants, "stored")
            tiled = any(dims[name] is not None for name in (*one.reads, *(fold.target for fold in one.folds)))
            values = [step.value for step in walk_elements(one.body) if isinstance(step, ElementAssign)]
            gradient = "grad" in live_loads(one, constants)
            found[f"kernel{suffix}"] = {
                "loads": loads,
                "stores": stores,
                "gradient": gradient,
                "warps": 4,
                "tiled": tiled,
                "powers": any(_is_power(part) for value in values for part in walk_expression(value)),
            }
        folds = bool(one.folds)
    return found


def _is_power(part: Expr) -> bool:
    return isinstance(part, Call) and part.op in ("pow", "atan2")  # sequences of many operations


def live_loads(one: Pass, constants: Mapping[str, bool]) -> set[str]:
    """The streams that a specialised sweep loads, and of which something comes: the compiler leaves out the others."""
    stored = {stream.name for stream in one.streams if host_value(stream.stored, constants)}
    needed = {fold.value for fold in one.folds if host_value(fold.needed, constants)}
    live = _read_before(one.body, constants, stored | needed)
    return {stream.name for stream in one.streams if host_value(stream.loaded, constants) and stream.name in live}


def _read_before(body: Sequence[ElementStmt], constants: Mapping[str, bool], live: set[str]) -> set[str]:
    """The names whose values before some statements matter, if those of `live` matter behind them."""
    for statement in reversed(body):
        if isinstance(statement, ElementAssign):
            if statement.target in live:
                live = live - {statement.target} | set(names_read(statement.value))
        elif statement.static:
            taken = statement.then if host_value(statement.condition, constants) else statement.orelse
            live = _read_before(taken, constants, live)
        else:
            sides = [_read_before(side, constants, live) for side in (statement.then, statement.orelse)]
            live = sides[0] | sides[1] | set(names_read(statement.condition))
    return live


def used(one: Pass, constants: Mapping[str, bool], how: str) -> int:
    """How many streams a specialised sweep loads or stores."""
    conditions = (stream.loaded if how == "loaded" else stream.stored for stream in one.streams)
    return sum(bool(host_value(condition, constants)) for condition in conditions)


def compiled_ahead(folder: Path, every: list[Job]) -> list[Job]:
    """The jobs with what compiling them gave, done by two processes in which Triton's interpreter is off."""
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment |= {"PYTHONPATH": str(ROOT), "TRITON_CACHE_DIR": str(folder / "cache")}
    processes = []
    for index in range(PROCESSES):
        file = folder / f"jobs{index}.json"
        file.write_text(json.dumps(every[index::PROCESSES]))
        command = [sys.executable, str(PROGRAM), str(file)]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
    found: list[Job] = []
    for process in processes:
        output, _ = process.communicate()
        assert process.returncode == 0, "the compiling program failed; its messages are above"
        found += json.loads(output)
    assert len(found) == len(every)
    return found


def title(job: Job) -> str:
    on = [name for name, value in job["specialisations"].items() if value]  # type: ignore[attr-defined]
    if job["scaled"]:
        on.append("unscaled and clipped gradients")
    dtypes = "/".join(sorted(set(job["dtypes"].values())))  # type: ignore[attr-defined]
    return f"{job['kernel']} of {job['name']} ({', '.join(on) or 'nothing'} on; {dtypes})"


def errors(job: Job) -> list[str]:
    return [f"{title(job)} for {job['target']}: {job['error']}"] if "error" in job else []


def narrow_accesses(job: Job) -> list[str]:
    """The main path moves 128 bits at once: one access per stream where its dtype is the parameter's.

    A branch on a number of the row may be compiled as copies of all that surrounds it, and so may a loop over a tile;
    there it is the same number for each. A float32 state beside a 16-bit parameter takes two accesses.
    """
    if len(set(job["dtypes"].values())) > 1:  # type: ignore[attr-defined]
        return []
    wrong = []
    for what in ("loads", "stores"):
        wanted, found = job[what], job[f"wide_{what}"]
        if wanted and (not found or found % wanted or (found != wanted and not (job["branches"] or job["tiled"]))):  # type: ignore[operator]
            wrong.append(f"{title(job)}: {found} {what} of 128 bits for {wanted} streams")
    return wrong


def spills(job: Job) -> list[str]:
    """No register is spilled, and their number keeps to the bound. A division that is called may use the stack."""
    wrong = []
    dtype = job["dtypes"]["param"]  # type: ignore[index]
    is_program = str(job["kernel"]).startswith("tensor_program")  # in float64
    may_call = is_program or dtype != "float32" or job["name"] == "Unusual"
    if job["local"] or (job["stack"] and not may_call):
        wrong.append(f"{title(job)}: {job['stack']} bytes of stack, {job['local']} of local memory")
    of_tiles = OF_TILES if ITEMSIZES[dtype] > 2 else OF_TILES_OF_16_BITS
    bound = OF_PROGRAMS if is_program else max(REGISTERS[dtype], job["tiled"] and of_tiles, job["powers"] and OF_POWERS)
    if job["reg"] > bound:  # type: ignore[operator]
        wrong.append(f"{title(job)}: {job['reg']} registers per thread, the bound is {bound}")
    return wrong


def inexact_operations(job: Job) -> list[str]:
    """No product and sum in one instruction, no division or root that is only nearly right."""
    found = {*job["fused"], *job["approximate"]}  # type: ignore[misc]
    return [f"{title(job)}: {sorted(found)}"] if found else []


def test_every_kernel_compiles_to_what_it_should(tmp_path: Path) -> None:
    """One test for all of it: what takes the time is compiling. Without --all it is one kernel in 21: both targets."""
    every = jobs()
    results = compiled_ahead(tmp_path, one_in(21, every))
    assert {job["target"] for job in every} == {"sm_90", "gfx942"}
    assert {job["name"] for job in every} == {*every_spec(), "Everything", *BY_HAND}
    wrong = [message for job in results for message in errors(job)]
    for job in results:
        if job["target"] == "sm_90" and "error" not in job:
            wrong += [*narrow_accesses(job), *spills(job), *inexact_operations(job)]
    assert not wrong, "\n".join(wrong)
