"""Folders that nobody but this user can write to, for what is made at run time and then run.

What lies in them is imported or loaded, so whoever can write to one runs code as this user. In: the environment. Out:
folders that are safe; a fresh temporary one where the usual place is not, or cannot be used. Must not import torch.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from thetac.runtime.building.owned_folder import OwnedFolder, make_owned

TEMPORARY = "thetac-process-"  # begins the names of folders that last as long as a process


@cache
def private_folder() -> Path:
    """`$XDG_CACHE_HOME/thetac` or `~/.cache/thetac`; a temporary folder of this process if that is not private.

    Raises OSError where neither can be had.
    """
    folder = _usual_place()
    return folder if folder is not None and is_usable(folder) else temporary_folder()


def private_folders() -> Iterator[Path]:
    """Every place to try in turn, best first: where one cannot hold what it should, another may."""
    for folder in _lasting_places():
        if is_usable(folder):
            yield folder
    with contextlib.suppress(OSError):  # there is no place for temporary files at all
        yield temporary_folder()


def existing_folders() -> list[Path]:
    """The places among `private_folders` that outlast a process and are there; none is made."""
    return [folder for folder in _lasting_places() if _is_safe(folder)]


@cache
def temporary_folder() -> Path:
    """A folder of this process, removed at its end. Raises OSError."""
    try:
        folder = make_owned(TEMPORARY)
    except OSError as error:
        raise OSError(
            error.errno,
            "no folder can hold what thetac makes at run time; set XDG_CACHE_HOME or TMPDIR to one that only this "
            f"user can write to ({error.strerror})",
        ) from error
    atexit.register(_remove, folder, os.getpid())
    return folder.path


def _remove(folder: OwnedFolder, owner: int) -> None:
    if os.getpid() == owner:  # not at the end of a process forked from it
        folder.remove()


def _lasting_places() -> Iterator[Path]:
    usual = _usual_place()
    if usual is not None:
        yield usual
    if hasattr(os, "geteuid"):  # elsewhere, folders for temporary files belong to a user already
        with contextlib.suppress(OSError):  # there is no place for temporary files at all
            # Kept for other processes of this user, which a temporary folder is not.
            yield Path(tempfile.gettempdir()) / f"thetac-{os.geteuid()}"


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
    except OSError:
        return False
    return _is_safe(folder) and os.access(folder, os.W_OK)


def _is_safe(folder: Path) -> bool:
    """Whether the folder is there, and only this user can write to it, or put another in its place."""
    try:
        found = folder.lstat()
        if not hasattr(os, "geteuid"):  # Windows: modes say nothing, and a profile is its user's
            return stat.S_ISDIR(found.st_mode)
        private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
        return private and all(_is_trusted(parent) for parent in folder.resolve().parents)
    except OSError:
        return False


def _is_trusted(folder: Path) -> bool:
    """Whether nobody else can put another folder in the place of one in this folder."""
    found = folder.stat()
    shared = bool(found.st_mode & 0o022)
    return found.st_uid in (0, os.geteuid()) and (not shared or bool(found.st_mode & stat.S_ISVTX))
