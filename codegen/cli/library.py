"""Find specs, and the folders into which their output goes.

In: folders and names that the user gave. Out: sources for the pipeline, with paths as the user would write them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from thetac.codegen.errors import Diagnostics, Location, SpecError, did_you_mean
from thetac.codegen.frontend.family import DEEPEST_FAMILY
from thetac.codegen.frontend.load import load_spec
from thetac.codegen.frontend.source import read_source
from thetac.codegen.pipeline import Compiled, Source, compile_specs

ROOT = Path(__file__).resolve().parents[2]  # the checkout, or the installed package
SPECS = ROOT / "specs"
GENERATED = ROOT / "generated"
SUFFIXES = (".yaml", ".yml")


class UsageError(Exception):
    """The user asked for something that does not exist."""


@dataclass(frozen=True, slots=True)
class Output:
    """The folders and files into which output goes."""

    package: Path
    home: str  # the name by which the package is imported; empty: unknown
    pages: Path | None  # documentation, of thetac's own specs only
    reference: Path | None  # the reference of the language, which holds tables of the compiler
    catalogue: Path | None  # the page about all of thetac's own optimizers


def our_output() -> Output:
    """Return thetac's own output: the package, and in a checkout its documentation."""
    docs = ROOT / "docs" if (ROOT / "pyproject.toml").is_file() else None
    return Output(
        GENERATED,
        "thetac.generated",
        pages=None if docs is None else docs / "optimizers",
        reference=None if docs is None else docs / "language.md",
        catalogue=None if docs is None else docs / "catalogue.md",
    )


def users_output(out: Path) -> Output:
    """Return the output for a user's package.

    Raises:
        UsageError: If it is thetac's own package or a folder in it.
    """
    if out.resolve().is_relative_to(GENERATED.resolve()):
        raise UsageError(f"{out} is thetac's own package; your specs go into a package of your own")
    return Output(out, home="", pages=None, reference=None, catalogue=None)


def read_folder(folder: Path) -> tuple[Source, ...]:
    """Return all specs of a folder and of the folders in it, in order of their names.

    Raises:
        UsageError: If there is no such folder, or no spec in it.
        SpecError: If a folder or file cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    paths, diagnostics = _spec_files(folder), Diagnostics()
    if not paths:
        raise UsageError(f"{folder} holds no specs: a spec is a file NAME.yaml, and `thetac new Name` writes one")
    sources = []
    for path in paths:
        shown = shown_as(folder / path)
        try:
            sources.append(Source(shown, read_source(folder / path, shown), f"{folder.resolve().name}/{path}"))
        except SpecError as error:
            diagnostics.take(error)
    diagnostics.raise_any()
    return tuple(sources)


def _spec_files(folder: Path) -> list[str]:
    """Return the paths of specs relative to the folder, in order, without hidden ones.

    Raise SpecError if a folder cannot be listed: its specs would seem to be deleted, and the files that were generated
    from them would be deleted too.
    """
    diagnostics, found = Diagnostics(), []

    def note(error: OSError) -> None:
        diagnostics.add(Location(shown_as(Path(error.filename)), 1, 1), f"the folder cannot be read: {error.strerror}")

    for where, folders, names in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        specs = [name for name in names if name.endswith(SUFFIXES) and not name.startswith(".")]
        found += [(Path(where) / name).relative_to(folder).as_posix() for name in specs]
    diagnostics.raise_any()
    return sorted(found)


def our_specs() -> tuple[Source, ...]:
    """Return thetac's own specs, which a user's spec may extend."""
    return read_folder(SPECS)


def spec_and_parents(path: str, name: str = "") -> tuple[Source, ...]:
    """Return the spec in a file, and behind it those in the same folder that it extends, as far as they are there.

    Args:
        path: Of the file, as the user named it.
        name: What files generated from it call the spec; empty: the file's own name.

    Raises:
        SpecError: If one of the files cannot be read.
        OSError: If there is no such file.
    """
    family = [Source(path, read_source(Path(path), path), name)]
    others = [other for other in _beside(Path(path)) if not other.samefile(path)]
    while len(family) <= DEEPEST_FAMILY:
        spec = load_spec(family[-1].text, family[-1].path, Diagnostics())
        if spec is None or spec.extends is None:
            break
        declares = re.compile(rf"""^optimizer:\s*["']?{re.escape(spec.extends.text)}\b""", re.MULTILINE)
        parents = [other for other in others if declares.search(other.read_text(encoding="utf-8", errors="replace"))]
        family += (Source(str(parent), read_source(parent, str(parent))) for parent in parents)
        others = [other for other in others if other not in parents]
        if not parents:
            break
    return tuple(family)


def _beside(path: Path) -> list[Path]:
    """Return the specs in the folder of a file, as far as they can be read."""
    try:
        names = sorted(os.listdir(path.parent))
    except OSError:
        return []
    specs = [path.parent / name for name in names if name.endswith(SUFFIXES) and not name.startswith(".")]
    return [spec for spec in specs if spec.is_file() and os.access(spec, os.R_OK)]


def compile_named(name: str) -> Compiled:
    """Compile one optimizer, given by the name of one of thetac's or by the path of a spec.

    Raises:
        UsageError: If no optimizer has this name.
        SpecError: If the spec cannot be read or is wrong.
    """
    if name.endswith(SUFFIXES) or os.sep in name:
        return compile_specs(spec_and_parents(name), our_specs)[0]
    ours = {one.class_name: one for one in compile_specs(our_specs())}
    by_lower = {known.lower(): known for known in ours}
    if name.lower() not in by_lower:
        hint = did_you_mean(name, ours, "`thetac list` shows all, and a file is named with its .yaml")
        raise UsageError(f"no optimizer is named `{name}`: {hint}")
    return ours[by_lower[name.lower()]]


def print_warnings(compiled: Iterable[Compiled]) -> None:
    """Print the warnings about all optimizers to the standard error."""
    for one in compiled:
        for warning in one.warnings:
            print(warning, file=sys.stderr)


def shown_as(path: Path) -> str:
    """Return the path relative to the working directory if it is within it, else the absolute path."""
    here = Path.cwd()
    whole = here / path
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(whole)
