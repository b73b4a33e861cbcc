"""Where the classes that `thetac.load` makes are imported from: a private cache of this user.

They have names of their own here, so that they can be pickled, and unpickled by other processes of the same user. They
are always compiled from their sources, which takes milliseconds: a truncated file of bytecode would fail for ever.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from thetac.runtime.building.cache import mark_used
from thetac.runtime.building.private_folder import private_folder


def _path() -> list[str]:
    try:
        return [str(private_folder())]
    except OSError:  # `thetac.load` says so; there is nothing to be imported
        return []


class _SourceLoader(SourceFileLoader):
    """Neither reads bytecode nor writes it."""

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        code = self.source_to_code(self.get_data(path), path)
        assert isinstance(code, CodeType)
        return code


class _Finder(MetaPathFinder):
    """Finds what lies here as Python would, and notes that it is used."""

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
