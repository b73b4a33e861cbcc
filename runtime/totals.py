"""Steps that wait for sums over all parameters: how generated implementations ask for them.

A generated function of such a rule is a generator. At each total it yields its terms, one number for each of its
parameters, and is sent the sum of the terms of all parameters. It returns the numbers that the parameters share, as
they are after the step. In and out: numbers, or 0-d tensors where nothing is read on the host. Must not know of
optimizers, groups or implementations.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar, cast

import torch

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar

Number = TypeVar("Number", bound=Scalar)


@dataclass(frozen=True, slots=True)
class Terms:
    """What some parameters add to a total."""

    values: Sequence[Scalar]  # one for each of them
    in_group: bool  # whether the total is over the parameters of a group


Totals = Generator[Terms, Number, Mapping[str, Number]]
Waiting = Totals[float]
WaitingOnTensors = Totals[Scalar]


def total(*values: Scalar) -> Terms:
    """Return the terms of some parameters in a total over all parameters."""
    return Terms(values, in_group=False)


def group_total(*values: Scalar) -> Terms:
    """Return the terms of some parameters in a total over those of their group."""
    return Terms(values, in_group=True)


def add_up(values: Sequence[Scalar]) -> Scalar:
    """Return the sum in float64.

    Of floats it is rounded once. Where there are tensors it is a 0-d tensor, on the device of the first of them, and
    gradients flow through it.
    """
    if values and isinstance(values[0], float) and set(map(type, values)) == {float}:  # the usual case, in a few calls
        return scalar_math.total(cast(Sequence[float], values))
    tensors = [value for value in values if isinstance(value, torch.Tensor)]
    if not tensors:
        return scalar_math.total([value for value in values if not isinstance(value, torch.Tensor)])
    device = tensors[0].device
    with torch.set_grad_enabled(any(tensor.requires_grad for tensor in tensors)):
        return torch.stack([torch.as_tensor(value, dtype=torch.float64, device=device) for value in values]).sum()


def together(steps: Sequence[Totals[Number]]) -> Totals[Number]:
    """Run the steps of several parameters of a group as one: from total to total.

    Args:
        steps: At least one, all of the same function.

    Returns:
        A generator that yields the terms of all of them, and returns the shared numbers.
    """
    try:
        terms, results = advance(steps, None)
        while terms:
            number = yield Terms([value for one in terms for value in one.values], terms[0].in_group)
            terms, results = advance(steps, [number] * len(steps))
        return results[0]
    finally:
        for one in steps:
            one.close()


def in_context(rest: Totals[Number], make_context: Callable[[], AbstractContextManager[object]]) -> Totals[Number]:
    """Run a step from total to total, each part of it within a context of its own, which ends where the step waits."""
    number: Number | None = None
    try:
        while True:
            with make_context():
                terms = next(rest) if number is None else rest.send(number)
            number = yield terms
    except StopIteration as end:
        return dict(end.value)
    finally:
        rest.close()


def advance(
    steps: Sequence[Totals[Number]], sent: Sequence[Number] | None
) -> tuple[list[Terms], list[Mapping[str, Number]]]:
    """Run steps to their next totals, or all of them to their ends.

    Args:
        steps: The steps.
        sent: The sums that they wait for, one for each; None where they begin.

    Returns:
        The terms of each of them, or, where they ended, the shared numbers that each of them returned.
    """
    terms, results = [], []
    for index, one in enumerate(steps):
        try:
            terms.append(next(one) if sent is None else one.send(sent[index]))
        except StopIteration as end:
            results.append(end.args[0])  # its `value`, of which dynamo knows nothing
    assert not terms or not results, "some steps ended where others wait for a total"
    assert len({one.in_group for one in terms}) <= 1, "steps wait for different totals"
    return terms, results
