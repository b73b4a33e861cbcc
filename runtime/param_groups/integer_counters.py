"""Counters that are Python ints in `optimizer.state`, as tensors for the time of a step.

In: parameter groups and `optimizer.state`. Out: the same state with 0-d float64 tensors for ints, and with ints again
afterwards. What a graph counts stays a tensor, since an int would be a constant of the graph: in a capturable group, on
the device of its parameter, and whatever is a tensor when a step begins. Must not know what a step does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, MutableMapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from thetac.runtime.param_groups.groups import option
from thetac.runtime.param_groups.state import Entry
from thetac.runtime.schema import Group, Schema


@contextmanager
def as_tensors(schema: Schema, groups: Sequence[Group], state: MutableMapping[Tensor, Entry]) -> Iterator[None]:
    """Replace ints by tensors while the body of the statement runs, and these tensors by ints when it ends.

    Args:
        schema: The schema of the optimizer.
        groups: Its parameter groups.
        state: `optimizer.state`; parameters without an entry get none.
    """
    keep_as_tensors(schema, [group for group in groups if option(group, "capturable")], state)
    staying: set[tuple[int, str]] = set()
    found: list[tuple[Entry, str, int]] = []
    for entry, name, _ in _counters(schema, groups, state):
        value = entry[name]
        if isinstance(value, int):
            found.append((entry, name, value))
        elif isinstance(value, Tensor):
            staying.add((id(entry), name))
    # Views of one tensor, because one call costs less than one for each.
    together = torch.tensor([value for _, _, value in found], dtype=torch.float64, device="cpu")
    for (entry, name, _), tensor in zip(found, together.unbind(), strict=True):
        entry[name] = tensor
    try:
        yield
    finally:
        to_integers(schema, groups, state, staying)


def to_integers(
    schema: Schema,
    groups: Sequence[Group],
    state: MutableMapping[Tensor, Entry],
    staying: Collection[tuple[int, str]] = (),
) -> None:
    """Replace the tensors of integer counters by ints, except in capturable groups.

    Args:
        schema: The schema of the optimizer.
        groups: Its parameter groups.
        state: `optimizer.state`.
        staying: Counters that stay tensors, each by the `id` of its entry and its name.
    """
    for entry, name, _ in _counters(schema, [group for group in groups if not option(group, "capturable")], state):
        value = entry[name]
        if isinstance(value, Tensor) and value.numel() == 1 and (id(entry), name) not in staying:
            entry[name] = int(value.item())


def keep_as_tensors(schema: Schema, groups: Sequence[Group], state: MutableMapping[Tensor, Entry]) -> None:
    """Replace ints by tensors that stay, each on the device on which counters of its group are."""
    for entry, name, device in _counters(schema, groups, state):
        if isinstance(value := entry[name], int):
            with _disable_current_modes():  # it is no part of a graph that is traced
                entry[name] = torch.tensor(float(value), dtype=torch.float64, device=device)


def _counters(
    schema: Schema, groups: Sequence[Group], state: MutableMapping[Tensor, Entry]
) -> Iterator[tuple[Entry, str, torch.device]]:
    """Yield the entries that have integer counters, the names of these, and the devices where their tensors belong."""
    names = [declared.name for declared in schema.states if declared.integer]
    for group in groups if names else ():
        beside_param = bool(option(group, "capturable"))
        for param in group["params"]:
            entry = state.get(param, {})
            for name in names:
                if name in entry:
                    yield entry, name, param.device if beside_param else torch.device("cpu")
