"""List and clean a cache.

In: a folder of `private_folder.py`. Out: its entries, which are compiled objects and loaded packages; a cache below a
certain size, without entries that have not been used for long and without what killed processes left. An object may be
removed at any time: it is built again. A package is kept while a process that loaded it runs. Must not know what
entries contain. Imports no torch.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from thetac.runtime.building.compiler import SCRATCH
from thetac.runtime.building.object_files import LOCK, NEW
from thetac.runtime.building.owned_folder import remove_abandoned, unlink_if_unlocked
from thetac.runtime.building.private_folder import TEMPORARY
from thetac.runtime.building.used_packages import LIST, lock_folder, mark_in_use, read_used_packages

OBJECTS = "objects"  # the folder of compiled objects within a cache
OLD = ".old-"  # the prefix of what is being removed
DAYS = 90  # without use after which an entry is removed
_MEBIBYTES = 512

_PACKAGE = re.compile(r"\w+_[0-9a-f]{24}")
_READER = "reader-"
_LEFTOVERS = (NEW, OLD)
_LEFT_FOR = 3600  # seconds after which an unfinished file is taken for one of a killed process
_YOUNG = 600  # seconds for which an entry is kept whatever the size: a process may be about to use it
_PAUSE = 600  # seconds between two cleanings by a process
_STALE = 3600  # seconds after which a use is recorded again


class Kind(Enum):
    """What an entry is; the value is its name in `thetac cache`."""

    KERNEL = "C++ kernels"
    READER = "tensor readers"
    PACKAGE = "loaded packages"


@dataclass(frozen=True, slots=True)
class Entry:
    """A compiled object, or the folder of a package."""

    path: Path
    kind: Kind
    size: int  # bytes
    used: float  # seconds since the epoch at its last use, to the hour


def read_largest_size() -> int:
    """Return the largest size of a cache in bytes: `$THETAC_CACHE_SIZE` mebibytes; 512 if that is not a number."""
    given = os.environ.get("THETAC_CACHE_SIZE", "").strip()
    return (int(given) if re.fullmatch("[0-9]{1,9}", given) else _MEBIBYTES) << 20


def list_entries(folder: Path) -> list[Entry]:
    """List the entries of a cache, least recently used first."""
    found: list[Entry] = []
    for path in _list_paths(folder / OBJECTS):
        if path.suffix == ".so" and not path.name.startswith("."):
            with contextlib.suppress(OSError):
                known = path.lstat()
                kind = Kind.READER if path.name.startswith(_READER) else Kind.KERNEL
                found.append(Entry(path, kind, known.st_size, known.st_mtime))
    for path in _list_paths(folder):
        if _PACKAGE.fullmatch(path.name):
            with contextlib.suppress(OSError):
                found.append(Entry(path, Kind.PACKAGE, _size_of(path), path.lstat().st_mtime))
    return sorted(found, key=lambda entry: entry.used)


def mark_used(entry: Path) -> None:
    """Record that an entry is used now. It need not exist yet. A package is then kept until this process ends."""
    if _PACKAGE.fullmatch(entry.name):
        mark_in_use(entry)
    with contextlib.suppress(OSError):  # a read-only cache can be used as well
        if time.time() - entry.lstat().st_mtime > _STALE:
            os.utime(entry)


def clean_sometimes(folder: Path) -> None:
    """Clean a cache to which something was added, unless this process has cleaned it within the last ten minutes."""
    now = time.monotonic()
    if now - _cleaned.get(folder, -_PAUSE) >= _PAUSE:
        _cleaned[folder] = now
        clean(folder)


def clean(folder: Path) -> None:
    """Remove old entries, then the least recently used ones until the rest is small enough, and leftovers."""
    now = time.time()
    found = list_entries(folder)
    total = sum(entry.size for entry in found)
    for entry in found:
        age = now - entry.used
        if age <= _YOUNG or (age <= DAYS * 86400 and total <= read_largest_size()):
            break
        if _remove(entry):
            total -= entry.size
    _remove_leftovers(folder, now)


def clear(folder: Path) -> list[Entry]:
    """Remove all entries; return those that are kept: packages in use, and what cannot be removed."""
    kept = [entry for entry in list_entries(folder) if not _remove(entry)]
    _remove_leftovers(folder, time.time())
    return kept


def _remove(entry: Entry) -> bool:
    """Remove an entry; return whether it no longer exists."""
    try:
        if entry.kind is not Kind.PACKAGE:
            entry.path.unlink(missing_ok=True)
            return True
        folder = entry.path.parent
        with lock_folder(folder) as alone:
            known = entry.path.lstat()
            if not alone or known.st_mtime > entry.used or entry.path.name in read_used_packages(folder):
                return False
            away = Path(tempfile.mkdtemp(dir=folder, prefix=OLD))
            os.rename(entry.path, away)
        shutil.rmtree(away, ignore_errors=True)
        return True
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _remove_leftovers(folder: Path, now: float) -> None:
    """Remove unfinished files, locks and folders of processes that have ended."""
    for path in (*_list_paths(folder), *_list_paths(folder / OBJECTS)):
        with contextlib.suppress(OSError):
            if now - path.lstat().st_mtime <= _LEFT_FOR:
                continue
            if path.name.startswith(LIST) or (path.name.startswith(".") and path.name.endswith(LOCK)):
                unlink_if_unlocked(path)
            elif path.name.startswith(_LEFTOVERS):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    remove_abandoned((SCRATCH,), folder / OBJECTS)
    with contextlib.suppress(OSError):
        remove_abandoned((SCRATCH, TEMPORARY), Path(tempfile.gettempdir()))


def _list_paths(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in os.listdir(folder)]
    except OSError:
        return []


def _size_of(package: Path) -> int:
    return sum(path.lstat().st_size for path in package.rglob("*") if not path.is_dir())


_cleaned: dict[Path, float] = {}  # per cache: when this process last cleaned it
