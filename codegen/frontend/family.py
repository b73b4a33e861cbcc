"""Find which specs a spec extends, and merge what it inherits from them.

In: specs by name. Out: families, nearest spec first, and the merged entries of a family. Must not know what the
entries mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from thetac.codegen.errors import Diagnostics, did_you_mean, join_names, quote
from thetac.codegen.frontend.spec import Spec

DEEPEST_FAMILY = 8  # specs that extend each other in a row

T = TypeVar("T")


def family_of(
    spec: Spec, named: Mapping[str, Spec], *, some_missing: bool, diagnostics: Diagnostics
) -> tuple[Spec, ...]:
    """Return a spec and those that it extends, nearest first; an empty tuple if one of them is unknown.

    Args:
        spec: The spec.
        named: All specs that it may extend, by name.
        some_missing: Whether some file could not be read; an unknown spec may be in it.
        diagnostics: Gets a diagnostic for an unknown spec, a circle or a family that is too deep.
    """
    family = [spec]
    while (extends := family[-1].extends) is not None:
        parent = named.get(extends.text)
        if parent is None and some_missing:
            return ()  # it may be in the file that cannot be read, which has its own diagnostic
        if parent is None:
            others = [name for name in named if name != spec.name]
            remedy = did_you_mean(
                extends.text.rpartition(".")[2],
                others,
                f"there are {join_names(others, 'and')}" if 0 < len(others) < 10 else "no spec has that name",
            )
            diagnostics.add(extends.location, f"unknown spec {quote(extends.text)}", remedy)
            return ()
        if parent in family:
            diagnostics.add(spec.location, f"`{spec.name}` extends itself", "a spec extends another one")
            return ()
        if len(family) == DEEPEST_FAMILY:
            diagnostics.add(
                extends.location,
                f"more than {DEEPEST_FAMILY} specs extend each other in a row",
                "extend one further up",
            )
            return ()
        family.append(parent)
    return tuple(family)


def nearest(family: tuple[Spec, ...], get: Callable[[Spec], T | None]) -> T | None:
    """Return the first value other than None that `get` finds, nearest spec first; None if there is none."""
    return next((value for spec in family if (value := get(spec)) is not None), None)


def merge(family: tuple[Spec, ...], get: Callable[[Spec], tuple[T, ...]], key: Callable[[T], str]) -> tuple[T, ...]:
    """Return the entries of all specs; an entry of a nearer spec replaces the one with the same key."""
    entries: dict[str, T] = {}
    for spec in reversed(family):
        entries |= {key(entry): entry for entry in get(spec)}
    return tuple(entries.values())
