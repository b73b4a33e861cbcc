"""Executors that wait for sums over all of them: in one order, all at the same barrier, closed when one fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from thetac.runtime.implementations.barriers import run_all
from thetac.runtime.implementations.executor import Barriers
from thetac.runtime.param_groups.grad_scaling import NONE, Scaling
from thetac.runtime.param_groups.groups import HostScalars
from thetac.runtime.param_groups.step_tensors import StepTensors
from thetac.runtime.schema import Group
from thetac.runtime.stepping.plan import Plan, SingleUse, Step

TENSORS = StepTensors([[], []])
TINY = 2.0**-53  # is lost where it is added to 1, and is not where two of them are added first


@dataclass
class Dividing:
    """An executor of a made-up rule: each parameter is divided by the sum over all of them, then by the new sum."""

    name: str
    params: list[float]
    events: list[str]
    barriers: int = 2
    fails_at: int = -1
    totals: list[float] = field(default_factory=list)

    def check(self, tensors: StepTensors) -> str:
        return ""

    def refresh(self, groups: Sequence[Group], host_scalars: Mapping[int, HostScalars], tensors: StepTensors) -> None:
        pass

    def sum_of_squares(self, tensors: StepTensors) -> Tensor:
        return torch.zeros(())

    def can_skip_on_device(self, tensors: StepTensors) -> bool:
        return False

    def run(self, tensors: StepTensors, scaling: Scaling) -> Barriers:
        try:
            for barrier in range(self.barriers):
                if barrier == self.fails_at:
                    raise RuntimeError(f"{self.name} has no memory")
                self.events.append(f"{self.name} waits at {barrier}")
                (total,) = yield [sum(self.params)]
                self.totals.append(total)
                self.params = [param / total for param in self.params]
            self.events.append(f"{self.name} ends")
        except GeneratorExit:
            self.events.append(f"{self.name} is closed")
            raise

    def finish(self) -> None:
        self.events.append(f"{self.name} is finished")


class AtOnce(Dividing):
    """One that has no barrier."""

    def run(self, tensors: StepTensors, scaling: Scaling) -> None:  # type: ignore[override]
        self.events.append(f"{self.name} runs")


def step_of(*executors: Dividing) -> Step:
    plan = Plan(executors, 0, (), counts_on_host=False, processes=(), devices=())
    return Step(plan, TENSORS, SingleUse("a test"), is_first=True, creates=False)


def test_a_plan_sends_all_executors_the_totals_of_all() -> None:
    events: list[str] = []
    first, second = Dividing("first", [1.0, 2.0], events), Dividing("second", [5.0], events)
    assert step_of(first, AtOnce("third", [], events), second).run(NONE) == SingleUse("a test")
    assert first.totals == second.totals == [8.0, 1.0]
    assert (first.params, second.params) == ([0.125, 0.25], [0.625])
    assert events == [
        "third runs",
        *("first waits at 0", "second waits at 0"),
        *("first waits at 1", "second waits at 1"),
        *("first ends", "second ends"),
        *("first is finished", "third is finished", "second is finished"),
    ]


@pytest.mark.parametrize(("values", "total"), [((1.0, TINY, TINY), 1.0), ((TINY, TINY, 1.0), 1 + 2 * TINY)])
def test_totals_are_added_up_in_the_order_of_the_executors(values: tuple[float, ...], total: float) -> None:
    executors = [Dividing(str(value), [value], [], barriers=1) for value in values]
    run_all(executors, TENSORS, NONE)
    assert [executor.totals for executor in executors] == [[total]] * 3


@pytest.mark.parametrize("fails_at", [0, 1])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_where_one_fails_the_others_are_closed(position: int, fails_at: int) -> None:
    events: list[str] = []
    executors = [
        Dividing(name, [1.0], events, fails_at=fails_at if index == position else -1)
        for index, name in enumerate("abc")
    ]
    with pytest.raises(RuntimeError, match=f"^{'abc'[position]} has no memory$"):
        run_all(executors, TENSORS, NONE)
    waiting = {event[0] for event in events if "waits" in event and event[0] != "abc"[position]}
    assert {event[0] for event in events if event.endswith("is closed")} == waiting
    assert not any(event.endswith("ends") for event in events)


def test_an_executor_that_ends_before_the_others_is_a_fault() -> None:
    with pytest.raises(AssertionError, match="some executors ended where others wait for their sums"):
        run_all([Dividing("a", [1.0], []), Dividing("b", [1.0], [], barriers=1)], TENSORS, NONE)
