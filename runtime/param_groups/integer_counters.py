"""Counters that are Python ints in `optimizer.state`, as tensors for the time of a step.

In: parameter groups and `optimizer.state`. Out: the same state with 0-d float64 tensors for ints, and with ints again
afterwards. In a capturable group a counter stays a tensor, on the device of its parameter: an int would be a constant
of a graph. Must not know what a step does.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from thetac.runtime.param_groups.groups import option
from thetac.runtime.param_groups.state import Entry
from thetac.runtime.schema import Group, Schema


@contextmanager
def as_tensors(schema: Schema, groups: Sequence[Group], state: MutableMapping[Tensor, Entry]) -> Iterator[None]:
    """Replace ints by tensors while the body of the statement runs, and tensors by ints when it ends.

    Args:
        schema: The schema of the optimizer.
        groups: Its parameter groups.
        state: `optimizer.state`; parameters without an entry get none.
    """
    names = [declared.name for declared in schema.states if declared.integer]
    found: list[tuple[Entry, str, int]] = []
    for group in groups if names else ():
        is_capturable = bool(option(group, "capturable"))
        for param in group["params"]:
            entry = state.get(param, {})
            for name in names:
                value = entry.get(name)
                if not isinstance(value, int):
                    continue
                if is_capturable:
                    entry[name] = torch.tensor(float(value), dtype=torch.float64, device=param.device)
                else:
                    found.append((entry, name, value))
    # Views of one tensor, because one call costs less than one for each.
    together = torch.tensor([value for _, _, value in found], dtype=torch.float64, device="cpu")
    for (entry, name, _), tensor in zip(found, together.unbind(), strict=True):
        entry[name] = tensor
    try:
        yield
    finally:
        to_integers(schema, groups, state)


def to_integers(schema: Schema, groups: Sequence[Group], state: MutableMapping[Tensor, Entry]) -> None:
    """Replace the tensors of integer counters by ints, except in capturable groups."""
    names = [declared.name for declared in schema.states if declared.integer]
    for group in groups if names else ():
        if option(group, "capturable"):
            continue
        for param in group["params"]:
            entry = state.get(param, {})
            for name in names:
                if isinstance(value := entry.get(name), Tensor) and value.numel() == 1:
                    entry[name] = int(value.item())
