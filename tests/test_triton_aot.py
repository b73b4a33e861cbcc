"""Every generated Triton kernel, compiled ahead of time for two GPUs that need not be there, and what came out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from triton_support import combinations, every_spec, everything, host_value, resolved, specialised, written

from thetac.codegen.ir.fused import Stream

ROOT = Path(__file__).parents[1]
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
        largest = max(kernels, key=lambda constants: used(fused.streams, constants, "loaded"))
        variants = [(constants, "float32", "float32") for constants in kernels]
        variants += [(largest, dtype, dtype) for dtype in ("float64", "float16", "bfloat16")]
        variants.append((largest, "bfloat16", "float32"))
        for constants, dtype, state_dtype in variants:
            dtypes = {s.name: dtype if s.name in ("param", "grad") else state_dtype for s in fused.streams}
            for target in ("sm_90", "gfx942"):
                found.append(
                    {
                        "name": name,
                        "module": str(written(compiled, "triton_kernels.py")),
                        "target": target,
                        "dtypes": dtypes,
                        "specialisations": constants,
                        "loads": used(fused.streams, constants, "loaded"),
                        "stores": used(fused.streams, constants, "stored"),
                        "branches": any(isinstance(s, tuple) for s in resolved(fused.body, constants)),
                    }
                )
    return found


def used(streams: Sequence[Stream], constants: Mapping[str, bool], how: str) -> int:
    """How many streams a specialised kernel loads or stores."""
    return sum(bool(host_value(stream.loaded if how == "loaded" else stream.stored, constants)) for stream in streams)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Job]:
    folder = tmp_path_factory.mktemp("aot")
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment |= {"PYTHONPATH": str(ROOT), "TRITON_CACHE_DIR": str(folder / "cache")}
    every, processes = jobs(), []
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
    return f"{job['name']} ({', '.join(on) or 'nothing'} on; {'/'.join(sorted(set(job['dtypes'].values())))})"  # type: ignore[attr-defined]


def test_every_kernel_compiles_for_both_targets(results: list[Job]) -> None:
    errors = [f"{title(job)} for {job['target']}: {job['error']}" for job in results if "error" in job]
    assert not errors, "\n".join(errors)
    assert {job["target"] for job in results} == {"sm_90", "gfx942"}
    assert {job["name"] for job in results} == {*every_spec(), "Everything"}


def test_the_main_path_moves_128_bits_at_once_for_every_stream(results: list[Job]) -> None:
    """One such access per stream and thread where the dtype of storage is that of the parameter.

    A branch on a number of the row may be compiled as copies of all that surrounds it, so there it is the same number
    for each. A float32 state beside a 16-bit parameter takes two accesses.
    """
    wrong = []
    for job in results:
        dtypes = set(job["dtypes"].values())  # type: ignore[attr-defined]
        if job["target"] != "sm_90" or len(dtypes) > 1:
            continue
        for what, wanted, found in (
            ("load", job["loads"], job["wide_loads"]),
            ("store", job["stores"], job["wide_stores"]),
        ):
            if found % wanted or (found != wanted and not job["branches"]) or not found:  # type: ignore[operator]
                wrong.append(f"{title(job)}: {found} {what}s of 128 bits for {wanted} streams")
    assert not wrong, "\n".join(wrong)


def test_nothing_is_spilled_and_registers_keep_to_the_bound(results: list[Job]) -> None:
    wrong = []
    for job in results:
        if job["target"] != "sm_90":
            continue
        dtype = job["dtypes"]["param"]  # type: ignore[index]
        if job["local"] or (dtype == "float32" and job["stack"]):
            wrong.append(f"{title(job)}: {job['stack']} bytes of stack, {job['local']} of local memory")
        if job["reg"] > REGISTERS[dtype]:  # type: ignore[operator]
            wrong.append(f"{title(job)}: {job['reg']} registers per thread, the bound is {REGISTERS[dtype]}")
    assert not wrong, "\n".join(wrong)


def test_every_operation_rounds_on_its_own(results: list[Job]) -> None:
    """No product and sum in one instruction, no division or root that is only nearly right."""
    wrong = [
        f"{title(job)}: {sorted({*job['fused'], *job['approximate']})}"  # type: ignore[misc]
        for job in results
        if job["target"] == "sm_90" and (job["fused"] or job["approximate"])
    ]
    assert not wrong, "\n".join(wrong)
