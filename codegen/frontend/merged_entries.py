"""Read the entries that a family of specs has in all: its hyperparameters, flags, states and requirements.

In: the specs of a family. Out: the merged entries, read, and the names that are dropped on the way. Must not know what
the texts in the entries mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from thetac.codegen.errors import NOWHERE, Diagnostics
from thetac.codegen.frontend.entries import read_hyperparameter, read_state
from thetac.codegen.frontend.family import Dropped, merge_entries
from thetac.codegen.frontend.inheritance import DroppedName
from thetac.codegen.frontend.reading import line_of
from thetac.codegen.frontend.spec import RequireEntry, Spec, StateEntry
from thetac.codegen.frontend.yaml_tree import Entry
from thetac.codegen.ir.nodes import UNREADABLE, Choice, Flag, Hyperparameter, StateKind

# These replace a section that cannot be read: no name is reported as undeclared then.
_ANY_HYPERPARAMETER = Hyperparameter(UNREADABLE, 0)
_ANY_STATE = StateEntry(
    UNREADABLE, StateKind.TENSOR, None, None, on_param_device=False, symbol="", doc="", location=NOWHERE
)

T = TypeVar("T")


class MergedEntries:
    """The entries of a family, merged and read, and the names that it drops."""

    def __init__(self, family: tuple[Spec, ...], diagnostics: Diagnostics) -> None:
        unreadable = frozenset(section for spec in family for section in spec.unreadable)
        merged, without = merge_entries(family, lambda s: s.hyperparameters, diagnostics)
        self.declared = tuple(_read(entry, read_hyperparameter, diagnostics) for entry in merged)
        if "hyperparameters" in unreadable:
            self.declared += (_ANY_HYPERPARAMETER,)
        merged, forgotten = merge_entries(family, lambda s: s.states, diagnostics)
        self.states = tuple(_read(entry, read_state, diagnostics) for entry in merged)
        if "state" in unreadable:
            self.states += (_ANY_STATE,)
        merged, _ = merge_entries(family, lambda s: s.requirements, diagnostics)
        found = [_read(entry, _requirement, diagnostics) for entry in merged]
        self.requirements = tuple(requirement for requirement in found if requirement is not None)
        self.features, _ = merge_entries(family, lambda s: s.features, diagnostics)
        self.dropped = (
            *(one for entry in without for one in _names_dropped(entry)),
            *(DroppedName(entry.key.text, is_flag=False, location=entry.key.location) for entry in forgotten),
        )


def _read(entry: Entry, read: Callable[[Entry, Diagnostics], T], diagnostics: Diagnostics) -> T:
    """Return what an entry says; an error in a key that an heir combines with its own ones is the heir's."""
    own = Diagnostics()
    result = read(entry, own)
    here = entry.key.location
    for found in own:
        if found.location.path == here.path:
            diagnostics.add(found.location, found.cause, found.remedy)
        else:
            beside = f"{found.cause}, with what is inherited from {found.location.path}:{found.location.line}"
            diagnostics.add(here, beside, found.remedy)
    return result


def _requirement(entry: Entry, diagnostics: Diagnostics) -> RequireEntry | None:
    message = line_of(entry.value, "the message of a requirement", diagnostics)
    return None if message is None else RequireEntry(entry.key, message)


def _names_dropped(dropped: Dropped) -> Iterator[DroppedName]:
    """Yield the names of an argument that is dropped, of its elements, and of the comparisons of a choice."""
    inherited, here = read_hyperparameter(dropped.entry, Diagnostics()), dropped.key.location
    yield DroppedName(inherited.name, is_flag=isinstance(inherited, Flag), location=here)
    if isinstance(inherited, Hyperparameter):
        yield from (DroppedName(name, is_flag=False, location=here) for name in inherited.elements)
    if isinstance(inherited, Choice):
        yield from (DroppedName(name, is_flag=True, location=here) for name, _ in inherited.comparisons)
