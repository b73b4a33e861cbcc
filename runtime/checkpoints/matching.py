"""Match the groups and parameters of a state dict with the optimizer's: by name where both sides have names.

In: the optimizer's groups and a state dict's. Out: for each group of the optimizer the saved one, with its ids in the
order of the parameters, or torch's error for groups that do not fit. Must not know what state is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from thetac.runtime.param_groups.state import listed
from thetac.runtime.schema import Group

Names = tuple[str, ...]

# What torch's wrappers add to the names of a module's parameters: DistributedDataParallel and DataParallel,
# torch.compile, FSDP, activation checkpointing. A run may be saved within one and go on without it.
_WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})


def match_groups(groups: Sequence[Group], saved: Sequence[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """Match groups: by names if all groups on both sides have them, else by position, as in torch.

    Args:
        groups: The optimizer's groups.
        saved: The groups of a state dict, with ids as `params`.

    Returns:
        For each group of the optimizer the saved one's index, and the saved one with its `params` in the order of the
        optimizer's parameters.

    Raises:
        KeyError: A saved group has no `params`.
        ValueError: The number of groups, their sizes or their names differ; the message begins as torch's.
    """
    if len(groups) != len(saved):
        raise ValueError(
            f"loaded state dict has a different number of parameter groups: {len(saved)}, the optimizer {len(groups)}"
        )
    for index, group in enumerate(saved):
        if "params" not in group:
            raise KeyError(f"group {index} of the loaded state dict has no 'params', only {listed(group)}")
    here, (there, are_ids) = _names(groups), _saved_names(saved)
    if here and there:
        for ours, theirs in ((here, there), (_without_wrappers(here), _without_wrappers(there))):
            order = _order(ours, theirs)
            if None not in order:
                return [
                    (index, {**saved[index], "params": _arranged(saved[index]["params"], theirs[index], names)})
                    for names, index in zip(ours, order, strict=True)
                    if index is not None
                ]
        if not are_ids:
            raise ValueError(_misfit(here, there))
    for index, (known, other) in enumerate(zip(groups, saved, strict=True)):
        if len(known["params"]) != len(other["params"]):
            raise ValueError(_sizes_differ(index, len(known["params"]), len(other["params"])))
    return list(enumerate(saved))


def _saved_names(saved: Sequence[Group]) -> tuple[list[Names], bool]:
    """Return the names of all saved groups, and whether they are the ids of the parameters.

    torch.distributed.checkpoint uses names as ids. When it loads, it brings ids, but not `param_names`, into the order
    of the parameters. So ids are the better names; but they may differ from the optimizer's and still be in order.
    """
    ids = [tuple(group["params"]) for group in saved]
    if any(ids) and all(isinstance(known, str) for group in ids for known in group):
        return ids, True
    return _names(saved), False


def _names(groups: Sequence[Group]) -> list[Names]:
    """Return the names of all groups; nothing if a parameter has none, or shares it with another of its group."""
    found: list[Names] = []
    for group in groups:
        names = group.get("param_names", ())
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            return []
        if not len(set(names)) == len(names) == len(group["params"]):
            return []
        found.append(tuple(names))
    return found if any(found) else []


def _without_wrappers(groups: Sequence[Names]) -> list[Names]:
    """Return the names without the parts that torch's wrappers add."""
    return [
        tuple(".".join(part for part in name.split(".") if part not in _WRAPPERS) for name in names) for names in groups
    ]


def _order(here: Sequence[Names], there: Sequence[Names]) -> list[int | None]:
    """Return for each group the index of the one with the same names, None if there is none.

    Groups with equal names, such as those of two models, are matched in order.
    """
    waiting: defaultdict[frozenset[str], list[int]] = defaultdict(list)
    for index, names in enumerate(there):
        if len(set(names)) == len(names):
            waiting[frozenset(names)].append(index)
    found = (waiting[frozenset(names)] if len(set(names)) == len(names) else [] for names in here)
    return [indices.pop(0) if indices else None for indices in found]


def _arranged(ids: Sequence[Any], names: Names, wanted: Names) -> list[Any]:
    """Return ids in the order of the wanted names."""
    known = dict(zip(names, ids, strict=True))
    return [known[name] for name in wanted]


def _misfit(here: Sequence[Names], there: Sequence[Names]) -> str:
    """Explain the first group that matches none, beside the saved group at its position or the next unmatched one."""
    order = _order(here, there)
    index = order.index(None)
    left = [position for position in range(len(there)) if position not in order]
    other = index if index in left else left[0]
    missing = [name for name in here[index] if name not in there[other]]
    unexpected = [name for name in there[other] if name not in here[index]]
    differ = f" (without {listed(missing)})" * bool(missing) + f" (with {listed(unexpected)})" * bool(unexpected)
    if len(here[index]) != len(there[other]):
        return _sizes_differ(other, len(here[index]), len(there[other]), differ)
    elsewhere = {name: number for number, names in enumerate(there) if number != other for name in names}
    moved = [f"`{name}` is in group {elsewhere[name]} of it" for name in missing if name in elsewhere]
    remedy = "; ".join(moved) if moved else "rename them there, or delete all `param_names` to go by position"
    return (
        "loaded state dict contains a parameter group that doesn't match the names of optimizer's group: "
        f"group {other} has other names{differ}; {remedy}"
    )


def _sizes_differ(index: int, expected: int, found: int, differ: str = "") -> str:
    """Explain that two groups have different sizes."""
    return (
        "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
        f"group {index} has {found} parameter{'s' * (found != 1)}{differ}, the optimizer's {expected}"
    )
