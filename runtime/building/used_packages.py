"""Record which packages of a cache are in use by running processes.

In: packages as they are imported. Out: their names. Each process lists its packages in a file that it keeps locked; the
system releases the lock when the process ends, for whatever reason. Must not know what packages contain. Imports no
torch.
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

LIST = ".in-use-"  # the prefix of the files
_PATIENCE = 1.0  # seconds to wait for the folder's lock

_lists: dict[Path, tuple[Path, int]] = {}  # per cache: this process's file and its descriptor, which holds the lock
_noted: set[Path] = set()


def mark_in_use(package: Path) -> None:
    """Record that a package is in use until this process, and those forked from it, have ended.

    It need not exist yet. Where files cannot be written or locked, nothing is recorded.
    """
    folder = package.parent
    if package in _noted:
        return
    _noted.add(package)
    with contextlib.suppress(OSError), lock_folder(folder):
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
    """Remove the list of this process, unless a process forked from it still runs."""
    path, descriptor = _lists.pop(folder)
    with contextlib.suppress(OSError):
        os.close(descriptor)
        unlink_if_unlocked(path)


def read_used_packages(folder: Path) -> Collection[str]:
    """Return the names that running processes have recorded; raise OSError if the folder cannot be read."""
    names: set[str] = set()
    for name in os.listdir(folder):
        if name.startswith(LIST):
            descriptor = try_lock(folder / name)
            if descriptor is not None:  # its process has ended
                os.close(descriptor)
                continue
            with contextlib.suppress(FileNotFoundError):  # its process has ended meanwhile
                names.update((folder / name).read_text(encoding="utf-8", errors="replace").split())
    return names


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[bool]:
    """Lock a folder for a block, so that no other process removes or records packages; give whether that succeeded."""
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
