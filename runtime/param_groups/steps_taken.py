"""The key of parameter groups in which a driver counts the steps of its optimizer.

In: a schema and groups. Out: the key, and an error where a group has no count there. Must not know what steps do.
"""

from __future__ import annotations

from collections.abc import Sequence

from thetac.drivers import STEPS_TAKEN
from thetac.runtime.schema import Group, Schema


def count_keys(schema: Schema) -> Sequence[str]:
    """Return the keys of a group that hold a count: one, or none where no driver counts."""
    return (STEPS_TAKEN,) if schema.counts_steps else ()


def check_count(schema: Schema, group: Group, where: str) -> None:
    """Raise TypeError or ValueError for what is no count; `where` names the group in messages."""
    for key in count_keys(schema):
        count = group[key]
        if not isinstance(count, int) or isinstance(count, bool):
            raise TypeError(f"{where}: {key} must be an int, not {count!r}")
        if count < 0:
            raise ValueError(f"{where}: {key} must be at least 0, not {count}")
