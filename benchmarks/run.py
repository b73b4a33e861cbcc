"""What is measured, in which order, and how the results are kept.

Out: one dictionary for a JSON file. Every case says what it could not measure, and why.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

import thetac
from benchmarks import costs, training
from benchmarks.contestants import (
    COMPILED,
    OTHERS,
    OURS,
    TORCH,
    Contestant,
    UnavailableError,
    algorithms,
    contestant,
    gradients,
)
from benchmarks.floor import floor
from benchmarks.shapes import ALL, GRID, MODELS, size
from benchmarks.timing import Rounds, take_turns

FLOOR = "floor"
MEMORY = 14 << 30  # bytes that the contestants of one case may take together
TINY_GRADIENT = 1e-20  # its square is no normal float32


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    budget: float  # seconds per case
    cases: Sequence[tuple[str, str, tuple[str, ...]]]  # algorithm, shapes, labels
    memory: Sequence[str]  # algorithms of which it is measured, and so on
    training: Sequence[str]
    denormal: Sequence[str]
    python: Sequence[str]
    compile_sizes: Sequence[int]


def full(names: Sequence[str] | None = None) -> Plan:
    chosen = list(names or algorithms())
    eager = (*OURS, *TORCH, *OTHERS)
    cases: list[tuple[str, str, tuple[str, ...]]] = [(name, "500 x 1,000", eager) for name in chosen]
    cases += [(name, "160 ResNet-like", ("ours fused", *TORCH[1:])) for name in chosen]
    cases += [(name, "GPT-2 124M", ("ours fused", *TORCH[1:])) for name in chosen]
    cases += [(name, "500 x 10", eager) for name in ("SGD", "AdamW") if name in chosen]
    cases += [("AdamW", shapes, ("ours fused", *TORCH[1:])) for shapes in (*MODELS, *GRID) if "AdamW" in chosen]
    cases += [(name, "160 ResNet-like", ("ours fused", COMPILED)) for name in ("AdamW", "NAdam") if name in chosen]
    trained = [name for name in ("AdamW", "SGD", "NAdam") if name in chosen]
    return Plan(1.0, list(dict.fromkeys(cases)), chosen, trained, chosen, chosen, (10, 40, 160))


def quick(names: Sequence[str] | None = None) -> Plan:
    chosen = list(names or algorithms())
    cases: list[tuple[str, str, tuple[str, ...]]] = [(name, "500 x 1,000", (*OURS, *TORCH)) for name in chosen]
    models = ("500 x 10", "160 ResNet-like", "ResNet-50")
    cases += [("AdamW", shapes, ("ours fused", "torch fused")) for shapes in models]
    return Plan(0.3, cases, ["AdamW"], ["AdamW"], ["AdamW"], ["AdamW"], ())


def measure(plan: Plan, *, progress: bool = True) -> dict[str, object]:
    """Everything in the plan."""
    result: dict[str, object] = {"machine": machine(), "cases": []}
    steps = list(_steps(plan))
    cases: list[object] = []
    bar = tqdm(steps, disable=not progress, unit="case", file=sys.stderr)
    for title, step in bar:
        bar.set_description(title)
        cases.append(step())
    result["cases"] = cases
    result["load at the end"] = os.getloadavg()[0]
    return result


def machine() -> dict[str, object]:
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "thetac": thetac.__version__,
        "load at the start": os.getloadavg()[0],
    }


def processor() -> str:
    """The processor's name, as the system gives it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _steps(plan: Plan) -> Iterator[tuple[str, Callable[[], dict[str, object]]]]:
    for algorithm, shapes, labels in plan.cases:
        yield f"{algorithm}, {shapes}", lambda a=algorithm, s=shapes, n=labels: _steady(a, s, n, plan.budget)  # type: ignore[misc]
    for algorithm in plan.memory:
        yield f"{algorithm}, memory", lambda a=algorithm: _memory(a)  # type: ignore[misc]
    for algorithm in plan.training:
        yield f"{algorithm}, training", lambda a=algorithm: _training(a, plan.budget * 2)  # type: ignore[misc]
    for algorithm in plan.denormal:
        yield f"{algorithm}, denormal", lambda a=algorithm: _denormal(a, plan.budget)  # type: ignore[misc]
    for algorithm in plan.python:
        yield f"{algorithm}, Python", lambda a=algorithm: _python(a)  # type: ignore[misc]
    for tensors in plan.compile_sizes:
        yield f"cold start, {tensors} tensors", lambda t=tensors: _cold("AdamW", t)  # type: ignore[misc]


def _steady(algorithm: str, shapes: str, labels: Sequence[str], budget: float) -> dict[str, object]:
    grads = gradients(ALL[shapes])
    found, missing = _contestants(algorithm, labels, grads)
    functions: dict[str, Callable[[], object]] = {one.label: one.step for one in found}
    moved = 0
    for one in found:
        if one.label == "ours fused":
            one.step()
            functions[FLOOR], moved = floor(one.optimizer, one.params)
    rounds = take_turns(functions, budget) if functions else Rounds({})
    return {
        "kind": "steady",
        "algorithm": algorithm,
        "shapes": shapes,
        "elements": size(ALL[shapes]),
        "tensors": len(ALL[shapes]),
        "bytes": moved,
        "times": {label: asdict(rounds.time(label)) for label in functions},
        "ratios": _ratios(rounds, list(functions)),
        "missing": missing,
    }


def _ratios(rounds: Rounds, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Of everyone's time to ours of the same kind, and to our fused one."""
    pairs = [(label, "ours fused") for label in labels if label != "ours fused" and "ours fused" in labels]
    pairs += [(f"torch {how}", f"ours {how}") for how in ("for-loop", "foreach")]
    return {
        f"{slow} / {fast}": asdict(rounds.ratio(slow, fast))
        for slow, fast in pairs
        if slow in labels and fast in labels
    }


def _contestants(
    algorithm: str, labels: Sequence[str], grads: Sequence[Tensor]
) -> tuple[list[Contestant], dict[str, str]]:
    found: list[Contestant] = []
    missing: dict[str, str] = {}
    needed = 0
    for label in labels:
        needed += 4 * sum(grad.numel() for grad in grads) * 4  # a parameter and up to three states
        if needed > MEMORY:
            missing[label] = "not enough memory beside the others"
            continue
        try:
            one = contestant(algorithm, label, grads)
            one.step()
            found.append(one)
        except UnavailableError as error:
            missing[label] = str(error)
        except Exception as error:  # another library's mistake is a result, too
            missing[label] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return found, missing


def _memory(algorithm: str) -> dict[str, object]:
    shapes = ALL["500 x 1,000"]
    used: dict[str, dict[str, int]] = {}
    for label in (*OURS, *TORCH):
        with contextlib.suppress(UnavailableError):
            used[label] = dict(zip(("step", "kept"), costs.memory(algorithm, label, shapes), strict=True))
    return {"kind": "memory", "algorithm": algorithm, "tensors": len(shapes), "bytes": used}


def _training(algorithm: str, budget: float) -> dict[str, object]:
    rounds = training.train(algorithm, ("ours foreach", "ours fused", *TORCH[1:]), budget)
    labels = list(rounds.seconds)
    return {
        "kind": "training",
        "algorithm": algorithm,
        "times": {label: asdict(rounds.time(label)) for label in labels},
        "ratios": _ratios(rounds, labels),
    }


def _denormal(algorithm: str, budget: float) -> dict[str, object]:
    """Steps on gradients whose squares are denormal, over steps on usual ones."""
    functions: dict[str, Callable[[], object]] = {}
    for kind, magnitude in (("usual", 0.1), ("tiny", TINY_GRADIENT)):
        grads = gradients(ALL["160 ResNet-like"], magnitude)
        for label in ("ours fused", "torch fused"):
            try:
                functions[f"{label}, {kind}"] = contestant(algorithm, label, grads).step
            except UnavailableError:
                continue
    for _ in range(20):  # until second moments are what these gradients make of them
        for function in functions.values():
            function()
    rounds = take_turns(functions, budget)
    return {
        "kind": "denormal",
        "algorithm": algorithm,
        "ratios": {
            label: asdict(rounds.ratio(f"{label}, tiny", f"{label}, usual"))
            for label in ("ours fused", "torch fused")
            if f"{label}, tiny" in functions
        },
    }


def _python(algorithm: str) -> dict[str, object]:
    seconds = costs.python_time(algorithm, ALL["500 x 1,000"])
    return {"kind": "python", "algorithm": algorithm, "tensors": 500, "seconds": seconds}


def _cold(algorithm: str, tensors: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as cache:
        seconds = {
            "ours fused, nothing built": costs.cold_start(algorithm, "ours fused", tensors, cache),
            "ours fused, built before": costs.cold_start(algorithm, "ours fused", tensors, cache),
            "torch fused": costs.cold_start(algorithm, "torch fused", tensors),
            COMPILED: costs.cold_start(algorithm, COMPILED, tensors),
        }
    return {"kind": "cold", "algorithm": algorithm, "tensors": tensors, "seconds": seconds}
