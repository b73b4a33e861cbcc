"""`thetac cache`: show or remove what thetac keeps for later processes.

In: nothing, or `clear`. Out: a table of what is kept and where, or the number of entries that were removed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from thetac.codegen.cli.library import shown_as
from thetac.runtime.building.cache import Entry, Kind, clear, list_entries
from thetac.runtime.building.private_folder import list_existing_folders

_EXAMPLES = """\
examples:
  thetac cache          what is kept, by kind
  thetac cache clear    remove it; what is needed is made again

exit status: 0; 1 if something is kept because a running process uses it, or cannot be removed; 2 for a wrong call
"""


class CacheCommand:
    """The subcommand `cache`."""

    name = "cache"
    help = "show or clear what is kept for later processes"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = _EXAMPLES
        parser.add_argument("action", nargs="?", choices=("show", "clear"), default="show", help="(default: show)")

    def run(self, options: argparse.Namespace) -> int:
        """Show or clear every cache; return the exit status, which is 1 if an entry could not be removed."""
        folders = list_existing_folders()
        if not folders:
            print("nothing is kept")
            return 0
        return max([_clear(folder) if options.action == "clear" else _show(folder) for folder in folders])


def _show(folder: Path) -> int:
    found = list_entries(folder)
    print(shown_as(folder))
    rows = [(kind.value, [one for one in found if one.kind is kind]) for kind in Kind]
    for name, some in (*rows, ("in all", found)):
        print(f"  {name:20} {len(some):6}  {_mebibytes(some):>10}")
    return 0


def _clear(folder: Path) -> int:
    found = list_entries(folder)
    kept = clear(folder)
    print(f"{shown_as(folder)}: {len(found) - len(kept)} of {len(found)} entries removed, {_mebibytes(found, kept)}")
    for entry in kept:
        print(f"  {entry.path.name} is kept: a running process uses it, or it cannot be removed")
    return 1 if kept else 0


def _mebibytes(some: Iterable[Entry], but: Iterable[Entry] = ()) -> str:
    size = sum(entry.size for entry in some) - sum(entry.size for entry in but)
    return f"{size / (1 << 20):.1f} MiB"
