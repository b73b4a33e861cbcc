"""Runs executors that wait for each other: where a rule needs a sum over all parameters, all have to get there first.

In: executors and the tensors of a step. Out: updated parameters and states, and the numbers that parameters share. Sums
have the same bits however members are distributed over executors, since they are rounded once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from thetac.runtime.implementations.executor import Executor, Unfinished
from thetac.runtime.param_groups.grad_scaling import Scaling
from thetac.runtime.param_groups.shared_numbers import widest_dtype
from thetac.runtime.param_groups.step_tensors import StepTensors
from thetac.runtime.tensors import Scalar
from thetac.runtime.totals import Terms, Totals, add_up, advance


def run_all(
    executors: Sequence[Executor], tensors: StepTensors, scaling: Scaling
) -> Mapping[int, Mapping[str, Scalar]]:
    """Run every executor to its end; where one raises, close those that wait, and raise its error.

    Returns:
        The numbers that parameters share, by the index of a group; none for a rule without any.
    """
    waiting = [rest for executor in executors if (rest := executor.run(tensors, scaling)) is not None]
    return run_together(waiting) if waiting else {}


def run_together(waiting: Sequence[Unfinished]) -> Mapping[int, Mapping[str, Scalar]]:
    """Run steps from total to total, and send each of them the sum of what all have yielded.

    Returns:
        The numbers that parameters share, by the index of a group.
    """
    rests, groups = [one.rest for one in waiting], [one.group for one in waiting]
    try:
        terms, results = advance(rests, None)
        while terms:
            sums = _sums(groups, terms)
            terms, results = advance(rests, [_on(one.device, found) for one, found in zip(waiting, sums, strict=True)])
        return dict(zip(groups, results, strict=True))
    finally:
        for rest in rests:
            rest.close()


def run_alone(rest: Totals[Scalar]) -> Mapping[str, Scalar]:
    """Run a step to its end as if no other parameters had gradients, and return the shared numbers."""
    try:
        terms, results = advance([rest], None)
        while terms:
            terms, results = advance([rest], [add_up(terms[0].values)])
        return results[0]
    finally:
        rest.close()


def _sums(groups: Sequence[int], terms: Sequence[Terms]) -> list[Scalar]:
    """Return the sum that each executor waits for."""
    if not terms[0].in_group:
        return [add_up([value for one in terms for value in one.values])] * len(groups)
    by_group: dict[int, list[Scalar]] = {}
    for group, one in zip(groups, terms, strict=True):
        by_group.setdefault(group, []).extend(one.values)
    sums = {group: add_up(values) for group, values in by_group.items()}
    return [sums[group] for group in groups]


def _on(device: torch.device | None, number: Scalar) -> Scalar:
    """Return a sum as a step computes with it: a tensor on a device, or a float."""
    if device is None:
        return number.item() if isinstance(number, Tensor) else number
    if isinstance(number, Tensor):
        return number.to(device)
    return torch.full((), number, dtype=widest_dtype(device), device=device)
