"""Files of compiled objects: written whole, loaded only if whole.

In: the bytes of an object and where it goes, or where one may lie. Out: a file that appears at once with all it holds;
a loaded library, or None. An object ends in a seal, the digest of what precedes it (loaders ignore what follows an
object), because loading a truncated one does not raise: it kills the process. Must not know what objects hold.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

Library = TypeVar("Library", bound=ctypes.CDLL)

_MARK = b"\nthetac object\n"
_SEAL = len(_MARK) + hashlib.sha256().digest_size
_PATIENCE = 300  # seconds to wait for another process that builds the same; then both build it, which is no harm
_OLD = 3600  # seconds after which a file that was being written belongs to a process that was killed
_NEW = ".new-"


def is_whole(path: Path) -> bool:
    """Whether there is an object, and nothing of it is missing or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return content[-_SEAL:] == _seal(content[:-_SEAL])


def load_whole(path: Path, kind: type[Library]) -> Library | None:
    """The library, or None if there is no whole object that this machine can load."""
    if not is_whole(path):
        return None
    try:
        return kind(str(path))
    except OSError:  # of another architecture, or in a folder from which nothing may be executed
        return None


def write_whole(path: Path, content: bytes) -> None:
    """Write an object; whoever looks sees all of it or nothing. Raises OSError."""
    for leftover in path.parent.glob(f"{_NEW}*"):
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _OLD:
                leftover.unlink()
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_NEW)
    try:
        with open(descriptor, "wb") as file:
            file.write(content + _seal(content))
            os.fchmod(file.fileno(), 0o755)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _seal(content: bytes) -> bytes:
    return _MARK + hashlib.sha256(content).digest()


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Keep out other processes that would write the same file, as far as the file system can: for speed alone."""
    lock = path.with_name(f".{path.name}.lock")
    descriptor = _locked(lock)
    try:
        yield
    finally:
        if descriptor is not None:
            with contextlib.suppress(OSError):
                lock.unlink()
            os.close(descriptor)


def _locked(lock: Path) -> int | None:
    """An open file with the lock; None if it could not be had."""
    import fcntl  # Windows does not have it, and imports this module all the same

    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        try:
            descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The one who had it before may have removed the file in between, and another made a new one.
            if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                return descriptor
        except BlockingIOError:
            time.sleep(0.02)
        except FileNotFoundError:
            pass
        except OSError:  # a file system without locks
            os.close(descriptor)
            return None
        os.close(descriptor)
    return None
