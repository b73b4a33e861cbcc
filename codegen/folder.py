"""Replace a folder as a whole.

In: a folder, names of files in it that stay, contents of files that are new. Out: the folder with exactly those.
At any time, also after the process was killed, the folder holds all of the old files or all of the new ones. Must
not know what the files are.

The new content is assembled in a new folder beside the old one; files that stay are hard links to themselves, so
they keep their times. Then the two folders are exchanged in one call of the operating system (Linux), or by two
renames where it has no such call; the next run repairs a crash between those two.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_CACHES = "__pycache__"  # Python makes it again; an old one could outlive a change of its source
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of linux/fcntl.h and linux/fs.h


class FolderError(Exception):
    """A folder that cannot be written, and what to do about it."""


def files_in(folder: Path) -> tuple[str, ...]:
    """Return every file and link in the folder, relative to it, in order of names, without Python's caches.

    Raise OSError if a folder cannot be listed.
    """
    found: list[str] = []
    for where, folders, names in os.walk(folder, onerror=_raise) if folder.exists() else ():
        links = [name for name in folders if os.path.islink(os.path.join(where, name))]
        folders[:] = [name for name in folders if name != _CACHES]
        found += [os.path.relpath(os.path.join(where, name), folder) for name in (*names, *links)]
    return tuple(sorted(found))


def _raise(error: OSError) -> None:
    raise error  # a folder that cannot be listed would be taken for empty, and its files would be lost


@contextlib.contextmanager
def folder_errors(folder: Path) -> Iterator[None]:
    """Raise FolderError in place of an OSError within the block."""
    try:
        yield
    except OSError as error:
        raise FolderError(f"{error.filename or folder} cannot be read: {error.strerror}") from error


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Lock the folder for this process and repair what a crashed run left; release it after the block.

    Raises:
        FolderError: If the folder is a file or the root, or in place of an OSError within the block.
    """
    if (folder.exists() and not folder.is_dir()) or folder == folder.parent:
        # The exchange works with anything, also with a file or a device; the root has no parent to work in.
        raise FolderError(f"{folder} is no folder; give a new or an empty one")
    import fcntl  # Windows does not have it; it can compile specs without writing folders

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder.parent, os.O_RDONLY)
        try:
            # Some network file systems cannot lock folders; there, the user has to avoid two runs at once.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            _clear(folder)
            yield
        finally:
            os.close(descriptor)
    except OSError as error:
        raise FolderError(f"{folder} cannot be written: {error.strerror}: {error.filename or folder}") from error


def _new(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.thetac-new")


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.thetac-old")


def _clear(folder: Path) -> None:
    """Finish an interrupted exchange, and delete what it left beside the folder."""
    if _old(folder).exists() and not folder.exists():
        os.rename(_old(folder), folder)
    for leftover in (_new(folder), _old(folder)):
        if leftover.exists():
            shutil.rmtree(leftover)


def replace_folder(folder: Path, kept: Iterable[str], fresh: Mapping[str, bytes]) -> None:
    """Replace the folder by one with the kept files and the fresh ones, and no others.

    Args:
        folder: The folder, locked by `locked_folder`; it may not exist yet.
        kept: Paths of files that stay as they are, relative to the folder.
        fresh: Contents of new files by path relative to the folder.

    Raises:
        OSError: If it cannot be done; the folder is unchanged then.
    """
    new = _new(folder)
    try:
        new.mkdir()
        for path in kept:
            _keep(folder / path, new / path)
        for path, content in sorted(fresh.items()):
            _write(new / path, content, like=folder / path)
        if folder.exists():
            shutil.copystat(folder, new)
            _swap(new, folder)
        else:
            os.rename(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)  # it holds the old files now, or after a failure the new ones


def _keep(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target, follow_symlinks=False)


def _write(path: Path, content: bytes, like: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
    if like.exists():
        shutil.copymode(like, path)


def _swap(new: Path, folder: Path) -> None:
    """Exchange the two folders, and delete the old content where that took two renames."""
    if _exchange(new, folder):
        return
    old = _old(folder)
    os.rename(folder, old)
    try:
        os.rename(new, folder)
    except BaseException:
        os.rename(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _exchange(new: Path, folder: Path) -> bool:
    """Exchange the two folders in one call; return False if the system has no such call."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(folder), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL):  # an old kernel, or a file system that cannot
        return False
    raise OSError(number, os.strerror(number), str(folder))
