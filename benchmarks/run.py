"""Goes through a plan, case by case, and keeps what comes out.

In: a plan. Out: one dictionary for a JSON file, with the machine and the versions of all that was measured.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import multiprocessing
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

import thetac
from benchmarks import cases
from benchmarks.minimization import minimization
from benchmarks.perturbation import perturbation
from benchmarks.plan import Plan
from thetac.runtime.building.compiler import BuildError, find_compiler, find_levels

Case = dict[str, object]


def measure(plan: Plan, *, progress: bool = True) -> dict[str, object]:
    """Everything in the plan, each case in a process of its own.

    After a hundred cases in one process, steps of small tensors take a tenth longer: what they look at lies scattered
    in memory then.
    """
    about = machine()
    found: list[Case] = []
    context = multiprocessing.get_context("forkserver")  # a fork of this process would have dead threads
    context.set_forkserver_preload([cases.__name__])
    with (
        tempfile.TemporaryDirectory() as caches,
        ProcessPoolExecutor(max_workers=1, mp_context=context, max_tasks_per_child=1) as processes,
    ):
        bar = tqdm(list(_cases(plan, Path(caches))), disable=not progress, unit="case", file=sys.stderr)
        for title, case in bar:
            bar.set_description(title)
            found.append(processes.submit(case).result())
    return {"machine": about, "cases": found, "load at the end": os.getloadavg()[0]}


def machine() -> dict[str, object]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.platform(),
        "compiler": _compiler(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "thetac": thetac.__version__,
        **{name: _version(name) for name in ("torch-optimi", "pytorch-optimizer")},
        "load at the start": os.getloadavg()[0],
    }


def _processor() -> str:
    """Its name, as the system gives it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _compiler() -> str:
    try:
        return f"{find_compiler().version.splitlines()[0]}, {find_levels()[0]}"
    except BuildError as error:
        return f"none: {error}"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cases(plan: Plan, caches: Path) -> Iterator[tuple[str, Callable[[], Case]]]:
    for algorithm, shapes, labels in plan.steady:
        yield f"{algorithm}, {shapes}", partial(cases.steady, algorithm, shapes, labels, plan.budget)
    for algorithm, shapes, labels in plan.fresh:
        title = f"{algorithm}, {shapes}, fresh gradients"
        yield title, partial(cases.steady, algorithm, shapes, labels, plan.budget / 2, fresh=True)
    for algorithm in plan.memory:
        yield f"{algorithm}, memory", partial(cases.memory, algorithm)
    for algorithm in plan.training:
        yield f"{algorithm}, training", partial(cases.training, algorithm, plan.budget * 2)
    for algorithm in plan.denormal:
        yield f"{algorithm}, denormal", partial(cases.denormal, algorithm, plan.budget)
    for algorithm in plan.python:
        yield f"{algorithm}, Python", partial(cases.python, algorithm)
    for algorithm in plan.rows:
        for coalesced in (False, True):
            title = f"{algorithm}, rows, {'coalesced' if coalesced else 'as backward gives them'}"
            yield title, partial(cases.rows, algorithm, plan.budget, coalesced=coalesced)
    for algorithm, shapes in plan.perturbation:
        yield f"{algorithm}, {shapes}, perturbation", partial(perturbation, algorithm, shapes, plan.budget)
    for algorithm, elements in plan.minimization:
        yield f"{algorithm}, {elements:,} elements", partial(minimization, algorithm, elements, plan.budget)
    for algorithm, tensors in plan.cold:
        yield f"{algorithm}, first step, {tensors} tensors", partial(cases.cold, algorithm, tensors, caches)
    for algorithm, shapes, labels in plan.compiled:
        title = f"{algorithm}, {shapes}, compiled"
        yield title, partial(cases.compiled, algorithm, shapes, labels, plan.budget, caches)
