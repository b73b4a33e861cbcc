"""One step of an optimizer: prepare, then run.

In: an optimizer's groups and state. Out: updated parameters and state, or an error before anything was written. Where
the plan of the last step still serves, a step is its check and its run; otherwise all members are gathered and checked
anew, and a new plan is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from thetac.runtime.choice import Choice, choose_all
from thetac.runtime.gather import Gathered, gather
from thetac.runtime.plan import Plan
from thetac.runtime.scaling import Scaling, clip_coefficient, max_norm_of
from thetac.runtime.schema import Group, Schema
from thetac.runtime.state import Entry


@dataclass(frozen=True, slots=True)
class Served:
    """What a parameter got in the last step that was prepared anew."""

    group: int
    param: Tensor
    choice: Choice


class Stepper:
    """Takes the steps of one optimizer, and remembers between them what makes them fast."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.served: list[Served] = []
        self.plan: Plan | None = None
        self.plans_made: Counter[str] = Counter()  # by cause

    def step(
        self, groups: Sequence[Group], state: MutableMapping[Tensor, Entry], grad_scale: Tensor | None = None
    ) -> Tensor | None:
        """Update every parameter that has a gradient. Returns the gradients' norm where the groups clip it."""
        max_norm = max_norm_of(groups)
        cause, plan, gathered = "the first step", self.plan, None
        if plan is not None:
            cause, grads = plan.why_void(groups, state)
            cause = cause or plan.prepare(groups)
        if plan is None or cause:
            gathered, plan = self._prepared_anew(groups, state, cause)
            grads = [member.grad for member in gathered.members]
        norm = None if max_norm is None else plan.norm_of_gradients(grads, grad_scale)
        clip = None if norm is None or max_norm is None else clip_coefficient(norm, max_norm)
        if gathered is not None:
            gathered.commit(state)
            plan.watch(groups, state)
        self.plan = None  # what is left half done is prepared anew
        plan.run(grads, Scaling(grad_scale, clip))
        self.plan = plan
        return norm

    def _prepared_anew(
        self, groups: Sequence[Group], state: MutableMapping[Tensor, Entry], cause: str
    ) -> tuple[Gathered, Plan]:
        """Gather and check everything; `cause` is why the plan at hand did not serve."""
        gathered = gather(self.schema, groups, state)
        choices = choose_all(self.schema, groups, gathered.members)
        plan = Plan(self.schema, groups, gathered.members, choices)
        plan.prepare(groups)
        self.plans_made[cause] += 1
        self.served = [
            Served(member.group, member.param, choice) for member, choice in zip(gathered.members, choices, strict=True)
        ]
        return gathered, plan
