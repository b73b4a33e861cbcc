"""Folders that nobody but this user can write to, for what is made at run time and then run.

What lies in them is imported or loaded, so whoever can write to one runs code as this user. In: the environment. Out:
folders that are safe; a fresh temporary one where the usual place is not, or cannot be used. Must not import torch.
"""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path


@cache
def private_folder() -> Path:
    """`$XDG_CACHE_HOME/thetac` or `~/.cache/thetac`; a temporary folder of this process if that is not private."""
    folder = _usual_place()
    return folder if folder is not None and is_usable(folder) else temporary_folder()


def private_folders() -> Iterator[Path]:
    """Every place to try in turn, best first: where one cannot hold what it should, another may."""
    folder = _usual_place()
    if folder is not None and is_usable(folder):
        yield folder
    try:
        # Kept for other processes of this user, which the last one is not.
        shared = Path(tempfile.gettempdir()) / f"thetac-{os.geteuid()}"
        if is_usable(shared):
            yield shared
        yield temporary_folder()
    except OSError:  # there is no place for temporary files at all
        return


@cache
def temporary_folder() -> Path:
    """A folder of this process, removed at its end."""
    folder = Path(tempfile.mkdtemp(prefix="thetac-"))
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # not at the end of a process forked from it
        shutil.rmtree(folder, ignore_errors=True)


def _usual_place() -> Path | None:
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if given.is_absolute():  # the specification says to ignore relative ones
        return given / "thetac"
    try:
        return Path.home() / ".cache" / "thetac"
    except RuntimeError:  # a user without a home
        return None


def is_usable(folder: Path) -> bool:
    """Whether the folder is, or could be made, one that only this user can write to."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
        return (
            private and all(_is_trusted(parent) for parent in folder.resolve().parents) and os.access(folder, os.W_OK)
        )
    except OSError:
        return False


def _is_trusted(folder: Path) -> bool:
    """Whether nobody else can put another folder in the place of one in this folder."""
    found = folder.stat()
    shared = bool(found.st_mode & 0o022)
    return found.st_uid in (0, os.geteuid()) and (not shared or bool(found.st_mode & stat.S_ISVTX))
