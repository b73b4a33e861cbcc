"""Measure on a GPU: `python benchmarks/gpu.py [--quick] [--interpret] [--out FILE]`.

Needs the checkout, torch and triton, and nothing else. Measures the bandwidth of a copy, then steps of every
optimizer, ours fused beside torch's foreach and fused, with CUDA events and by the wall clock; counts launches; runs
the correctness tests of the GPU.
With `--interpret` it runs to its end on the CPU, on tiny sizes, in Triton's interpreter: a test of this program,
whose times say nothing.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "gpu.json"
LIMIT = 7.5 * 60  # seconds after which nothing new is begun

if "--interpret" in sys.argv:  # both are read when they are imported
    os.environ |= {"TRITON_INTERPRET": "1", "THETAC_CPU_KERNELS": "triton"}
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

import thetac  # noqa: E402
from benchmarks.shapes import Shape, equal, gpt2, resnet50  # noqa: E402

BILLION = equal(250, 4_000_000)
SHAPES: dict[str, Sequence[Shape]] = {
    "1,000 x 1,000": equal(1_000, 1_000),
    "GPT-2 124M": gpt2(),
    "ResNet-50": resnet50(),
}
TINY: dict[str, Sequence[Shape]] = {"4 x 100": equal(4, 100)}


class Device:
    """The GPU, or in its place the CPU with Triton's interpreter."""

    def __init__(self, *, interpret: bool) -> None:
        self.interpret = interpret
        self.name = "cpu" if interpret else "cuda"

    def synchronize(self) -> None:
        if not self.interpret:
            torch.cuda.synchronize()

    def seconds(self, step: Callable[[], object], calls: int) -> tuple[float, float]:
        """Per call: on the device, and by the wall clock."""
        self.synchronize()
        begin = time.perf_counter()
        if self.interpret:
            for _ in range(calls):
                step()
            wall = (time.perf_counter() - begin) / calls
            return wall, wall
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        for _ in range(calls):
            step()
        end.record()
        self.synchronize()
        return start.elapsed_time(end) / 1e3 / calls, (time.perf_counter() - begin) / calls

    def launches(self, step: Callable[[], object]) -> int | None:
        """Kernels that one step starts, copies not counted."""
        if self.interpret:
            return None
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            step()
            self.synchronize()
        kernels = [e for e in profile.events() if e.device_type == torch._C._autograd.DeviceType.CUDA]
        return sum("memcpy" not in e.name.lower() and "memset" not in e.name.lower() for e in kernels)


def copy_bandwidth(device: Device) -> float:
    """Bytes per second, read and written, of copying a large tensor."""
    elements = 1_000 if device.interpret else 1 << 28
    source = torch.zeros(elements, device=device.name)
    target = torch.empty_like(source)
    for _ in range(3):
        target.copy_(source)
    times = [device.seconds(lambda: target.copy_(source), 10)[0] for _ in range(5)]
    return 2 * source.nbytes / statistics.median(times)


def made(name: str, label: str, shapes: Sequence[Shape], device: Device) -> torch.optim.Optimizer | None:
    """An optimizer whose parameters have gradients; None if there is no such implementation."""
    library, how = label.split()
    cls = getattr(thetac if library == "ours" else torch.optim, name, None)
    taken = inspect.signature(cls).parameters if cls is not None else {}
    if cls is None or how not in taken:
        return None
    arguments = {"momentum": 0.9} if name in ("SGD", "Signum") else {}
    params = [torch.nn.Parameter(torch.ones(shape, device=device.name)) for shape in shapes]
    for param in params:
        param.grad = torch.full_like(param, 0.1)
    optimizer: torch.optim.Optimizer = cls(params, **arguments, **{how: True})
    return optimizer


def bytes_of(optimizer: torch.optim.Optimizer) -> int:
    """What a step moves: parameter and states read and written, the gradient read."""
    total = 0
    for param in (param for group in optimizer.param_groups for param in group["params"]):
        states = [v for v in optimizer.state.get(param, {}).values() if torch.is_tensor(v) and v.shape == param.shape]
        total += 3 * param.nbytes + 2 * sum(state.nbytes for state in states)
    return total


def measure(name: str, title: str, shapes: Sequence[Shape], device: Device, rounds: int) -> dict[str, Any]:
    """Contestants take turns; medians over rounds."""
    contestants: dict[str, torch.optim.Optimizer] = {}
    for label in ("ours fused", "torch foreach", "torch fused"):
        if (optimizer := made(name, label, shapes, device)) is not None:
            contestants[label] = optimizer
    begin = time.perf_counter()
    contestants["ours fused"].step()
    device.synchronize()
    cold = time.perf_counter() - begin
    for optimizer in contestants.values():
        for _ in range(3):
            optimizer.step()
    calls = 1 if device.interpret else 10
    on_device: dict[str, list[float]] = {label: [] for label in contestants}
    wall: dict[str, list[float]] = {label: [] for label in contestants}
    for _ in range(rounds):
        for label, optimizer in contestants.items():
            one, other = device.seconds(optimizer.step, calls)
            on_device[label].append(one)
            wall[label].append(other)
    moved = bytes_of(contestants["ours fused"])
    return {
        "algorithm": name,
        "shapes": title,
        "bytes": moved,
        "first step, seconds": cold,
        "seconds on the device": {label: statistics.median(times) for label, times in on_device.items()},
        "seconds by the wall clock": {label: statistics.median(times) for label, times in wall.items()},
        "bytes per second": moved / statistics.median(on_device["ours fused"]),
        "launches": {label: device.launches(optimizer.step) for label, optimizer in contestants.items()},
        "ratios by the wall clock": {
            label: statistics.median(a / b for a, b in zip(times, wall["ours fused"], strict=True))
            for label, times in wall.items()
        },
    }


def tests(device: Device) -> str:
    """The correctness tests of the GPU, where pytest is there to run them."""
    if device.interpret:
        return "not run: there is no GPU"
    command = [sys.executable, "-m", "pytest", "-q", "tests/test_runtime_gpu.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().rpartition("\n")[2]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="AdamW only")
    parser.add_argument("--interpret", action="store_true", help="on the CPU, to test this program")
    parser.add_argument("--out", type=Path, help=f"the JSON file; {RESULTS.relative_to(ROOT)}")
    options = parser.parse_args(arguments)
    if not options.interpret and not torch.cuda.is_available():
        print("there is no GPU; --interpret runs this program to its end without one", file=sys.stderr)
        return 1
    device = Device(interpret=options.interpret)
    end = time.perf_counter() + LIMIT
    import triton

    results: dict[str, Any] = {
        "device": "Triton's interpreter" if device.interpret else torch.cuda.get_device_name(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "triton": triton.__version__,
        "thetac": thetac.__version__,
        "tests": tests(device),
        "copy, bytes per second": copy_bandwidth(device),
        "cases": [],
        "left out for lack of time": [],
    }
    rounds = 1 if device.interpret else 9
    every: list[str] = importlib.import_module("thetac").__all__
    names = sorted(name for name in every if isinstance(getattr(thetac, name), type))
    names = ["AdamW"] if options.quick else ["AdamW", *(n for n in names if n != "AdamW")]
    shapes = TINY if device.interpret else SHAPES
    cases: list[tuple[str, str, Sequence[Shape]]] = []
    if not device.interpret:
        cases.append(("AdamW", "1 billion", BILLION))
    cases += [(name, title, shapes[title]) for title in shapes for name in names]
    for name, title, of in cases:
        if time.perf_counter() > end:
            results["left out for lack of time"].append(f"{name}, {title}")
            continue
        case = measure(name, title, of, device, rounds)
        results["cases"].append(case)
        share = case["bytes per second"] / results["copy, bytes per second"]
        ratios = ", ".join(f"{label} {ratio:.2f}" for label, ratio in case["ratios by the wall clock"].items())
        print(f"{name}, {title}: {share:.2f} of the copy's bandwidth; times by the wall clock: {ratios}", flush=True)
        if not device.interpret:
            torch.cuda.empty_cache()
    out = options.out or (None if device.interpret else RESULTS)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(results, indent=1) + "\n")
    print(f"tests: {results['tests']}")
    if device.interpret:
        print("Triton's interpreter ran every part of this program; its times say nothing about a GPU")
    return 0


if __name__ == "__main__":
    sys.exit(main())
