"""The package that classes made by `thetac.load` are imported from: its files are in a private cache of this user.

Each class has a module name here, so that it can be pickled, and unpickled by other processes of the same user. Sources
are always compiled anew, which takes milliseconds: a truncated bytecode file would fail forever.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from thetac.runtime.building.cache import mark_used
from thetac.runtime.building.private_folder import find_private_folder


def _path() -> list[str]:
    """Return the folders of this package."""
    try:
        return [str(find_private_folder())]
    except OSError:  # there is nothing to import; `thetac.load` raises the error
        return []


class _SourceLoader(SourceFileLoader):
    """Load a module without reading or writing bytecode."""

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        code = self.source_to_code(self.get_data(path), path)
        assert isinstance(code, CodeType)
        return code


class _Finder(MetaPathFinder):
    """Find the modules of this package as Python would, and record that they are used."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(f"{__name__}."):
            return None
        found = PathFinder.find_spec(fullname, path, target)
        if found is None or not isinstance(found.loader, SourceFileLoader):
            return found
        if found.submodule_search_locations:
            mark_used(Path(found.loader.path).parent)
        found.loader = _SourceLoader(found.loader.name, found.loader.path)
        return found


__path__ = _path()
sys.meta_path.insert(0, _Finder())
