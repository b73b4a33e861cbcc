"""Which group and parameter of a state dict is which of the optimizer's: by name where both sides have names.

In: the optimizer's groups and a state dict's. Out: for each group of the optimizer the one that was saved of it, with
its ids in the order of the parameters, or torch's error for groups that do not fit. Must not know what state is.
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


def matched(groups: Sequence[Group], saved: Sequence[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """For each group of the optimizer the saved one, with its index, and its `params` in the order of the parameters.

    Names decide where all groups on both sides have them, else positions, as in torch. Raises KeyError for a group
    without `params`, and ValueError, with torch's sentence, where numbers, sizes or names of groups do not fit.
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
    """The names of all saved groups, and whether they are the ids of the parameters.

    torch.distributed.checkpoint makes names the ids. When it loads, it brings them into the order of the parameters,
    but not `param_names`. So ids tell more; but they may be others than the optimizer's names, and still be in order.
    """
    ids = [tuple(group["params"]) for group in saved]
    if any(ids) and all(isinstance(known, str) for group in ids for known in group):
        return ids, True
    return _names(saved), False


def _names(groups: Sequence[Group]) -> list[Names]:
    """The names of all groups; none at all where a parameter has none, or shares it with another of its group."""
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
    return [
        tuple(".".join(part for part in name.split(".") if part not in _WRAPPERS) for name in names) for names in groups
    ]


def _order(here: Sequence[Names], there: Sequence[Names]) -> list[int | None]:
    """For each group the index of the one with the same names, if there is one.

    Of groups with equal names, such as those of two models, the first is the first.
    """
    waiting: defaultdict[frozenset[str], list[int]] = defaultdict(list)
    for index, names in enumerate(there):
        if len(set(names)) == len(names):
            waiting[frozenset(names)].append(index)
    found = (waiting[frozenset(names)] if len(set(names)) == len(names) else [] for names in here)
    return [indices.pop(0) if indices else None for indices in found]


def _arranged(ids: Sequence[Any], names: Names, wanted: Names) -> list[Any]:
    known = dict(zip(names, ids, strict=True))
    return [known[name] for name in wanted]


def _misfit(here: Sequence[Names], there: Sequence[Names]) -> str:
    """What to say of the first group whose names no saved one has: of the saved one in its place, or the next left."""
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
    return (
        "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
        f"group {index} has {found} parameter{'s' * (found != 1)}{differ}, the optimizer's {expected}"
    )
