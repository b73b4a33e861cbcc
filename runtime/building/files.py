"""Files of compiled objects: written whole, loaded only if whole.

In: the bytes of an object and where it goes, or where one may lie. Out: a file that appears at once with all it
holds; a loaded library, or the reason why there is none. An object ends in a seal, the digest of its name and of what
precedes it (loaders ignore what follows an object), because loading a truncated one does not raise: it kills the
process, and one that was copied to another's name would compute something else. Must not know what objects hold.
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

MARK = b"\nthetac object 2\n"  # begins a seal; the number is that of its form
_SEAL = len(MARK) + hashlib.sha256().digest_size
_PATIENCE = 300  # seconds to wait for another process that builds the same; then both build it, which is no harm
NEW = ".new-"  # begins the names of files that are being written
LOCK = ".lock"  # ends the names of files that keep others out
_VERSION = "thetac_abi"


@dataclass(frozen=True, slots=True)
class Interface:
    """What an object offers."""

    functions: tuple[str, ...] = ()
    version: int | None = None  # the value of `thetac_abi`, where it has one


class MismatchError(Exception):
    """A whole object that does not offer what it should; the text is a clause about it."""


def is_whole(path: Path) -> bool:
    """Whether there is an object, and nothing of it is missing or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return content[-_SEAL:] == _seal(path.name, content[:-_SEAL])


def load_whole(path: Path, kind: type[Library], interface: Interface) -> Library | None:
    """The library, or None if there is no whole object that this machine can load. Raises MismatchError."""
    if not is_whole(path):
        return None
    try:
        library = kind(str(path))
    except OSError:  # of another architecture, or in a folder from which nothing may be executed
        return None
    if mismatch := _mismatch(library, interface):
        _ctypes.dlclose(library._handle)  # or the one that takes its place would not be looked at
        raise MismatchError(mismatch)
    return library


def _mismatch(library: ctypes.CDLL, interface: Interface) -> str:
    """What a library lacks of an interface; empty if nothing."""
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


def write_whole(path: Path, content: bytes) -> None:
    """Write an object; whoever looks sees all of it or nothing. Raises OSError."""
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
def only_one(path: Path) -> Iterator[None]:
    """Keep out other processes that would write the same file, as far as the file system can: for speed alone."""
    lock = path.with_name(f".{path.name}{LOCK}")
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
