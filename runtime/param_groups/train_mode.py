"""The key of parameter groups that says whether an optimizer with modes is in training mode.

In: a schema and groups. Out: the key, and an error where a group has no truth value there. Must not know what a mode
does to parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

from thetac.drivers import MODES, TRAIN_MODE
from thetac.runtime.schema import Group, Schema


def mode_keys(schema: Schema) -> Sequence[str]:
    """Return the keys of a group that hold its mode: one, or none where the rule has no modes."""
    return (TRAIN_MODE,) if MODES[0] in schema.pieces else ()


def check_mode(schema: Schema, group: Group, where: str) -> None:
    """Raise TypeError for a mode that is neither True nor False; `where` names the group in messages."""
    for key in mode_keys(schema):
        if not isinstance(group[key], bool):
            raise TypeError(f"{where}: {key} must be True or False, not {group[key]!r}")
