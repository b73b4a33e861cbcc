"""Find which specs a spec extends, and merge what it inherits from them.

In: specs by name. Out: families, nearest spec first; the merged entries of a family, still as YAML, and the entries
that are dropped on the way. Must not know what the entries mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from thetac.codegen.errors import Diagnostics, did_you_mean, join_names, quote
from thetac.codegen.frontend import yaml_tree
from thetac.codegen.frontend.spec import Spec
from thetac.codegen.frontend.yaml_tree import Entry, Node, Scalar

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


@dataclass(frozen=True, slots=True)
class Dropped:
    """An inherited entry that a spec of a family drops."""

    key: Scalar  # where it is dropped
    entry: Entry  # as it was inherited


def merge_entries(
    family: tuple[Spec, ...], get: Callable[[Spec], tuple[Entry, ...]], diagnostics: Diagnostics
) -> tuple[tuple[Entry, ...], tuple[Dropped, ...]]:
    """Return the entries of a section of a family, and those that one of its specs drops.

    An entry changes those keys of the inherited entry of its name that it states. `null` in place of an entry drops
    the inherited one.

    Args:
        family: A spec and those that it extends, nearest first.
        get: Returns the section of a spec.
        diagnostics: Gets a diagnostic where something is dropped that is not inherited.
    """
    entries: dict[str, Entry] = {}
    dropped: list[Dropped] = []
    for spec in reversed(family):
        for entry in get(spec):
            name = entry.key.text
            if spec is not family[-1] and _is_null(entry.value):
                if name in entries:
                    dropped.append(Dropped(entry.key, entries.pop(name)))
                else:
                    remedy = did_you_mean(name, entries, "delete the line")
                    diagnostics.add(entry.key.location, f"no {quote(name)} is inherited that could be dropped", remedy)
            else:
                entries[name] = merge_entry(entries[name], entry, diagnostics) if name in entries else entry
    return tuple(entries.values()), tuple(dropped)


# Keys of which an entry has only one: stating one takes back the inherited other ones.
_EXCLUDED = {
    "counter": ("scalar", "shape", "init"),
    "scalar": ("counter", "shape"),
    "shape": ("counter", "scalar"),
    "init": ("counter",),
}


def merge_entry(inherited: Entry, own: Entry, diagnostics: Diagnostics) -> Entry:
    """Return an entry with the keys that it inherits; the whole entry as it is where it is of another form.

    Args:
        inherited: The entry further up.
        own: The entry that changes it.
        diagnostics: Gets a diagnostic where a key is dropped that is not inherited.
    """
    if not isinstance(own.value, yaml_tree.Mapping):
        return own
    before = {entry.key.text: entry for entry in _keys(inherited)}
    now = {entry.key.text: entry for entry in own.value.entries}
    if {"default"} <= before.keys() & now.keys() and _form(before["default"].value) != _form(now["default"].value):
        return own  # the other keys speak of a number, and this is a flag, say
    excluded = {key for stated in now for key in _EXCLUDED.get(stated, ())}
    merged = {key: entry for key, entry in before.items() if key not in excluded}
    for key, entry in now.items():
        if not _is_null(entry.value):
            merged[key] = entry
        elif merged.pop(key, None) is None:
            remedy = did_you_mean(key, merged, "delete it")
            diagnostics.add(entry.key.location, f"no {quote(key)} is inherited that could be dropped", remedy)
    return Entry(own.key, yaml_tree.Mapping(tuple(merged.values()), own.value.location))


def _keys(entry: Entry) -> tuple[Entry, ...]:
    """Return the keys of an entry; `counter` is short for `{counter: true}`."""
    match entry.value:
        case yaml_tree.Mapping(entries=entries):
            return entries
        case Scalar(text="counter", location=here) as short:
            true = Scalar("true", "", here, (here,), exact=False)
            return (Entry(short, true),)
        case _:
            return ()


def _form(default: Node) -> str:
    if isinstance(default, Scalar):
        return "flag" if default.text in ("true", "false") else "number"
    return "tuple"


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.style == "" and node.text == "null"
