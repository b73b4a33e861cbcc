"""`thetac.load`: compile a spec at run time.

In: a spec. Out: its class, with the same implementations that `thetac generate` writes. They are written to disk,
because Triton reads the source of its kernels from files.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from thetac import loaded
from thetac.codegen.cli.library import our_specs, spec_and_parents
from thetac.codegen.errors import SpecWarning
from thetac.codegen.pipeline import Parents, Source, compile_specs
from thetac.runtime.building.cache import OLD, clean_sometimes, mark_used
from thetac.runtime.building.object_files import NEW
from thetac.runtime.building.private_folder import find_private_folder, make_temporary_folder
from thetac.runtime.optimizer import Optimizer


def load(spec: str | os.PathLike[str]) -> type[Optimizer]:
    """Compile a spec and import its optimizer class.

    The same text gives the same class within a process. The class and its instances can be pickled, and unpickled by
    another process of the same user as long as its cache (`~/.cache/thetac`, or `$XDG_CACHE_HOME/thetac`) is kept.
    Warns with `thetac.codegen.errors.SpecWarning` of what is probably not meant.

    Args:
        spec: The path of a spec file, or the text of a spec, which has more than one line. A spec in a file may
            extend others in the same folder; they come before thetac's own of the same name.

    Returns:
        The class, a subclass of `torch.optim.Optimizer`.

    Raises:
        thetac.codegen.errors.SpecError: The spec is invalid; the message has all of its errors.
        OSError: The file cannot be read, or no folder can be written.
    """
    return load_sources(_sources(spec), our_specs)


def load_sources(sources: Sequence[Source], parents: Parents) -> type[Optimizer]:
    """Compile a spec and import its optimizer class, as `load` does.

    Args:
        sources: The spec, and behind it those that it extends, in so far as their errors are to be raised, too.
        parents: Returns further specs that it may extend.

    Raises:
        thetac.codegen.errors.SpecError: The spec is invalid; the message has all of its errors.
        OSError: No folder can be written.
    """
    compiled = compile_specs(sources, parents)[0]
    for doubt in compiled.warnings:
        warnings.warn(str(doubt), SpecWarning, stacklevel=3)
    package = f"{compiled.module}_{_digest(compiled.files)}"
    _provide(package, compiled.files)
    importlib.invalidate_caches()
    module = importlib.import_module(f"{loaded.__name__}.{package}")
    made = getattr(module, compiled.class_name)
    assert isinstance(made, type)
    assert issubclass(made, Optimizer)
    return made


def _sources(spec: str | os.PathLike[str]) -> tuple[Source, ...]:
    if isinstance(spec, str) and "\n" in spec:
        return (Source("<text>", spec, name="a spec"),)
    return spec_and_parents(os.fspath(spec), name="a spec")


def _digest(files: Mapping[str, str]) -> str:
    """Return a digest of the files, so that another spec, or another compiler, gives another package."""
    digest = hashlib.sha256()
    for name, text in sorted(files.items()):
        for part in (name.encode(), text.encode()):
            digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:24]


def _provide(package: str, files: Mapping[str, str]) -> None:
    """Write a package to the user's cache, or to a temporary folder if that fails, and let Python import from it."""
    folder = find_private_folder()
    try:
        _write(folder / package, files)
    except OSError:
        folder = make_temporary_folder()
        _write(folder / package, files)
    if str(folder) not in loaded.__path__:
        loaded.__path__.insert(0, str(folder))


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """Make a folder with these files under another name and rename it, so that no process sees only a part of it."""
    mark_used(folder)  # from here on no other process removes it
    if _holds(folder, files):
        return
    clean_sometimes(folder.parent)
    made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=NEW))
    try:
        for name, text in files.items():
            (made / name).parent.mkdir(exist_ok=True)
            (made / name).write_bytes(text.encode())
        for _ in range(10):  # another process may do the same at the same time
            with contextlib.suppress(OSError):
                os.rename(made, folder)
                return
            if _holds(folder, files):
                return
            # It is damaged: move it out of the way as a whole.
            with contextlib.suppress(FileNotFoundError):
                os.rename(folder, Path(tempfile.mkdtemp(dir=folder.parent, prefix=OLD)))
        raise OSError(f"{folder} cannot be written")
    finally:
        for leftover in (made, *folder.parent.glob(f"{OLD}*")):
            shutil.rmtree(leftover, ignore_errors=True)


def _holds(folder: Path, files: Mapping[str, str]) -> bool:
    try:
        return all((folder / name).read_bytes() == text.encode() for name, text in files.items())
    except OSError:
        return False
