"""Measure on a GPU: `python benchmarks/gpu.py`, with options that `--help` lists.

Needs the checkout, torch and triton, and nothing else. Checks every optimizer against its for-loop and runs the tests
of the GPU where pytest is there; measures the bandwidth of a copy, then steps of every optimizer with CUDA events and
by the wall clock: ours fused beside torch's foreach and fused, beside the rule in torch's list operations where torch
has none, and beside a kernel that only moves the same streams. Counts launches. Ends within 8 minutes, and says what it
left out for that. Where the compiler's packages are missing, too, rules with several passes have no floor.
With `--interpret` it runs to its end on the CPU, on tiny sizes, in Triton's interpreter: a test of this program,
whose times say nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "gpu.json"
PAGE = ROOT / "docs" / "performance-gpu.md"
LIMIT = 7 * 60  # seconds after which nothing new is begun
TESTS_LIMIT = 3 * 60  # seconds

if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # in place of benchmarks/
    if "--interpret" in sys.argv:  # both are read when they are imported
        os.environ |= {"TRITON_INTERPRET": "1", "THETAC_CPU_KERNELS": "triton"}
    for needed in ("torch", "triton"):
        if importlib.util.find_spec(needed) is None:
            sys.exit(f"{sys.executable} has no {needed}; name one that has it: make bench-gpu PYTHON=...")

import torch  # noqa: E402
import triton  # noqa: E402

import thetac  # noqa: E402
from benchmarks import by_hand  # noqa: E402
from benchmarks.floor_triton import Moves, floor  # noqa: E402
from benchmarks.gpu_device import Device, copy_bandwidth  # noqa: E402
from benchmarks.report_gpu import markdown  # noqa: E402
from benchmarks.shapes import Shape, equal, gpt2, resnet50  # noqa: E402
from benchmarks.targets import Target  # noqa: E402
from thetac.runtime.optimizer import Optimizer  # noqa: E402

BILLION = "1 billion elements"
MANY = "1,000 x 1,000"
SHAPES: Mapping[str, Sequence[Shape]] = {
    BILLION: equal(250, 4_000_000),
    MANY: equal(1_000, 1_000),
    "GPT-2 124M": gpt2(),
    "ResNet-50": resnet50(),
}
TINY: Mapping[str, Sequence[Shape]] = {"4 x 100": equal(4, 100)}
CHECKED: Sequence[Shape] = ((), (1,), (7, 3), (1_000,), (257, 129))
BY_HAND = "by hand"  # in torch's list operations, where torch has no such optimizer
CONTESTANTS = ("ours fused", "torch foreach", "torch fused", BY_HAND)
ARGUMENTS: Mapping[str, Mapping[str, float]] = {"SGD": {"momentum": 0.9}, "Signum": {"momentum": 0.9}}


def algorithms() -> list[str]:
    every: Sequence[str] = importlib.import_module("thetac").__all__
    return sorted(name for name in every if isinstance(getattr(thetac, name), type))


def parameters(shapes: Sequence[Shape], device: Device) -> list[torch.nn.Parameter]:
    """With gradients."""
    params = [torch.nn.Parameter(torch.ones(shape, device=device.name)) for shape in shapes]
    for param in params:
        param.grad = torch.full_like(param, 0.1)
    return params


def made(name: str, label: str, shapes: Sequence[Shape], device: Device) -> torch.optim.Optimizer | str:
    """An optimizer that has made its first step, or why there is none."""
    if label == BY_HAND:
        written = getattr(by_hand, name, None)
        return "it is not written by hand" if written is None else _stepped(written, shapes, device)
    library, how = label.split()
    cls = getattr(thetac if library == "ours" else torch.optim, name, None)
    if cls is None:
        return f"{library} does not have it"
    if how not in inspect.signature(cls).parameters:
        return f"it has no {how} implementation"
    return _stepped(cls, shapes, device, **ARGUMENTS.get(name, {}), **{how: True})


def _stepped(
    cls: Callable[..., torch.optim.Optimizer], shapes: Sequence[Shape], device: Device, **arguments: float
) -> torch.optim.Optimizer | str:
    try:
        optimizer = cls(parameters(shapes, device), **arguments)
        optimizer.step()
        device.synchronize()
    except Exception as error:  # a result, too: what comes next is measured all the same
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    return optimizer


def passes_of(optimizer: Optimizer) -> list[tuple[int, Moves]]:
    """Elements and streams of every pass over parameters of one shape class.

    Without the compiler's packages, only those of rules with a single pass are known: there are none for others.
    """
    params: list[torch.nn.Parameter] = optimizer.param_groups[0]["params"]
    if importlib.util.find_spec("yaml") is None or importlib.util.find_spec("jinja2") is None:
        states = sum(
            torch.is_tensor(value) and value.shape == params[0].shape for value in optimizer.state[params[0]].values()
        )
        return [] if optimizer.schema.reduces else [(sum(param.numel() for param in params), Moves(1, 1 + states))]
    from benchmarks.floor import streams_moved
    from thetac.codegen.cli.library import compile_named

    elements: Counter[tuple[int, Moves]] = Counter()
    for index, one in enumerate(compile_named(type(optimizer).__name__).fused.passes):
        for param in params:
            moved = streams_moved(one, optimizer, param)
            elements[index, Moves(len(moved.read), len(moved.written))] += param.numel()
    return [(count, moves) for (_, moves), count in elements.items() if moves.moves]


def planned_launches(optimizer: torch.optim.Optimizer) -> int:
    """Launches per step that a step plan comes to: with reductions, one for each sweep and tensor program."""
    explain: Callable[[], str] = optimizer.explain  # type: ignore[attr-defined]
    found = re.search(r"step plan: (\d+) launch", explain())
    return 1 if found is None else int(found[1])


def measure(name: str, title: str, shapes: Sequence[Shape], device: Device, rounds: int) -> dict[str, Any]:
    """Contestants take turns; medians over rounds."""
    begin = time.perf_counter()
    found = {label: made(name, label, shapes, device) for label in CONTESTANTS[:1]}
    first = time.perf_counter() - begin
    found |= {label: made(name, label, shapes, device) for label in CONTESTANTS[1:]}
    steps: dict[str, Callable[[], object]] = {
        label: one.step for label, one in found.items() if isinstance(one, torch.optim.Optimizer)
    }
    ours = found["ours fused"]
    case: dict[str, Any] = {
        "algorithm": name,
        "shapes": title,
        "missing": {label: reason for label, reason in found.items() if isinstance(reason, str)},
    }
    if isinstance(ours, str):
        return case
    assert isinstance(ours, Optimizer)
    passes = passes_of(ours)
    moved = 4 * sum(elements * one.moves for elements, one in passes)
    launches = {label: device.launches(step) for label, step in steps.items()}
    if passes:
        steps["floor"] = floor(passes, device.name)
    times = _turns(steps, device, rounds)
    on_device = {label: [one for one, _ in pairs] for label, pairs in times.items()}
    wall = {label: [other for _, other in pairs] for label, pairs in times.items()}
    return case | {
        "bytes": moved,
        "making and first step, seconds": first,
        "seconds on the device": {label: statistics.median(values) for label, values in on_device.items()},
        "seconds by the wall clock": {label: statistics.median(values) for label, values in wall.items()},
        "bytes per second": moved / statistics.median(on_device["ours fused"]),
        "launches": launches,
        "planned launches": planned_launches(ours),
        "ratios on the device": _ratios(on_device),
        "ratios by the wall clock": _ratios(wall),
    }


def _turns(
    steps: Mapping[str, Callable[[], object]], device: Device, rounds: int
) -> dict[str, list[tuple[float, float]]]:
    for step in steps.values():
        for _ in range(3):
            step()
    calls = 1 if device.interpret else 10
    times: dict[str, list[tuple[float, float]]] = {label: [] for label in steps}
    for _ in range(rounds):
        for label, step in steps.items():
            times[label].append(device.seconds(step, calls))
    return times


def _ratios(times: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """How many times as long as our fused step."""
    ours = times["ours fused"]
    return {
        label: statistics.median(a / b for a, b in zip(values, ours, strict=True))
        for label, values in times.items()
        if label != "ours fused"
    }


def disagreement(name: str, device: Device) -> str | None:
    """What is wrong with a fused step beside the for-loop; None if nothing is."""
    trained = []
    for flags in ({"fused": True}, {"foreach": False}):
        params = parameters(CHECKED, device)
        try:
            optimizer = getattr(thetac, name)(params, **flags)
            generator = torch.Generator().manual_seed(0)
            for _ in range(4):
                for param in params:
                    param.grad = torch.randn(param.shape, generator=generator).to(device.name)
                optimizer.step()
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        trained.append([param.detach() for param in params])
    try:
        torch.testing.assert_close(*trained, rtol=2e-5, atol=1e-6)
    except AssertionError as error:
        return str(error)
    return None


def tests(device: Device) -> str:
    """What pytest says of the tests of the GPU, where both are there."""
    if device.interpret:
        return "not run: there is no GPU"
    if importlib.util.find_spec("pytest") is None:
        return "not run: there is no pytest"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu", *_test_files()]
    if importlib.util.find_spec("xdist") is not None:
        command += ["-n", str(min(8, os.cpu_count() or 1))]  # kernels are compiled on the CPU
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=TESTS_LIMIT)
    except subprocess.TimeoutExpired:
        return f"stopped after {TESTS_LIMIT} seconds"
    if done.returncode != 0:
        print(done.stdout + done.stderr)
    return done.stdout.strip().rpartition("\n")[2]


def _test_files() -> list[str]:
    """Those with tests of the GPU; others may import packages that are not here."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(file.relative_to(ROOT)) for file in files if "pytest.mark.gpu" in file.read_text(encoding="utf-8")]


def targets(results: Mapping[str, Any]) -> Iterator[Target]:
    """What the GPU's kernels are to reach, as far as it was measured."""
    for case in results["cases"]:
        if "bytes" not in case:
            continue
        title = f"{case['algorithm']}, {case['shapes']}"
        beside = case["ratios on the device"].get("torch fused"), case["ratios by the wall clock"].get("torch fused")
        if case["algorithm"] == "AdamW" and case["shapes"] == BILLION:
            copied = case["bytes per second"] / results["copy, bytes per second"]
            yield Target(title, "the copy's bandwidth", 0.92, copied)
            yield Target(f"{title}, on the device", "torch fused", 1.0, beside[0])
        if case["algorithm"] == "AdamW" and case["shapes"] == MANY:
            yield Target(f"{title}, by the wall clock", "torch fused", 4.0, beside[1])
        planned = case.get("planned launches", 1)
        yield Target(f"{title}, launches per step", "", planned, case["launches"]["ours fused"], is_limit=True)


def page(results: Mapping[str, Any]) -> str:
    """The text of the page about these results."""
    return markdown(results, f"../{RESULTS.relative_to(ROOT).as_posix()}", targets(results))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="AdamW only")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these optimizers")
    parser.add_argument("--table", action="store_true", help="no measuring: the page from the results")
    parser.add_argument("--interpret", action="store_true", help="on the CPU, to test this program")
    parser.add_argument(
        "--limit", type=float, default=LIMIT, help="seconds after which nothing new is begun; %(default)s"
    )
    parser.add_argument("--out", type=Path, help=f"the JSON file; {RESULTS.relative_to(ROOT)}")
    options = parser.parse_args(arguments)
    if options.table:
        PAGE.write_text(page(json.loads(RESULTS.read_text())))
        return 0
    if not options.interpret and not torch.cuda.is_available():
        print("there is no GPU; --interpret runs this program to its end without one", file=sys.stderr)
        return 1
    end = time.perf_counter() + options.limit
    device = Device(interpret=options.interpret)
    results = measured(device, ["AdamW"] if options.quick else options.only or algorithms(), end)
    out = options.out or (None if device.interpret else RESULTS)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(results, indent=1) + "\n")
    if out == RESULTS:
        PAGE.write_text(page(results))
    for target in targets(results):
        if not device.interpret:
            print(target.line)
    print(f"tests: {results['tests']}")
    for name, what in results["disagrees with its for-loop"].items():
        print(f"{name} DISAGREES WITH ITS FOR-LOOP: {what}")
    if device.interpret:
        print("Triton's interpreter ran every part of this program; its times say nothing about a GPU")
    return 1 if results["disagrees with its for-loop"] else 0


def measured(device: Device, names: Sequence[str], end: float) -> dict[str, Any]:
    """Results for a JSON file; nothing is begun after `end`."""
    shapes = TINY if device.interpret else SHAPES
    names = sorted(names, key=lambda name: name != "AdamW")  # it has targets
    checks = {name: disagreement(name, device) for name in names}
    results: dict[str, Any] = {
        "device": "Triton's interpreter" if device.interpret else torch.cuda.get_device_name(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "triton": triton.__version__,
        "thetac": thetac.__version__,
        "disagrees with its for-loop": {name: what for name, what in checks.items() if what is not None},
        "checked against its for-loop": list(checks),
        "tests": tests(device),
        "copy, bytes per second": copy_bandwidth(device),
        "cases": [],
        "left out for lack of time": [],
    }
    for title in shapes:
        for name in names if title != BILLION else names[:1]:
            if time.perf_counter() > end:
                results["left out for lack of time"].append(f"{name}, {title}")
                continue
            case = measure(name, title, shapes[title], device, 1 if device.interpret else 9)
            results["cases"].append(case)
            print(_line(case, results["copy, bytes per second"]), flush=True)
            if not device.interpret:
                torch.cuda.empty_cache()
    return results


def _line(case: Mapping[str, Any], copied: float) -> str:
    title = f"{case['algorithm']}, {case['shapes']}"
    if "bytes" not in case:
        return f"{title}: {case['missing']}"
    ratios = ", ".join(f"{label} {ratio:.2f}" for label, ratio in case["ratios by the wall clock"].items())
    share = case["bytes per second"] / copied
    return f"{title}: {share:.2f} of the copy's bandwidth; times by the wall clock: {ratios}"


if __name__ == "__main__":
    sys.exit(main())
