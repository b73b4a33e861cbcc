"""The cache as a whole: what is in it, and what may go.

In: a folder that `private_folder.py` gives. Out: its entries, compiled objects and loaded packages; a cache that
stays below a size, without entries that were not used for long and without what killed processes left. An object may
go at any time: it is built anew. A package stays while a process runs that loaded it. Must not know what entries
hold. Imports no torch.
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
from thetac.runtime.building.files import LOCK, NEW
from thetac.runtime.building.in_use import LIST, list_as_used, listed, locked_folder
from thetac.runtime.building.owned_folder import remove_abandoned, unlink_if_unlocked
from thetac.runtime.building.private_folder import TEMPORARY

OBJECTS = "objects"  # the folder of compiled objects within a cache
OLD = ".old-"  # begins the names of what is being removed
DAYS = 90  # for which an entry is kept that nothing uses
_MEBIBYTES = 512

_PACKAGE = re.compile(r"\w+_[0-9a-f]{24}")
_READER = "reader-"
_LEFTOVERS = (NEW, OLD)
_LEFT_FOR = 3600  # seconds after which what was being written belongs to a process that was killed
_YOUNG = 600  # seconds in which an entry is kept whatever the size: a process may be about to use it
_PAUSE = 600  # seconds between two cleanings by one process
_STALE = 3600  # seconds after which a use is noted again


class Kind(Enum):
    KERNEL = "C++ kernels"
    READER = "tensor readers"
    PACKAGE = "loaded packages"


@dataclass(frozen=True, slots=True)
class Entry:
    path: Path
    kind: Kind
    size: int  # bytes
    used: float  # when, in seconds since the epoch; to the hour


def largest_size() -> int:
    """How many bytes a cache may hold: `$THETAC_CACHE_SIZE` mebibytes. A value that is no number is ignored."""
    given = os.environ.get("THETAC_CACHE_SIZE", "").strip()
    return (int(given) if re.fullmatch("[0-9]{1,9}", given) else _MEBIBYTES) << 20


def entries(folder: Path) -> list[Entry]:
    """What a cache holds, least recently used first."""
    found: list[Entry] = []
    for path in _within(folder / OBJECTS):
        if path.suffix == ".so" and not path.name.startswith("."):
            with contextlib.suppress(OSError):
                known = path.lstat()
                kind = Kind.READER if path.name.startswith(_READER) else Kind.KERNEL
                found.append(Entry(path, kind, known.st_size, known.st_mtime))
    for path in _within(folder):
        if _PACKAGE.fullmatch(path.name):
            with contextlib.suppress(OSError):
                found.append(Entry(path, Kind.PACKAGE, _size(path), path.lstat().st_mtime))
    return sorted(found, key=lambda entry: entry.used)


def mark_used(entry: Path) -> None:
    """Note that an entry, which may not be there yet, is used now; a package stays until the end of this process."""
    if _PACKAGE.fullmatch(entry.name):
        list_as_used(entry)
    with contextlib.suppress(OSError):  # a cache that can only be read serves as well
        if time.time() - entry.lstat().st_mtime > _STALE:
            os.utime(entry)


def clean_sometimes(folder: Path) -> None:
    """Clean a cache that has grown, unless this process did so a short time ago."""
    now = time.monotonic()
    if now - _cleaned.get(folder, -_PAUSE) >= _PAUSE:
        _cleaned[folder] = now
        clean(folder)


def clean(folder: Path) -> None:
    """Remove what is too old, then what was not used for longest until the rest is small enough, and leftovers."""
    now = time.time()
    found = entries(folder)
    total = sum(entry.size for entry in found)
    for entry in found:
        age = now - entry.used
        if age <= _YOUNG or (age <= DAYS * 86400 and total <= largest_size()):
            break
        if _remove(entry):
            total -= entry.size
    _remove_leftovers(folder, now)


def clear(folder: Path) -> list[Entry]:
    """Remove all entries; returns those that stay: packages that a running process uses, and what cannot be removed."""
    kept = [entry for entry in entries(folder) if not _remove(entry)]
    _remove_leftovers(folder, time.time())
    return kept


def _remove(entry: Entry) -> bool:
    """Whether it is gone."""
    try:
        if entry.kind is not Kind.PACKAGE:
            entry.path.unlink(missing_ok=True)
            return True
        folder = entry.path.parent
        with locked_folder(folder) as alone:
            known = entry.path.lstat()
            if not alone or known.st_mtime > entry.used or entry.path.name in listed(folder):
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
    for path in (*_within(folder), *_within(folder / OBJECTS)):
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


def _within(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in os.listdir(folder)]
    except OSError:
        return []


def _size(package: Path) -> int:
    return sum(path.lstat().st_size for path in package.rglob("*") if not path.is_dir())


_cleaned: dict[Path, float] = {}  # when this process cleaned a cache last
