"""Where specs lie and where their output goes.

In: folders and names that the user gave. Out: sources for the pipeline, with paths as the user would write them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from thetac.codegen.errors import Location, Mistakes, SpecError, did_you_mean
from thetac.codegen.frontend.source import read_source
from thetac.codegen.pipeline import Compiled, Source, compile_specs

ROOT = Path(__file__).resolve().parents[2]  # the checkout, or the installed package
SPECS = ROOT / "specs"
GENERATED = ROOT / "generated"
SUFFIXES = (".yaml", ".yml")


class UsageError(Exception):
    """What the user asked for does not exist."""


@dataclass(frozen=True, slots=True)
class Output:
    """Where files go."""

    package: Path
    home: str  # the name by which the package is imported; empty: wherever it lies
    pages: Path | None  # documentation, of our own specs only
    reference: Path | None  # the reference of the language, which holds tables of the compiler


def our_output() -> Output:
    """Of an installed package, only the code: its documentation lies in the checkout."""
    docs = ROOT / "docs" if (ROOT / "pyproject.toml").is_file() else None
    return Output(
        GENERATED,
        "thetac.generated",
        pages=None if docs is None else docs / "optimizers",
        reference=None if docs is None else docs / "language.md",
    )


def users_output(out: Path) -> Output:
    """A package of the user's. Raises UsageError if it would take the place of ours, or lie within it."""
    if out.resolve().is_relative_to(GENERATED.resolve()):
        raise UsageError(f"{out} is thetac's own package; your specs go into a package of your own")
    return Output(out, home="", pages=None, reference=None)


def read_folder(folder: Path) -> tuple[Source, ...]:
    """All specs of a folder and the folders in it, in order of their names. Raises UsageError and SpecError."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    paths, mistakes = _spec_files(folder), Mistakes()
    if not paths:
        raise UsageError(f"{folder} holds no specs: a spec is a file NAME.yaml, and `thetac new Name` writes one")
    sources = []
    for path in paths:
        shown = shown_as(folder / path)
        try:
            sources.append(Source(shown, read_source(folder / path, shown), f"{folder.resolve().name}/{path}"))
        except SpecError as error:
            mistakes.take(error)
    mistakes.raise_any()
    return tuple(sources)


def _spec_files(folder: Path) -> list[str]:
    """Relative to the folder, in order; what is hidden is left out. A folder that cannot be listed is a mistake.

    Passed over, its specs would seem to be gone, and what was generated from them would go too.
    """
    mistakes, found = Mistakes(), []

    def note(error: OSError) -> None:
        mistakes.add(Location(shown_as(Path(error.filename)), 1, 1), f"the folder cannot be read: {error.strerror}")

    for where, folders, names in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        specs = [name for name in names if name.endswith(SUFFIXES) and not name.startswith(".")]
        found += [(Path(where) / name).relative_to(folder).as_posix() for name in specs]
    mistakes.raise_any()
    return sorted(found)


def our_specs() -> Sequence[Source]:
    """What a user's spec may extend."""
    return read_folder(SPECS)


def compile_named(name: str) -> Compiled:
    """One optimizer, by the name of one of ours or by the path of a spec."""
    if name.endswith(SUFFIXES) or os.sep in name:
        path = Path(name)
        return compile_specs([Source(name, read_source(path, name))], our_specs)[0]
    ours = {one.class_name: one for one in compile_specs(our_specs())}
    by_lower = {known.lower(): known for known in ours}
    if name.lower() not in by_lower:
        hint = did_you_mean(name, ours, "`thetac list` shows all, and a file is named with its .yaml")
        raise UsageError(f"no optimizer is named `{name}`: {hint}")
    return ours[by_lower[name.lower()]]


def print_warnings(compiled: Iterable[Compiled]) -> None:
    """Show what is probably not meant, on the standard error."""
    for one in compiled:
        for warning in one.warnings:
            print(warning, file=sys.stderr)


def shown_as(path: Path) -> str:
    """The path relative to where the user is, if it lies below; whole otherwise."""
    here = Path.cwd()
    whole = here / path
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(whole)
