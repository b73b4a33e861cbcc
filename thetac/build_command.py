"""`thetac build`: compile the C++ kernels of generated optimizers before they are first used.

In: names of optimizers, dtypes, a folder. Out: an object for each, where the runtime finds it. This module is in the
top package because it needs both the compiler's command line and the runtime, which must not import each other.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

from thetac.codegen.cli.library import UsageError, shown_as
from thetac.codegen.errors import did_you_mean
from thetac.runtime.building.compiled_objects import build, find_build_folder, make_recipe
from thetac.runtime.building.compiler import LEVELS, BuildError, Recipe, find_levels
from thetac.runtime.building.compiler_process import end_all_compilers

if TYPE_CHECKING:
    from thetac.runtime.optimizer import Optimizer

DTYPES = ("float32", "float64", "bfloat16", "float16")


class BuildCommand:
    """The subcommand `build`."""

    name = "build"
    help = "compile the C++ kernels ahead of time"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("names", nargs="*", metavar="NAME", help="an optimizer of thetac (default: all)")
        parser.add_argument(
            "--out",
            type=Path,
            metavar="DIR",
            help="folder of the objects (default: $THETAC_BUILD_DIR, or where they are found automatically)",
        )
        parser.add_argument(
            "--dtypes", nargs="+", choices=DTYPES, default=DTYPES, help="of parameters (default: all of these)"
        )
        parser.add_argument("--level", choices=LEVELS, help="kind of x86-64 processor (default: this machine's)")

    def run(self, options: argparse.Namespace) -> int:
        """Build the objects and print how many were missing.

        Returns:
            The exit status: 0, or 1 if the compiler fails or the folder cannot be written.

        Raises:
            UsageError: There is no optimizer of a given name.
        """
        names: Sequence[str] = options.names
        folder: Path = options.out or find_build_folder()
        started = time.monotonic()
        try:
            level: str = options.level or find_levels()[0]
            recipes = tuple(_recipes(names, options.dtypes))
            built = _build_all(recipes, lambda one: build(one, folder, level))
        except BuildError as error:
            print(error, file=sys.stderr)
            return 1
        except OSError as error:
            print(f"{error.filename or folder} cannot be written: {error.strerror}", file=sys.stderr)
            return 1
        seconds = time.monotonic() - started
        print(f"{shown_as(folder)}: {built} of {len(recipes)} objects built for {level} in {seconds:.0f} s")
        if folder.resolve() != find_build_folder().resolve():
            print(f"set THETAC_BUILD_DIR={folder.resolve()} so that they are found")
        return 0


def _recipes(names: Sequence[str], dtypes: Sequence[str]) -> Iterator[Recipe]:
    """List what the runtime itself needs, and every optimizer's kernel for parameters and states of one dtype.

    Rules with a kernel per combination of conditions are left out: only parameter groups say which ones they need.
    """
    import torch

    from thetac.runtime.drivers import history_cpp
    from thetac.runtime.drivers.minimize import Minimize
    from thetac.runtime.drivers.pieces import schemas_of
    from thetac.runtime.drivers.two_point import TwoPoint
    from thetac.runtime.implementations import copy_cpp, launch_cpp
    from thetac.runtime.implementations.fused import usual_dtypes
    from thetac.runtime.implementations.generated_modules import kernel_source
    from thetac.runtime.tensor_facts import compiled_reader

    yield make_recipe(*compiled_reader.RECIPE)
    kinds = [getattr(torch, name) for name in dtypes]
    yield from (make_recipe(*launch_cpp.recipe_of_norm(kind)) for kind in kinds)
    optimizers = _optimizers(names)
    if any(issubclass(one, TwoPoint) for one in optimizers):
        yield make_recipe(*copy_cpp.RECIPE)
    if any(issubclass(one, Minimize) for one in optimizers):
        yield from (make_recipe(*history_cpp.recipe_of_products(kind)) for kind in kinds if kind in history_cpp.DTYPES)
    rules = [one.schema for one in optimizers if not issubclass(one, Minimize)]
    for schema in (one for rule in rules for one in (rule, *schemas_of(rule).values())):
        source = kernel_source(schema.package)
        if not schema.separate_kernels and source is not None and source.is_file():
            yield from (make_recipe(*launch_cpp.recipe_of(schema, usual_dtypes(schema, kind), ())) for kind in kinds)


def _optimizers(names: Sequence[str]) -> list[type[Optimizer]]:
    """Look up classes by names in any case; raise UsageError for one that does not exist. No names: all."""
    from thetac import generated

    known = {name.lower(): name for name in generated.__all__}
    for name in names:
        if name.lower() not in known:
            hint = did_you_mean(name, known.values(), "`thetac list` shows all")
            raise UsageError(f"no optimizer is named `{name}`: {hint}")
    wanted = dict.fromkeys(known[name.lower()] for name in names) or generated.__all__
    return [getattr(generated, name) for name in wanted]


def _build_all(recipes: Sequence[Recipe], make: Callable[[Recipe], bool]) -> int:
    """Build on all cores; return how many were missing. Raise the first error, which ends the others."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        jobs = {pool.submit(make, one): one.name for one in recipes}
        try:
            for done, job in enumerate(as_completed(jobs), 1):
                job.result()
                _show(f"{done}/{len(jobs)} {jobs[job]}" if done < len(jobs) else "")
        except BaseException:
            _show("")
            pool.shutdown(wait=False, cancel_futures=True)
            end_all_compilers()  # the pool waits for what runs
            raise
    return sum(job.result() for job in jobs)


def _show(progress: str) -> None:
    """Show progress in one line of a terminal that is overwritten."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{progress}", end="", file=sys.stderr, flush=True)
