"""Write files of compiled objects atomically, and load only intact ones.

In: the bytes of an object and its path. Out: a file that appears with all of its content at once; a loaded library, or
the reason why there is none. An object ends in a seal, a digest of its name and content (loaders ignore what follows
an object): to load a truncated one would not raise but kill the process, and one that was copied to another's name
would compute something else. Must not know what objects contain.
"""

from __future__ import annotations

import _ctypes
import contextlib
import ctypes
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Library = TypeVar("Library", bound=ctypes.CDLL)

MARK = b"\nthetac object 2\n"  # the beginning of a seal; the number is the version of its format
_SEAL = len(MARK) + hashlib.sha256().digest_size
_PATIENCE = 300  # seconds to wait for another process that builds the same; then both do, which is harmless
NEW = ".new-"  # the prefix of files and folders that are being written
LOCK = ".lock"  # the suffix of lock files
_VERSION = "thetac_abi"


@dataclass(frozen=True, slots=True)
class Interface:
    """What a library must offer before it is used."""

    functions: tuple[str, ...] = ()
    version: int | None = None  # the value that `thetac_abi` must have; None: it is not read


class MismatchError(Exception):
    """Raised for an intact object with another interface. The message is the predicate of a sentence about it."""


def is_intact(path: Path) -> bool:
    """Return whether there is an object, and nothing of it is missing or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return content[-_SEAL:] == _seal(path.name, content[:-_SEAL])


def load_intact(path: Path, kind: type[Library], interface: Interface) -> Library | None:
    """Load an object.

    Returns:
        The library; None if there is no intact object, or this machine cannot load it.

    Raises:
        MismatchError: It has another interface. It is unloaded again, and nothing of it was called.
    """
    if not is_intact(path):
        return None
    try:
        library = kind(str(path))
    except OSError:  # of another architecture, or in a folder that is mounted noexec
        return None
    if mismatch := _mismatch(library, interface):
        _ctypes.dlclose(library._handle)  # else the object that replaces it would not be loaded
        raise MismatchError(mismatch)
    return library


def _mismatch(library: ctypes.CDLL, interface: Interface) -> str:
    """Return what a library lacks of an interface, as the predicate of a sentence; empty if it lacks nothing."""
    for name in interface.functions:
        if not hasattr(library, name):
            return f"has no function `{name}`"
    if interface.version is None:
        return ""
    try:
        version = ctypes.c_int64.in_dll(library, _VERSION).value
    except ValueError:
        return f"has no `{_VERSION}`"
    return "" if version == interface.version else f"has version {version} of its interface, not {interface.version}"


def write_sealed(path: Path, content: bytes) -> None:
    """Write an object with its seal; raise OSError if that fails. Other processes see the whole file or none."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=NEW)
    try:
        with open(descriptor, "wb") as file:
            file.write(content + _seal(path.name, content))
            os.fchmod(file.fileno(), 0o755)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _seal(name: str, content: bytes) -> bytes:
    return MARK + hashlib.sha256(os.fsencode(name) + b"\n" + content).digest()


@contextlib.contextmanager
def hold_build_lock(path: Path) -> Iterator[None]:
    """Hold a lock for a block, so that of many processes one builds a file and the others wait for it.

    Without a lock, because the file system has none or the builder takes too long, the block runs as well: several
    processes then build the same, which only takes longer.
    """
    lock = path.with_name(f".{path.name}{LOCK}")
    descriptor = _acquire_lock(lock)
    try:
        yield
    finally:
        if descriptor is not None:
            with contextlib.suppress(OSError):
                lock.unlink()
            os.close(descriptor)


def _acquire_lock(lock: Path) -> int | None:
    """Open and lock a file; return its descriptor, or None if that is not possible."""
    import fcntl  # Windows does not have it, and imports this module all the same

    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        try:
            descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The previous holder may have removed the file in between, and another process made a new one.
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
