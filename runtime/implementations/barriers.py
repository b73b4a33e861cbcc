"""Runs executors that wait for each other: where a rule needs a sum over all parameters, all have to get there first.

In: executors and the tensors of a step. Out: updated parameters and states. Sums are float64, added up in the order of
the executors, so that they have the same bits in every step.
"""

from __future__ import annotations

from collections.abc import Sequence

from thetac.runtime.implementations.executor import Barriers, Executor
from thetac.runtime.param_groups.grad_scaling import Scaling
from thetac.runtime.param_groups.step_tensors import StepTensors


def run_all(executors: Sequence[Executor], tensors: StepTensors, scaling: Scaling) -> None:
    """Run every executor to its end; where one raises, close those that wait at a barrier, and raise its error."""
    waiting = [rest for executor in executors if (rest := executor.run(tensors, scaling)) is not None]
    if waiting:
        _run_together(waiting)


def _run_together(waiting: Sequence[Barriers]) -> None:
    """Run executors from barrier to barrier, and send each of them the totals of what all have yielded."""
    try:
        partials = [_advance(one, None) for one in waiting]
        while any(partial is not None for partial in partials):
            totals = _totals(partials)
            partials = [_advance(one, totals) for one in waiting]
    finally:
        for one in waiting:
            one.close()


def _advance(one: Barriers, totals: Sequence[float] | None) -> Sequence[float] | None:
    """Return the partial sums of the next barrier; None if there is none."""
    try:
        return next(one) if totals is None else one.send(totals)
    except StopIteration:
        return None


def _totals(partials: Sequence[Sequence[float] | None]) -> list[float]:
    """Return the sums over executors, which must all be at the same barrier."""
    found = [partial for partial in partials if partial is not None]
    assert len(found) == len(partials), "some executors ended where others wait for their sums"
    assert len({len(partial) for partial in found}) == 1, "executors yield different numbers of sums at a barrier"
    return [sum(column) for column in zip(*found, strict=True)]
