"""Every generated Triton kernel, compiled ahead of time for two GPUs that need not be there, and what came out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.every_optimizer import one_in
from tests.support.paths import ROOT
from tests.support.triton_support import (
    combinations,
    every_spec,
    everything,
    host_value,
    resolved,
    specialised,
    written,
)
from thetac.codegen.ir.fused import Fused

PROGRAM = Path(__file__).parent / "aot" / "compile_kernels.py"
PROCESSES = 2

REGISTERS = {"float32": 72, "float64": 128, "float16": 128, "bfloat16": 128}  # per thread; docs/triton.md says why

Job = dict[str, object]


def jobs() -> list[Job]:
    """float32 for every combination; every dtype for the kernel with the most streams."""
    found: list[Job] = []
    for name, compiled in {**every_spec(), "Everything": everything()}.items():
        fused = compiled.fused
        kernels = list({tuple(s.items()): s for s in (specialised(fused, v) for v in combinations(compiled))}.values())
        largest = max(kernels, key=lambda constants: used(fused, constants, "loaded"))
        variants = [(constants, "float32", "float32", False) for constants in kernels]
        variants += [(largest, dtype, dtype, False) for dtype in ("float64", "float16", "bfloat16")]
        variants.append((largest, "bfloat16", "float32", False))
        variants.append((largest, "float32", "float32", True))
        for constants, dtype, state_dtype, scaled in variants:
            dtypes = {s: dtype if s in ("param", "grad") else state_dtype for s in fused.streams}
            for target in ("sm_90", "gfx942"):
                found.append(
                    {
                        "name": name,
                        "module": str(written(compiled, "triton_kernels.py")),
                        "target": target,
                        "dtypes": dtypes,
                        "specialisations": constants,
                        "scaled": scaled,
                        "loads": used(fused, constants, "loaded"),
                        "stores": used(fused, constants, "stored") + scaled,  # the unscaled gradient is stored
                        "branches": any(isinstance(s, tuple) for one in resolved(fused, constants) for s in one),
                    }
                )
    return found


def used(fused: Fused, constants: Mapping[str, bool], how: str) -> int:
    """How many streams a specialised kernel loads or stores."""
    streams = (stream for one in fused.passes for stream in one.streams)
    return sum(bool(host_value(stream.loaded if how == "loaded" else stream.stored, constants)) for stream in streams)


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
    return f"{job['name']} ({', '.join(on) or 'nothing'} on; {'/'.join(sorted(set(job['dtypes'].values())))})"  # type: ignore[attr-defined]


def errors(job: Job) -> list[str]:
    return [f"{title(job)} for {job['target']}: {job['error']}"] if "error" in job else []


def narrow_accesses(job: Job) -> list[str]:
    """The main path moves 128 bits at once: one access per stream where its dtype is the parameter's.

    A branch on a number of the row may be compiled as copies of all that surrounds it, so there it is the same number
    for each. A float32 state beside a 16-bit parameter takes two accesses.
    """
    if len(set(job["dtypes"].values())) > 1:  # type: ignore[attr-defined]
        return []
    wrong = []
    for what in ("loads", "stores"):
        wanted, found = job[what], job[f"wide_{what}"]
        if not found or found % wanted or (found != wanted and not job["branches"]):  # type: ignore[operator]
            wrong.append(f"{title(job)}: {found} {what} of 128 bits for {wanted} streams")
    return wrong


def spills(job: Job) -> list[str]:
    """No register is spilled, and their number keeps to the bound."""
    wrong = []
    dtype = job["dtypes"]["param"]  # type: ignore[index]
    if job["local"] or (dtype == "float32" and job["stack"]):
        wrong.append(f"{title(job)}: {job['stack']} bytes of stack, {job['local']} of local memory")
    if job["reg"] > REGISTERS[dtype]:  # type: ignore[operator]
        wrong.append(f"{title(job)}: {job['reg']} registers per thread, the bound is {REGISTERS[dtype]}")
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
    assert {job["name"] for job in every} == {*every_spec(), "Everything"}
    wrong = [message for job in results for message in errors(job)]
    for job in results:
        if job["target"] == "sm_90" and "error" not in job:
            wrong += [*narrow_accesses(job), *spills(job), *inexact_operations(job)]
    assert not wrong, "\n".join(wrong)
