"""Find, build and load compiled objects.

In: a source file with its headers and macros. Out: a loaded library, or a `BuildError` with the reason. Later calls of
the process get the same answer, so that a compiler that fails is not called twice. docs/building.md says where objects
are searched for and which one is taken. Must not know what is compiled. Imports no torch.
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
    compile_object,
    find_compiler,
    find_levels,
    list_flags,
)
from thetac.runtime.building.object_files import (
    MARK,
    Interface,
    Library,
    MismatchError,
    hold_build_lock,
    is_intact,
    load_intact,
    write_sealed,
)
from thetac.runtime.building.private_folder import list_private_folders

__all__ = ["BuildError", "Interface", "build", "find_build_folder", "load_object", "make_recipe", "warn_once"]

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
_warned: set[str] = set()  # the consequences that a warning has named


def _after_fork() -> None:
    """Replace the lock: a thread that held it does not exist in the new process."""
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
    """Load a library, which compiles it first if no object that fits is found.

    Args:
        source_paths: The source file, then the headers that it includes, by their names alone.
        defines: Macros and their values.
        name: The beginning of the object's file name.
        kind: `ctypes.CDLL`, or `ctypes.PyDLL` for functions that need the interpreter's lock.
        interface: The functions and the interface version that the object must have; another one is not used.

    Raises:
        BuildError: The object cannot be built or loaded, or its sources have another interface.
    """
    asked = (tuple(source_paths), tuple(defines.items()), name, kind, interface, *_read_settings())
    with _lock:
        if asked not in _known:
            try:
                _known[asked] = _find_or_build(make_recipe(source_paths, defines, name), kind, interface)
            except BuildError as error:
                _known[asked] = error
            except OSError as error:
                _known[asked] = BuildError(f"{name} cannot be built: {error}")
        known = _known[asked]
    if isinstance(known, BuildError):
        raise BuildError(str(known))
    return cast("Library", known)


def make_recipe(source_paths: Sequence[Path], defines: Mapping[str, str], name: str) -> Recipe:
    """Return what an object is made of; the parameters are those of `load_object`."""
    source, *headers = source_paths
    return Recipe(name, source, tuple(headers), tuple(sorted(defines.items())))


def build(wanted: Recipe, folder: Path, level: str) -> bool:
    """Build an object ahead of time.

    Args:
        wanted: What it is made of.
        folder: The folder of all objects, such as `find_build_folder()`.
        level: One of `compiler.LEVELS`, or the machine's architecture.

    Returns:
        Whether it was built; False if it was there already.

    Raises:
        BuildError: It cannot be compiled.
        OSError: It cannot be written.
    """
    path = _folder_of(wanted, folder) / _file_name(wanted, level, None)
    if is_intact(path):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    content = compile_object(wanted, level, find_compiler(), path.parent)
    write_sealed(path, content)
    return True


def find_build_folder() -> Path:
    """Return the folder of objects built ahead: `$THETAC_BUILD_DIR`, or `build/objects` beside the runtime."""
    given = os.environ.get("THETAC_BUILD_DIR", "")
    return Path(given) if given else ROOT / "build" / "objects"


def warn_once(error: BuildError, consequence: str = "") -> None:
    """Warn, once per process and consequence, that optimizers run without their C++ kernels.

    Args:
        error: Why they do.
        consequence: The end of the sentence: what else the user has to expect.
    """
    if consequence not in _warned:
        _warned.update(("", consequence))
        text = f"optimizers run without their C++ kernels, and slower{consequence}: {error}"
        warnings.warn(text, RuntimeWarning, stacklevel=_level_of_user())


def _level_of_user() -> int:
    """Return the `stacklevel` of the first caller of `warn_once` that is neither in thetac nor in torch."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] in ("thetac", "torch"):
        level, frame = level + 1, frame.f_back
    return level - 1


def _read_settings() -> tuple[str | None, ...]:
    """Return the environment variables that decide which object is loaded."""
    return tuple(map(os.environ.get, _SETTINGS))


def _find_or_build(wanted: Recipe, kind: type[Library], interface: Interface) -> Library:
    """Load an object from the first place that has one that fits; else compile it into the first that takes it."""
    for path in _list_prebuilt(wanted):
        if library := _load_matching(path, kind, interface):
            return library
    compiler = find_compiler()
    level = find_levels()[0]
    name = _file_name(wanted, level, compiler)
    paths = [folder / OBJECTS / name for folder in list_private_folders()]
    for path in paths:
        if library := _load_matching(path, kind, interface):
            mark_used(path)
            return library
    content: bytes | None = None
    obstacles: list[str] = []
    for path in paths:
        folder = path.parent
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            with hold_build_lock(path):
                if library := _load_matching(path, kind, interface):  # another process was faster
                    return library
                if content is None:
                    content = compile_object(wanted, level, compiler, folder)
                write_sealed(path, content)
                if library := load_intact(path, kind, interface):
                    clean_sometimes(folder.parent)
                    return library
            obstacles.append(f"{folder}: nothing can be loaded from it")
        except OSError as error:
            obstacles.append(f"{folder}: {error.strerror}")
        except MismatchError as error:
            raise BuildError(
                f"the object that was compiled from {wanted.source} {error}: "
                "its .cpp and .h files are of another version of thetac; reinstall it"
            ) from None
    listing = "".join(f"\n  {obstacle}" for obstacle in obstacles)
    raise BuildError(f"no folder can hold compiled kernels; set XDG_CACHE_HOME or TMPDIR to one that can{listing}")


def _load_matching(path: Path, kind: type[Library], interface: Interface) -> Library | None:
    """Load an object; return None if there is none, or if its interface is another one, as if it were damaged."""
    try:
        return load_intact(path, kind, interface)
    except MismatchError:
        return None


def _list_prebuilt(wanted: Recipe) -> Iterator[Path]:
    """List where an object can be that was built ahead, by any compiler, for this CPU or an older one; best first."""
    for level in find_levels():
        name = _file_name(wanted, level, None)
        yield wanted.source.parent / name
        yield _folder_of(wanted, find_build_folder()) / name


def _folder_of(wanted: Recipe, folder: Path) -> Path:
    """Return the folder within `folder` for objects of a source: the path of the source within the package."""
    home = wanted.source.parent.resolve()
    return folder / (home.relative_to(ROOT) if home.is_relative_to(ROOT) else home.name)


def _file_name(wanted: Recipe, level: str, compiler: Compiler | None) -> str:
    """Name an object so that two have the same name only if it does not matter which of them is loaded."""
    digest = hashlib.sha256()
    parts = [MARK, *(_read_source(path) for path in (wanted.source, *wanted.headers))]
    parts += [text.encode() for text in list_flags(wanted, level)]
    if compiler is not None:
        parts += [text.encode(errors="surrogateescape") for text in (*compiler.command, compiler.version)]
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return f"{wanted.name}-{level}-{digest.hexdigest()[:20]}.so"


def _read_source(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BuildError(
            f"{path} cannot be read: {error.strerror}; C++ kernels need the .cpp and .h files of the wheel. "
            "Unpack it where it is zipped; collect them where it is bundled (PyInstaller: --collect-data thetac)"
        ) from error
