"""Write generated files: the Jinja environment, the header, and what has to change in a folder.

In: finished strings for templates, and finished files. Out: the same bytes on disk, whatever the locale, the hash
seed or the order of the specs. Must not know what the files say.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2

from thetac import __version__
from thetac.codegen.errors import make_printable
from thetac.codegen.folder import FolderError, files_in, folder_errors, locked_folder, replace_folder

TEMPLATES = Path(__file__).parent / "backends" / "templates"
MARK = re.compile(rb"by thetac\b[^;]*; do not edit\.")  # in the first line of a file that may be replaced or removed
_LONGEST_HEADER = 16_384  # bytes; a path has at most 4,096, and the replacement of one of them has three


@cache
def environment() -> jinja2.Environment:
    """Return the one environment of all templates.

    Nothing is escaped: the output is Python and Markdown, not HTML.
    """
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES, encoding="utf-8"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        newline_sequence="\n",
    )


def header(source: str) -> str:
    """Return the text of the first line of a generated file, without the comment sign of its language.

    A path may hold any character, line breaks too; the header stays one line.
    """
    return f"Generated from {make_printable(' '.join(source.split()))} by thetac {__version__}; do not edit."


@dataclass(frozen=True, slots=True)
class Difference:
    """How a folder differs from what it should hold: paths relative to it, in order."""

    missing: tuple[str, ...]
    changed: tuple[str, ...]
    orphaned: tuple[str, ...]  # written by thetac, and no longer generated

    def __bool__(self) -> bool:
        return bool(self.missing or self.changed or self.orphaned)

    def __str__(self) -> str:
        words = (("missing", self.missing), ("changed", self.changed), ("orphaned", self.orphaned))
        return "\n".join(f"{word}: {path}" for word, paths in words for path in paths)


def compare(folder: Path, files: Mapping[str, str]) -> Difference:
    """Return what `write_package` would change; files that thetac did not write are ignored.

    Args:
        folder: The folder.
        files: What it should hold: contents by path relative to it.

    Raises:
        FolderError: If the folder cannot be read.
    """
    with folder_errors(folder):
        return _compare(folder, files)[0]


def write_package(folder: Path, files: Mapping[str, str]) -> Difference:
    """Make the folder hold exactly these files, besides those that thetac did not write.

    The folder changes as a whole or not at all, and nothing is written where nothing differs.

    Args:
        folder: The folder; made if it does not exist.
        files: What it should hold: contents by path relative to it.

    Returns:
        What was different.

    Raises:
        FolderError: Before anything has changed, if a file that thetac did not write is in the way or the folder
            cannot be written.
    """
    folder = Path(os.path.realpath(folder))
    with locked_folder(folder):
        difference, others = _compare(folder, files)
        _refuse(folder, files, others)
        if difference:
            gone = {*difference.missing, *difference.changed, *difference.orphaned}
            kept = [path for path in (*others, *files) if path not in gone]
            replace_folder(folder, kept, {path: files[path].encode() for path in gone if path in files})
        return difference


def _compare(folder: Path, files: Mapping[str, str]) -> tuple[Difference, tuple[str, ...]]:
    """Return the difference, and the files in the folder that thetac did not write."""
    missing, changed, orphaned, others = set(files), [], [], []
    for path in files_in(folder):
        if not _is_ours(folder / path):
            others.append(path)
        elif path not in files:
            orphaned.append(path)
        elif (folder / path).read_bytes() != files[path].encode():
            changed.append(path)
        missing.discard(path)
    return Difference(tuple(sorted(missing)), tuple(changed), tuple(orphaned)), tuple(others)


def _is_ours(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return MARK.search(file.readline(_LONGEST_HEADER)) is not None


def _refuse(folder: Path, files: Mapping[str, str], others: tuple[str, ...]) -> None:
    """Raise FolderError if writing would replace a file or a folder that thetac did not write."""
    parents = {str(parent) for path in files for parent in Path(path).parents}
    in_the_way = [path for path in others if path in files or path in parents]
    in_the_way += [path for path in files if (folder / path).is_dir() and path not in others]
    if in_the_way:
        listing = "\n".join(f"  {folder / path}" for path in sorted(in_the_way))
        raise FolderError(f"not written by thetac, and in the way; move or delete:\n{listing}")
    # A folder above an output folder holds generated files too; the files directly in it tell the two apart.
    known = any(_is_ours(folder / path) for path in files if len(Path(path).parts) == 1)
    if not known and files_in(folder):
        raise FolderError(f"{folder} is neither empty nor output of thetac; give a new or an empty folder")
    if Path(os.path.realpath(os.curdir)).is_relative_to(folder):
        raise FolderError(f"{folder} is replaced as a whole; run this from a folder outside of it")
