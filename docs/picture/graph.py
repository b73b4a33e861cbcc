"""The folders of a package and which imports which.

In: the sources of codegen/ and runtime/. Out: arrows between folders, those that do not follow from others, and how
far each folder is from the bottom. Must not know how it is drawn.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

Arrows = Mapping[str, frozenset[str]]  # from a folder to those it imports


def folder_of(parts: Sequence[str]) -> str:
    """Return the folder that a module counts to; modules at the top of a package are grouped by what they are for."""
    match parts:
        case ["passes" | "backends" as outer, inner, _]:
            return f"{outer}/{inner}"
        case [("optimizer" | "generic_optimizer")]:
            return "optimizer classes"
        case [("schema" | "totals" | "tensors" | "scalar_math" | "triton_ops" | "triton_elementary")]:
            return "contract"
        case ["__main__"]:
            return "cli"
        case [("emit" | "folder")]:
            return "emit"
        case _:
            return parts[0]


def imports_of(package: str) -> Arrows:
    """Return which folder of a package imports which others."""
    home = ROOT / package
    paths = [path for path in sorted(home.rglob("*.py")) if path.name != "__init__.py"]
    folders = {".".join(path.relative_to(home).with_suffix("").parts): path for path in paths}
    owners = {name: folder_of(name.split(".")) for name in folders}
    found: dict[str, set[str]] = {folder: set() for folder in owners.values()}
    for name, path in folders.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"thetac.{package}"):
                base = (node.module or "").removeprefix(f"thetac.{package}").lstrip(".")
                for alias in node.names:
                    full = f"{base}.{alias.name}".lstrip(".")
                    owner = owners.get(full) or owners.get(base)
                    if owner not in (None, owners[name]):
                        found[owners[name]].add(owner)
    return {folder: frozenset(others) for folder, others in found.items()}


def reachable(arrows: Arrows, start: str, without: tuple[str, str] | None = None) -> frozenset[str]:
    """Return the folders that arrows lead to from a start, not counting one arrow."""
    seen: set[str] = set()
    todo = [start]
    while todo:
        here = todo.pop()
        for other in arrows[here]:
            if (here, other) != without and other not in seen:
                seen.add(other)
                todo.append(other)
    return frozenset(seen)


def reduced(arrows: Arrows) -> Arrows:
    """Return the arrows that do not follow from others."""
    return {
        here: frozenset(other for other in others if other not in reachable(arrows, here, (here, other)))
        for here, others in arrows.items()
    }


def layers_of(arrows: Arrows) -> Mapping[str, int]:
    """Return how many arrows the longest way down from each folder has; raise ValueError for a circle."""
    levels: dict[str, int] = {}

    def level(folder: str, above: tuple[str, ...]) -> int:
        if folder in above:
            raise ValueError(f"{' imports '.join((*above, folder))}: a circle cannot be drawn in layers")
        if folder not in levels:
            levels[folder] = max((level(other, (*above, folder)) + 1 for other in arrows[folder]), default=0)
        return levels[folder]

    for folder in arrows:
        level(folder, ())
    return levels
