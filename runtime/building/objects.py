"""Compiled objects: found where one was built before, else built, then loaded.

In: a source file with its headers and macros. Out: a loaded library, or a `BuildError` with the reason; the same answer
at every later call of the process, so that a compiler that fails is not asked twice. docs/building.md says where
objects are searched for and what decides whether one fits. Must not know what is compiled. Imports no torch.
"""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import os
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from thetac.runtime.building.cache import OBJECTS, clean_sometimes, mark_used
from thetac.runtime.building.compiler import (
    BuildError,
    Compiler,
    Recipe,
    arguments,
    compiled,
    find_compiler,
    levels,
)
from thetac.runtime.building.files import (
    MARK,
    Interface,
    Library,
    MismatchError,
    is_whole,
    load_whole,
    only_one,
    write_whole,
)
from thetac.runtime.building.private_folder import private_folders

__all__ = ["BuildError", "Interface", "build", "build_folder", "load_object", "recipe", "warn_once"]

ROOT = Path(__file__).resolve().parents[2]  # the checkout, or the installed package

_SETTINGS = (
    "CXX",
    "PATH",
    "THETAC_CPU_LEVEL",
    "THETAC_BUILD_DIR",
    "THETAC_BUILD_SECONDS",
    "THETAC_BUILD_MEMORY",
    "XDG_CACHE_HOME",
)

_lock = threading.Lock()
_known: dict[tuple[object, ...], ctypes.CDLL | BuildError] = {}
_warned: set[str] = set()  # what has been told, by what it adds


def _after_fork() -> None:
    """The thread that held the lock, if any, is not in the new process."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def load_object(
    source_paths: Sequence[Path],
    defines: Mapping[str, str],
    name: str,
    kind: type[Library],
    interface: Interface = Interface(),  # noqa: B008  # it is frozen
) -> Library:
    """The library compiled from the first of the paths; the others are headers that it includes by their names.

    `kind` is `ctypes.CDLL`, or `ctypes.PyDLL` for functions that need the interpreter's lock. Raises BuildError.
    """
    asked = (tuple(source_paths), tuple(defines.items()), name, kind, interface, *_settings())
    with _lock:
        if asked not in _known:
            try:
                _known[asked] = _found_or_built(recipe(source_paths, defines, name), kind, interface)
            except BuildError as error:
                _known[asked] = error
            except OSError as error:
                _known[asked] = BuildError(f"{name} cannot be built: {error}")
        known = _known[asked]
    if isinstance(known, BuildError):
        raise BuildError(str(known))
    return cast("Library", known)


def recipe(source_paths: Sequence[Path], defines: Mapping[str, str], name: str) -> Recipe:
    source, *headers = source_paths
    return Recipe(name, source, tuple(headers), tuple(sorted(defines.items())))


def build(wanted: Recipe, folder: Path, level: str) -> bool:
    """Build an object ahead of time, in a folder such as `build_folder()`. Whether it was not there already.

    Raises BuildError, and OSError where it cannot be written.
    """
    path = _place(wanted, folder) / _file_name(wanted, level, None)
    if is_whole(path):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    content = compiled(wanted, level, find_compiler(), path.parent)
    write_whole(path, content)
    return True


def build_folder() -> Path:
    """Where objects that were built ahead of time lie: `$THETAC_BUILD_DIR`, or `build/objects` beside the runtime."""
    given = os.environ.get("THETAC_BUILD_DIR", "")
    return Path(given) if given else ROOT / "build" / "objects"


def warn_once(error: BuildError, consequence: str = "") -> None:
    """Tell the user, once per process and consequence, that something runs without its compiled object."""
    if consequence not in _warned:
        _warned.update(("", consequence))
        text = f"optimizers run without their C++ kernels, and slower{consequence}: {error}"
        warnings.warn(text, RuntimeWarning, stacklevel=_level_of_user())


def _level_of_user() -> int:
    """How far from `warn_once` the code is that called `step`: neither ours nor torch's."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] in ("thetac", "torch"):
        level, frame = level + 1, frame.f_back
    return level - 1


def _settings() -> tuple[str | None, ...]:
    """What of the environment decides which object is loaded."""
    return tuple(map(os.environ.get, _SETTINGS))


def _found_or_built(wanted: Recipe, kind: type[Library], interface: Interface) -> Library:
    for path in _prebuilt(wanted):
        if library := _found(path, kind, interface):
            return library
    compiler = find_compiler()
    level = levels()[0]
    name = _file_name(wanted, level, compiler)
    paths = [folder / OBJECTS / name for folder in private_folders()]
    for path in paths:
        if library := _found(path, kind, interface):
            mark_used(path)
            return library
    content: bytes | None = None
    obstacles: list[str] = []
    for path in paths:
        folder = path.parent
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            with only_one(path):
                if library := _found(path, kind, interface):  # another process was faster
                    return library
                if content is None:
                    content = compiled(wanted, level, compiler, folder)
                write_whole(path, content)
                if library := load_whole(path, kind, interface):
                    clean_sometimes(folder.parent)
                    return library
            obstacles.append(f"{folder}: nothing can be loaded from there")
        except OSError as error:
            obstacles.append(f"{folder}: {error.strerror}")
        except MismatchError as error:
            raise BuildError(
                f"the object that was compiled from {wanted.source} {error}: "
                "its .cpp and .h files are of another version of thetac, which has to be installed anew"
            ) from None
    listing = "".join(f"\n  {obstacle}" for obstacle in obstacles)
    raise BuildError(f"no folder can hold compiled kernels; set XDG_CACHE_HOME or TMPDIR to one that can{listing}")


def _found(path: Path, kind: type[Library], interface: Interface) -> Library | None:
    """The library, if there is one that fits; another object of its name is taken for a damaged one."""
    try:
        return load_whole(path, kind, interface)
    except MismatchError:
        return None


def _prebuilt(wanted: Recipe) -> Iterator[Path]:
    """Where an object may lie that was built ahead of time, by whatever compiler, for this CPU or an older one."""
    for level in levels():
        name = _file_name(wanted, level, None)
        yield wanted.source.parent / name
        yield _place(wanted, build_folder()) / name


def _place(wanted: Recipe, folder: Path) -> Path:
    """The folder within `folder` where objects of a source lie: as the source itself lies in the package."""
    home = wanted.source.parent.resolve()
    return folder / (home.relative_to(ROOT) if home.is_relative_to(ROOT) else home.name)


def _file_name(wanted: Recipe, level: str, compiler: Compiler | None) -> str:
    """Two objects have the same name only if it does not matter which of them is loaded."""
    digest = hashlib.sha256()
    parts = [MARK, *(_text(path) for path in (wanted.source, *wanted.headers))]
    parts += [text.encode() for text in arguments(wanted, level)]
    if compiler is not None:
        parts += [text.encode(errors="surrogateescape") for text in (*compiler.command, compiler.version)]
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return f"{wanted.name}-{level}-{digest.hexdigest()[:20]}.so"


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BuildError(
            f"{path} cannot be read: {error.strerror}; C++ kernels need the .cpp and .h files of the wheel. "
            "Unpack it where it is zipped; collect them where it is bundled (PyInstaller: --collect-data thetac)"
        ) from error
