"""Make temporary folders that other processes can remove once their owner has ended.

In: a prefix and a parent folder. Out: a new folder with a marker file that its process keeps locked. The system
releases a lock when its process ends, for whatever reason, so a process that gets the lock of a marker may remove its
folder. A process forked from the owner holds the lock, too. Must not know what is in the folders. Imports no torch.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MARKER = ".owner"  # contains the name of the machine: another one may see the folder, but not the lock
_YOUNG = 60  # seconds in which a folder's owner may not have locked its marker yet


@dataclass(frozen=True, slots=True)
class OwnedFolder:
    """A folder that this process has made."""

    path: Path
    lock: int | None  # descriptor of the locked marker; None where files cannot be locked

    def remove(self) -> None:
        """Remove the folder and release its lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self.lock is not None:
            os.close(self.lock)


def make_owned_folder(prefix: str, place: Path | None = None) -> OwnedFolder:
    """Make a folder in `place`, or in the folder for temporary files; raise OSError if that is not possible."""
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    try:
        marker = path / _MARKER
        marker.write_text(platform.node(), encoding="utf-8")
        return OwnedFolder(path, try_lock(marker))
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


@contextlib.contextmanager
def owned_folder(prefix: str, otherwise: Path) -> Iterator[Path]:
    """Make a folder for a block: in the folder for temporary files or, if that cannot be written, in `otherwise`."""
    try:
        folder = make_owned_folder(prefix)
    except OSError:
        folder = make_owned_folder(prefix, otherwise)
    try:
        yield folder.path
    finally:
        folder.remove()


def try_lock(path: Path) -> int | None:
    """Open and lock a file; return its descriptor, or None if another process has the lock or there are no locks."""
    try:
        import fcntl  # Windows does not have it

        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def unlink_if_unlocked(path: Path) -> None:
    """Remove a file unless a running process keeps it locked; raise OSError if it cannot be removed."""
    descriptor = try_lock(path)
    if descriptor is not None:
        path.unlink()
        os.close(descriptor)


def remove_abandoned(prefixes: tuple[str, ...], place: Path) -> None:
    """Remove the folders in `place` whose processes have ended. Those that cannot be read or removed are left."""
    with contextlib.suppress(OSError), os.scandir(place) as found:
        for entry in found:
            if entry.name.startswith(prefixes):
                with contextlib.suppress(OSError, ValueError):
                    _remove_if_abandoned(Path(entry.path))


def _remove_if_abandoned(folder: Path) -> None:
    marker = folder / _MARKER
    known = marker.lstat()
    is_mine = not folder.is_symlink() and hasattr(os, "geteuid") and known.st_uid == os.geteuid()
    if not is_mine or time.time() - known.st_mtime < _YOUNG or marker.read_text(encoding="utf-8") != platform.node():
        return
    lock = try_lock(marker)
    if lock is not None:
        OwnedFolder(folder, lock).remove()
