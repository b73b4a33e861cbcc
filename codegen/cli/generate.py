"""`thetac generate` and `thetac check`: all specs of a folder, and the files made from them.

Nothing is written before every spec has compiled.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from thetac.codegen.backends.documentation.catalogue import page
from thetac.codegen.backends.documentation.pages import pages
from thetac.codegen.backends.documentation.reference import with_tables
from thetac.codegen.backends.package.init_files import collection_init
from thetac.codegen.cli.facts import entries, our_facts
from thetac.codegen.cli.library import Output, our_specs, print_warnings, read_folder, shown_as
from thetac.codegen.emit import compare, environment, write_package
from thetac.codegen.pipeline import Compiled, Source, compile_specs


def generate(specs: Path, output: Output) -> int:
    """Write the files of all specs and return the exit status.

    Raises:
        UsageError: If the folder of specs holds none.
        SpecError: If a spec is wrong.
        FolderError: If a file cannot be written.
    """
    sources, compiled = _compile(specs)
    for folder, files in _folders(compiled, specs, output):
        difference = write_package(folder, files)
        written, removed = len(difference.missing) + len(difference.changed), len(difference.orphaned)
        news = f"{written} written, {removed} removed" if difference else "nothing to do"
        print(f"{shown_as(folder)}: {len(files)} files, {news}")
    for path, text in _changed_pages(compiled, sources, output):
        path.write_text(text, encoding="utf-8")
        print(f"{shown_as(path)}: tables written")
    return 0


def check(specs: Path, output: Output) -> int:
    """Compare the files with the specs, print which ones differ, and return the exit status.

    Raises:
        UsageError: If the folder of specs holds none.
        SpecError: If a spec is wrong.
        FolderError: If a file cannot be read.
    """
    status = 0
    sources, compiled = _compile(specs)
    for folder, files in _folders(compiled, specs, output):
        for line in str(compare(folder, files)).splitlines():
            print(f"{shown_as(folder)}: {line}", file=sys.stderr)
            status = 1
    for path, _ in _changed_pages(compiled, sources, output):
        print(f"{shown_as(path)}: tables changed", file=sys.stderr)
        status = 1
    if status:
        print("`thetac generate` (or `make generate`) puts this right", file=sys.stderr)
    return status


def _compile(specs: Path) -> tuple[tuple[Source, ...], tuple[Compiled, ...]]:
    sources = read_folder(specs)
    compiled = compile_specs(sources, our_specs)
    print_warnings(compiled)
    return sources, compiled


def _changed_pages(
    compiled: tuple[Compiled, ...], sources: tuple[Source, ...], output: Output
) -> Iterator[tuple[Path, str]]:
    """Yield the documents that differ from what specs and compiler give, with the text that they should have."""
    if output.reference is not None:
        text = output.reference.read_text(encoding="utf-8")
        if (new := with_tables(text)) != text:
            yield output.reference, new
    if output.catalogue is not None:
        new = page(entries(compiled, sources), our_facts())
        if not output.catalogue.is_file() or output.catalogue.read_text(encoding="utf-8") != new:
            yield output.catalogue, new


def _folders(compiled: tuple[Compiled, ...], specs: Path, output: Output) -> list[tuple[Path, Mapping[str, str]]]:
    folders: list[tuple[Path, Mapping[str, str]]] = [(output.package, _package(compiled, specs, output.home))]
    if output.pages is not None:
        folders.append((output.pages, pages([one.written for one in compiled])))
    return folders


def _package(compiled: tuple[Compiled, ...], specs: Path, home: str) -> dict[str, str]:
    """Return every file of the package by its path relative to it."""
    members = {one.class_name: one.module for one in compiled}
    files = {f"{one.module}/{name}": text for one in compiled for name, text in one.files.items()}
    files["__init__.py"] = collection_init(members, f"{specs.resolve().name}/", home, environment())
    return files
