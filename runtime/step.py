"""One step of an optimizer: prepare, then run.

In: an optimizer's groups and state. Out: updated parameters and state, or an error before anything was written. Where
a plan covers every parameter with a gradient and still holds, a step is its check and one launch per bucket;
otherwise all members are gathered and checked anew, and the plan is kept if it holds for those that it serves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from thetac.runtime import foreach, forloop
from thetac.runtime.choice import FUSED, Choice, Implementation, choose_all
from thetac.runtime.gather import Gathered, Member, gather
from thetac.runtime.groups import Value, numbers_of, values_of
from thetac.runtime.launch_triton import TritonLauncher
from thetac.runtime.plan import Plan
from thetac.runtime.schema import Group, Schema
from thetac.runtime.state import Entry


@dataclass(frozen=True, slots=True)
class Served:
    """What a parameter got in the last step that was prepared anew."""

    group: int
    param: Tensor
    choice: Choice


@dataclass(frozen=True, slots=True)
class _Work:
    """Members of one group that one implementation updates, and the values to call it with."""

    implementation: Implementation
    group: Group
    values: Mapping[str, Value]
    numbers: Mapping[str, float]
    members: list[Member]


class Stepper:
    """Takes the steps of one optimizer, and remembers between them what makes them fast."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.served: list[Served] = []
        self.plan: Plan | None = None
        self.plans_made: Counter[str] = Counter()  # by cause
        self._plan_covers_all = False

    def step(self, groups: Sequence[Group], state: MutableMapping[Tensor, Entry]) -> None:
        cause = ""
        if self.plan is not None and self._plan_covers_all:
            cause = self._step_by_plan(self.plan, groups, state)
            if not cause:
                return
        self._step_anew(groups, state, cause)

    def _step_by_plan(self, plan: Plan, groups: Sequence[Group], state: MutableMapping[Tensor, Entry]) -> str:
        """Step if the plan holds for everything that has a gradient now; else say why it does not."""
        counts: list[int] = []
        params: list[Tensor] = []
        grads: list[Tensor] = []
        for group in groups:
            before = len(params)
            for param in group["params"]:
                grad = param.grad
                if grad is not None:
                    params.append(param)
                    grads.append(grad)
            counts.append(len(params) - before)
        try:
            cause = plan.why_void(groups, counts, params, grads, state)
            if not cause:
                plan.refresh(self._numbers(groups, counts))
                plan.run()
        finally:
            plan.release_gradients()
        return cause

    def _step_anew(self, groups: Sequence[Group], state: MutableMapping[Tensor, Entry], cause: str) -> None:
        """Gather and check everything; `cause` is why the plan at hand did not serve, if it was tried."""
        gathered = gather(self.schema, groups, state)
        choices = choose_all(self.schema, groups, gathered.members)
        fused = [m for m, choice in zip(gathered.members, choices, strict=True) if choice.implementation in FUSED]
        work = self._work(groups, gathered, choices)
        plan = self._plan_for(fused, groups, state, cause) if fused else None
        try:
            gathered.commit(state)
            if plan is not None:
                plan.remember(state)
            self._plan_covers_all = len(fused) == len(gathered.members)
            self.served = [
                Served(member.group, member.param, choice)
                for member, choice in zip(gathered.members, choices, strict=True)
            ]
            for item in work:
                self._run(item)
            if plan is not None:
                plan.run()
        finally:
            if plan is not None:
                plan.release_gradients()

    def _plan_for(
        self, members: list[Member], groups: Sequence[Group], state: MutableMapping[Tensor, Entry], cause: str
    ) -> Plan:
        """The plan at hand if it holds for these members, else a new one; with this step's rows."""
        counts = [0] * len(groups)
        for member in members:
            counts[member.group] += 1
        if self.plan is not None:
            params, grads = [member.param for member in members], [member.grad for member in members]
            void = self.plan.why_void(groups, counts, params, grads, state)
            cause = (cause or void) if void else ""
        else:
            cause = "the first fused step"
        if self.plan is None or cause:
            self.plan = Plan(self.schema, groups, members, TritonLauncher)
            self.plans_made[cause] += 1
        self.plan.refresh(self._numbers(groups, counts))
        return self.plan

    def _numbers(self, groups: Sequence[Group], counts: Sequence[int]) -> dict[int, dict[str, float]]:
        return {index: numbers_of(self.schema, groups[index]) for index, count in enumerate(counts) if count}

    def _work(self, groups: Sequence[Group], gathered: Gathered, choices: Sequence[Choice]) -> list[_Work]:
        """What is not fused, by group and implementation, in the order of the groups."""
        found: dict[tuple[int, Implementation], _Work] = {}
        for member, choice in zip(gathered.members, choices, strict=True):
            if choice.implementation in FUSED:
                continue
            key = (member.group, choice.implementation)
            if key not in found:
                group = groups[member.group]
                on_tensors = choice.implementation is Implementation.ON_TENSORS
                values = values_of(self.schema, group) if on_tensors else {}
                numbers = {} if on_tensors else numbers_of(self.schema, group)
                found[key] = _Work(choice.implementation, group, values, numbers, [])
            found[key].members.append(member)
        return list(found.values())

    def _run(self, work: _Work) -> None:
        match work.implementation:
            case Implementation.FOR_LOOP:
                forloop.run(self.schema, work.numbers, work.members)
            case Implementation.ON_TENSORS:
                forloop.run_on_tensors(self.schema, work.group, work.values, work.members)
            case Implementation.FOREACH:
                foreach.run(self.schema, work.numbers, work.members)
            case Implementation.TRITON:
                raise AssertionError("a fused implementation runs by its plan")
