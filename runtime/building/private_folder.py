"""Find folders that only this user can write to, for code that is made at run time.

Their files are imported or loaded, so another user who could write to one would run code as this user. In: the
environment. Out: folders that are safe; a new temporary one if the usual one is not safe or cannot be written. Must not
import torch.
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

from thetac.runtime.building.owned_folder import OwnedFolder, make_owned_folder

TEMPORARY = "thetac-process-"  # the prefix of folders that last as long as a process


@cache
def find_private_folder() -> Path:
    """Find the folder for what later processes use, too.

    Returns:
        `$XDG_CACHE_HOME/thetac` or `~/.cache/thetac`; a temporary folder of this process if that is not private.

    Raises:
        OSError: Neither can be written.
    """
    folder = _usual_folder()
    return folder if folder is not None and make_private(folder) else make_temporary_folder()


def list_private_folders() -> Iterator[Path]:
    """List private folders to try in turn, best first: where one turns out to be unusable, another may work."""
    for folder in _lasting_folders():
        if make_private(folder):
            yield folder
    with contextlib.suppress(OSError):  # there is no folder for temporary files
        yield make_temporary_folder()


def list_existing_folders() -> list[Path]:
    """List those of `list_private_folders` that outlast a process and exist; none is made."""
    return [folder for folder in _lasting_folders() if _is_safe(folder)]


@cache
def make_temporary_folder() -> Path:
    """Make a folder of this process, once; it is removed at exit. Raise OSError if none can be made."""
    try:
        folder = make_owned_folder(TEMPORARY)
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


def _lasting_folders() -> Iterator[Path]:
    usual = _usual_folder()
    if usual is not None:
        yield usual
    if hasattr(os, "geteuid"):  # elsewhere, folders for temporary files belong to a user already
        with contextlib.suppress(OSError):  # there is no folder for temporary files
            # Unlike a temporary folder, it is kept for later processes of this user.
            yield Path(tempfile.gettempdir()) / f"thetac-{os.geteuid()}"


def _usual_folder() -> Path | None:
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if given.is_absolute():  # the specification says to ignore relative ones
        return given / "thetac"
    try:
        return Path.home() / ".cache" / "thetac"
    except RuntimeError:  # a user without a home
        return None


def make_private(folder: Path) -> bool:
    """Make a folder if it does not exist; return whether this user, and no other, can write to it."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return False
    return _is_safe(folder) and os.access(folder, os.W_OK)


def _is_safe(folder: Path) -> bool:
    """Return whether a folder exists, and only this user can write to it or replace it."""
    try:
        found = folder.lstat()
        if not hasattr(os, "geteuid"):  # Windows: modes say nothing, and a profile is its user's
            return stat.S_ISDIR(found.st_mode)
        private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
        return private and all(_is_trusted(parent) for parent in folder.resolve().parents)
    except OSError:
        return False


def _is_trusted(folder: Path) -> bool:
    """Return whether no other user can replace what is in a folder."""
    found = folder.stat()
    shared = bool(found.st_mode & 0o022)
    return found.st_uid in (0, os.geteuid()) and (not shared or bool(found.st_mode & stat.S_ISVTX))
