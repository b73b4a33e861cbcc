"""Which packages of a cache running processes use.

In: packages as they are imported. Out: their names, listed by each process in a file that it keeps locked: the system
gives the lock up when the process ends, however that comes about. Must not know what packages hold. Imports no torch.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from thetac.runtime.building.owned_folder import try_lock, unlink_if_unlocked

LIST = ".in-use-"  # begins the names of the files
_PATIENCE = 1.0  # seconds to wait for the folder's lock

_lists: dict[Path, tuple[Path, int]] = {}  # by cache: the file, and its descriptor, which holds the lock
_noted: set[Path] = set()


def list_as_used(package: Path) -> None:
    """Keep a package, which may not be there yet, until the end of this process and of those forked from it."""
    folder = package.parent
    if package in _noted:
        return
    _noted.add(package)
    with contextlib.suppress(OSError), locked_folder(folder):
        if folder not in _lists:
            descriptor, name = tempfile.mkstemp(dir=folder, prefix=LIST)
            os.close(descriptor)
            lock = try_lock(Path(name))
            if lock is None:
                os.unlink(name)
                return
            _lists[folder] = Path(name), lock
            atexit.register(_end_list, folder)
        os.write(_lists[folder][1], package.name.encode() + b"\n")


def _end_list(folder: Path) -> None:
    """Remove the list, unless a process forked from this one goes on."""
    path, descriptor = _lists.pop(folder)
    with contextlib.suppress(OSError):
        os.close(descriptor)
        unlink_if_unlocked(path)


def listed(folder: Path) -> Collection[str]:
    """The names that running processes list. Raises OSError."""
    names: set[str] = set()
    for name in os.listdir(folder):
        if name.startswith(LIST):
            descriptor = try_lock(folder / name)
            if descriptor is not None:  # of a process that is gone
                os.close(descriptor)
                continue
            with contextlib.suppress(FileNotFoundError):  # its process has ended by now
                names.update((folder / name).read_text(encoding="utf-8", errors="replace").split())
    return names


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[bool]:
    """Keep other processes from removing or taking packages meanwhile; whether that could be done."""
    try:
        import fcntl  # Windows does not have it

        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except (ImportError, OSError):
        yield False
        return
    try:
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < until:
                    time.sleep(0.01)
                    continue
                yield False
            except OSError:  # a file system without locks
                yield False
            else:
                yield True
            return
    finally:
        os.close(descriptor)
