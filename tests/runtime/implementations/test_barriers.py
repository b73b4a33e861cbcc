"""Executors that wait for sums over all of them: exact, all at the same total, closed when one fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from thetac.runtime.implementations.barriers import run_all, run_alone
from thetac.runtime.implementations.executor import Unfinished
from thetac.runtime.param_groups.grad_scaling import NONE, Scaling
from thetac.runtime.param_groups.groups import HostScalars
from thetac.runtime.param_groups.step_tensors import StepTensors
from thetac.runtime.schema import Group
from thetac.runtime.stepping.plan import Plan, SingleUse, Step
from thetac.runtime.totals import Terms, Waiting, add_up, group_total, together, total

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
    group: int = 0
    in_group: bool = False

    def check(self, tensors: StepTensors) -> str:
        return ""

    def refresh(self, groups: Sequence[Group], host_scalars: Mapping[int, HostScalars], tensors: StepTensors) -> None:
        pass

    def sum_of_squares(self, tensors: StepTensors) -> Tensor:
        return torch.zeros(())

    def can_skip_on_device(self, tensors: StepTensors) -> bool:
        return False

    def run(self, tensors: StepTensors, scaling: Scaling) -> Unfinished:
        return Unfinished(self.group, self.steps())

    def steps(self) -> Waiting:
        try:
            for barrier in range(self.barriers):
                if barrier == self.fails_at:
                    raise RuntimeError(f"{self.name} has no memory")
                self.events.append(f"{self.name} waits at {barrier}")
                found = yield group_total(*self.params) if self.in_group else total(*self.params)
                self.totals.append(found)
                self.params = [param / found for param in self.params]
            self.events.append(f"{self.name} ends")
            return {"last": self.totals[-1] if self.totals else 0.0}
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


@pytest.mark.parametrize("values", [(1.0, TINY, TINY), (TINY, TINY, 1.0), (1e300, 1.0, -1e300)])
def test_totals_are_rounded_once_in_any_order_of_the_executors(values: tuple[float, ...]) -> None:
    found = 1.0 if 1e300 in values else 1 + 2 * TINY
    executors = [Dividing(str(value), [value], [], barriers=1) for value in values]
    assert run_all(executors, TENSORS, NONE) == {0: {"last": found}}
    assert [executor.totals for executor in executors] == [[found]] * 3


def test_a_total_of_a_group_is_over_the_executors_of_the_group() -> None:
    parameters = {0: [[1.0], [2.0, 4.0]], 1: [[8.0]]}
    executors = [
        Dividing(f"{group} {params}", params, [], barriers=1, group=group, in_group=True)
        for group, lists in parameters.items()
        for params in lists
    ]
    assert run_all(executors, TENSORS, NONE) == {0: {"last": 7.0}, 1: {"last": 8.0}}
    assert [executor.totals for executor in executors] == [[7.0], [7.0], [8.0]]


def test_steps_of_several_parameters_are_one() -> None:
    events: list[str] = []
    one, other = Dividing("one", [1.0], events), Dividing("other", [3.0], events)
    whole = together([one.steps(), other.steps()])
    assert next(whole) == Terms([1.0, 3.0], in_group=False)
    assert whole.send(8.0) == Terms([0.125, 0.375], in_group=False)
    with pytest.raises(StopIteration) as end:
        whole.send(0.5)
    assert end.value.value == {"last": 0.5}
    assert (one.params, other.params) == ([0.25], [0.75])
    assert events[-2:] == ["one ends", "other ends"]


def test_a_step_alone_is_sent_its_own_terms() -> None:
    alone = Dividing("alone", [1.0, 3.0], [])
    assert run_alone(alone.steps()) == {"last": 1.0}
    assert alone.totals == [4.0, 1.0]


def test_terms_on_a_device_are_added_up_there() -> None:
    leaf = torch.tensor(2.0, requires_grad=True)
    with torch.no_grad():
        found = add_up([leaf, 3.0, torch.tensor(4.0)])
    assert isinstance(found, Tensor)
    assert (found.item(), found.dtype, found.shape) == (9.0, torch.float64, ())
    assert torch.autograd.grad(found, leaf)[0].item() == 1.0


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
    with pytest.raises(AssertionError, match="some steps ended where others wait for a total"):
        run_all([Dividing("a", [1.0], []), Dividing("b", [1.0], [], barriers=1)], TENSORS, NONE)
