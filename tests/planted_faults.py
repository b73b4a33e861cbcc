"""Plants faults in a copy of the repository, one at a time, and says which test finds each.

    python -m tests.planted_faults [NAME ...] [--whole] [--all]

The repository itself is not changed. For each fault the tests that CONTRIBUTING.md names for the module run, as
`make test` runs them, until one fails; with `--whole` all of `make test`, with `--all` every optimizer, too. A fault in
the compiler is followed by `generate`. Ends with an error if a fault is not found.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT


@dataclass(frozen=True, slots=True)
class Fault:
    """A text that stands once in a file of the source, and what to put there instead."""

    name: str
    path: str
    right: str
    wrong: str
    tests: tuple[str, ...]  # below tests/: files, folders or single tests, the likeliest first


FAULTS = (
    Fault(
        "a range that ends with ) has its end",
        "codegen/frontend/ranges.py",
        'form.group(4) == "]"',
        'form.group(4) == ")"',
        ("runtime/param_groups/test_groups.py", "runtime/param_groups/test_construction.py"),
    ),
    Fault(
        "the negation of `or` stays an `or`",
        "codegen/passes/analysis/boolean_algebra.py",
        "return both(*map(negation, parts))",
        "return either(*map(negation, parts))",
        ("codegen/passes/test_conditions.py",),
    ),
    Fault(
        "maximize does not negate the gradient",
        "codegen/passes/features.py",
        'negate = Assign("grad", Call("neg", (GRAD,)), origin="maximize")',
        'negate = Assign("grad", GRAD, origin="maximize")',
        ("torch_contract/test_torch_cases.py", "runtime/stepping/test_modes.py"),
    ),
    Fault(
        "for-loop and foreach divide the wrong way round",
        "codegen/backends/eager/torch_ops.py",
        '"addcdiv": _method("addcdiv", "{1}, {2}, value={3}"',
        '"addcdiv": _method("addcdiv", "{2}, {1}, value={3}"',
        ("torch_contract/test_torch_cases.py", "torch_contract/test_torch_parity.py"),
    ),
    Fault(
        "the sign of a negative number is 0 in C++",
        "runtime/cpp/elements.h",
        "return (x > 0 ? Number(1) : Number(0)) - (x < 0 ? Number(1) : Number(0));",
        "return x > 0 ? Number(1) : Number(0);",
        (
            "torch_contract/test_torch_cases.py::test_ends_where_torchs_for_loop_ends[Lion-fused]",
            "codegen/backends/kernels/test_cpp_numerics.py",
        ),
    ),
    Fault(
        "Triton stores gradients that are still scaled",
        "runtime/triton_ops.py",
        "        store(pointers, grad, mask)\n    if clip",
        "    if clip",
        ("runtime/param_groups/test_grad_scaler.py",),
    ),
    Fault(
        "no state is ever said to be new",
        "runtime/implementations/scalar_rows.py",
        "dict.fromkeys(self._firsts, key[1])",
        "dict.fromkeys(self._firsts, False)",
        ("torch_contract/test_torch_cases.py",),
    ),
    Fault(
        "guards do not notice that state was replaced",
        "runtime/stepping/guards.py",
        "            if why := stream.watch.poll(found):\n",
        "            if (why := stream.watch.poll(found)) and not why:\n",
        ("runtime/stepping/test_step_changes.py", "runtime/stepping/test_plan.py"),
    ),
    Fault(
        "guards do not notice that an option of a group changed",
        "runtime/stepping/guards.py",
        "return reading if reading.decides_as(self.reading) else None",
        "return reading",
        ("runtime/stepping/test_plan.py", "runtime/stepping/test_adversary.py"),
    ),
    Fault(
        "loaded state is always rounded to the dtype of its parameter",
        "runtime/checkpoints/restore.py",
        "dtype = tensor.dtype if tensor.dtype in kept else location.param.dtype",
        "dtype = location.param.dtype",
        ("runtime/checkpoints/test_state_dtypes.py",),
    ),
    Fault(
        "state goes to parameters in the order of the checkpoint's names",
        "runtime/checkpoints/matching.py",
        "return [known[name] for name in wanted]",
        "return list(known.values())",
        ("runtime/checkpoints/test_matching.py",),
    ),
    Fault(
        "gradients that are small enough are made larger by clipping",
        "runtime/param_groups/grad_scaling.py",
        ".clamp(max=1.0)",
        ".clamp(max=2.0)",
        ("runtime/param_groups/test_clipping.py",),
    ),
    Fault(
        "a traced step does not say which state is new",
        "runtime/torch_compile/traced_step.py",
        "created += [member.created for member in members]",
        "created += [False for member in members]",
        ("runtime/torch_compile/test_compile.py",),
    ),
    Fault(
        "a damaged object counts as intact",
        "runtime/building/object_files.py",
        "return content[-_SEAL:] == _seal(path.name, content[:-_SEAL])",
        "return len(content) > _SEAL",
        ("runtime/building/test_objects.py",),
    ),
    Fault(
        "memory that begins in the middle of other memory is not seen",
        "runtime/tensor_facts/memory.py",
        "        end_of_cluster = max(end_of_cluster, end)",
        "        end_of_cluster = start",
        ("runtime/stepping/test_plan.py",),
    ),
    Fault(
        "pages say that a closed range is open",
        "codegen/backends/documentation/docstring.py",
        "{'>=' if interval.low_closed else '>'}",
        "{'>' if interval.low_closed else '>='}",
        ("codegen/backends/documentation/test_docstring.py",),
    ),
    Fault(
        "a pass reads a state that is not yet what a statement reads",
        "codegen/passes/phases.py",
        "                    if places != self.found.final[name]:\n                        return None\n",
        "                    pass\n",
        ("codegen/passes/test_phases.py", "codegen/passes/test_lowered_meaning.py"),
    ),
    Fault(
        "sums over rows are sums over columns in for-loop and foreach",
        "codegen/backends/eager/op_trees.py",
        "row_along(OPS[call.op], axis)",
        "row_along(OPS[call.op], -3 - axis if axis < 0 else 1 - axis)",
        ("codegen/backends/eager/test_reductions.py", "runtime/implementations/test_drawn_reductions.py"),
    ),
    Fault(
        "the last block of a sum in C++ is left out",
        "runtime/cpp/fold.h",
        "        for (int64 left = count_; left != 0; left >>= 1, ++level) {",
        "        for (int64 left = count_ - 1; left > 0; left >>= 1, ++level) {",
        ("codegen/backends/kernels/test_cpp_passes.py", "runtime/implementations/test_reducing_kernels.py"),
    ),
    Fault(
        "the same class is made of every text",
        "thetac/loader.py",
        'digest.update(len(part).to_bytes(8, "little") + part)',
        'digest.update(len(part).to_bytes(8, "little"))',
        ("thetac/test_loader.py",),
    ),
    Fault(
        "a new group is in evaluation mode",
        "runtime/drivers/modes.py",
        "known = self.param_groups[0] if self.param_groups else self.defaults",
        "known = self.defaults",
        ("runtime/drivers/test_modes.py",),
    ),
    Fault(
        "parameters without state get some when the mode changes",
        "runtime/drivers/pieces.py",
        "if any(state.get(param, {}).get(one) is not None for one in read)",
        "if read",
        ("runtime/drivers/test_modes.py",),
    ),
    Fault(
        "a differentiable step forgets how shared numbers came about",
        "runtime/implementations/forloop.py",
        "            with torch.set_grad_enabled(self._differentiable):\n                shared_of",
        "            with torch.no_grad():\n                shared_of",
        ("torch_contract/test_differentiable.py",),
    ),
)


def copy_of_repository(folder: Path) -> Path:
    """Copy what git has or would add, symbolic links as links, and return the place."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file() or source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return folder


def planted(text: str, fault: Fault) -> str:
    """Return the text with the fault; raise ValueError unless there is exactly one place for it."""
    if text.count(fault.right) != 1:
        raise ValueError(f"{fault.name!r}: {text.count(fault.right)} places in {fault.path}, expected 1: {fault.right}")
    return text.replace(fault.right, fault.wrong)


def found_by(fault: Fault, place: Path, tests: Sequence[str], *, everything: bool) -> str:
    """Plant a fault in a copy and run tests on it; return the first that fails, or an empty text."""
    path = place / fault.path
    right = path.read_text(encoding="utf-8")
    path.write_text(planted(right, fault), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(place)}
    if fault.path.startswith("codegen/"):
        generate = [sys.executable, "-m", "thetac.codegen", "generate"]
        done = subprocess.run(generate, cwd=place, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"thetac generate: {done.stderr.strip().rpartition(chr(10))[2]}"
    command = [sys.executable, "-m", "pytest", "-v", "-x", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        [*command, *(["--all"] if everything else [])],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    path.write_text(right, encoding="utf-8")
    if done.returncode == 0:
        return ""
    if failed := re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE):
        return failed[1]
    begun = re.findall(r"^(tests/\S+::\S+)", done.stdout, re.MULTILINE)  # it may have died in the last of them
    return f"{begun[-1] if begun else 'pytest'} (ended with {done.returncode}: {done.stderr.strip()[-200:]})"


def main() -> int:
    parser = argparse.ArgumentParser(description="Plant faults and say which test finds each.")
    parser.add_argument("names", nargs="*", help="of faults, or parts of their names or paths; all of them by default")
    parser.add_argument("--whole", action="store_true", help="run all tests, not only those that are named for a fault")
    parser.add_argument("--all", action="store_true", help="with every optimizer and the thorough tests")
    arguments = parser.parse_args()
    chosen = [
        fault
        for fault in FAULTS
        if not arguments.names or any(name in f"{fault.name} {fault.path}" for name in arguments.names)
    ]
    missed = []
    for fault in chosen:
        with tempfile.TemporaryDirectory(prefix="thetac-fault-") as folder:
            place = copy_of_repository(Path(folder))
            tests = ["tests"] if arguments.whole else [f"tests/{test}" for test in fault.tests]
            test = found_by(fault, place, tests, everything=arguments.all)
        print(f"{fault.path}: {fault.name}: {test or 'NOT FOUND'}", flush=True)
        missed += [] if test else [fault]
    print(f"{len(chosen) - len(missed)} of {len(chosen)} faults are found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
