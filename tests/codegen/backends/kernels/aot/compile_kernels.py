"""Compile Triton kernels ahead of time, without a GPU, and say what came out.

Run as a program, in a process of its own: where TRITON_INTERPRET is set, kernels cannot be compiled. Input: lines of
JSON, each a list of {module, kernel, target, dtypes, specialisations, scaled, tile}. Output: for each line one with the
same list, findings added.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from thetac.runtime.implementations.tables import HEADER

TARGETS = {"sm_90": GPUTarget("cuda", 90, 32), "gfx942": GPUTarget("hip", "gfx942", 64)}
DTYPES = {"float32": tl.float32, "float64": tl.float64, "float16": tl.float16, "bfloat16": tl.bfloat16}
CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"


def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compile_kernel(module: ModuleType, job: dict[str, Any]) -> Any:
    kernel = getattr(module, job["kernel"])
    dtypes: dict[str, str] = job["dtypes"]
    options = {**module.LAUNCH_OPTIONS, "num_warps": job["warps"]}
    constants = {f"{stream}_dtype": DTYPES[dtype] for stream, dtype in dtypes.items()}
    constants |= {"header": HEADER, "chunk_size": module.CHUNK, "threads": 32 * job["warps"]}
    constants |= {**job["specialisations"], **job["tile"]}
    number = "fp64" if dtypes["param"] == "float64" else "fp32"
    pointers = {"tensors": "*i64", "chunks": "*i32", "rows": f"*{number}", "geometry": "*i64"}
    pointers |= dict.fromkeys(("numbers", "vectors", "partials"), "*fp64") | {"vector_partials": f"*{number}"}
    scaling = {"grad_scale": "*fp32", "clip_factor": "*fp32", "found_inf": "*fp32"}
    if job["scaled"]:
        pointers |= scaling
    else:
        constants |= dict.fromkeys(scaling)
    signature = {name: pointers.get(name, "constexpr") for name in kernel.arg_names}
    constants = {name: value for name, value in constants.items() if name in kernel.arg_names}
    source = ASTSource(kernel, signature=signature, constexprs=constants)
    return triton.compile(source, target=TARGETS[job["target"]], options=options)


def resources(cubin: bytes, scratch: Path) -> dict[str, int]:
    """Registers per thread, and bytes of stack and local memory, where spilled registers go."""
    scratch.write_bytes(cubin)
    usage = subprocess.run([CUOBJDUMP, "-res-usage", scratch], capture_output=True, text=True, check=True).stdout
    return {name.lower(): int(re.search(rf"\b{name}:(\d+)", usage)[1]) for name in ("REG", "STACK", "LOCAL")}  # type: ignore[index]


def findings(module: ModuleType, job: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Return what a compiled kernel is made of, or the error with which compiling it ends."""
    try:
        compiled = compile_kernel(module, job)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    if job["target"] != "sm_90":
        return {"code": len(compiled.asm["hsaco"])}
    ptx = compiled.asm["ptx"]
    return {
        "wide_loads": len(re.findall(r"\bld\.global(?:\.\w+)*\.(?:v4\.b32|v2\.b64)", ptx)),
        "wide_stores": len(re.findall(r"\bst\.global(?:\.\w+)*\.(?:v4\.b32|v2\.b64)", ptx)),
        "fused": re.findall(r"\bfma\.\S+", ptx),
        "approximate": re.findall(r"\b(?:div|sqrt|rcp|ex2|lg2)\.(?:approx|full)\S*", ptx),
        **resources(compiled.asm["cubin"], scratch),
    }


def main(scratch: Path) -> None:
    for line in sys.stdin:
        jobs = json.loads(line)
        modules = {path: load(path) for path in sorted({job["module"] for job in jobs})}
        print(json.dumps([job | findings(modules[job["module"]], job, scratch) for job in jobs]), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
