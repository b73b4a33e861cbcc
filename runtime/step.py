"""One step of an optimizer: prepare, then run.

In: an optimizer's groups and state. Out: updated parameters and state, or an error before anything was written. Where
the plan of the last step still serves, a step is its check and its run; otherwise all members are gathered and checked
anew, and a new plan is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from itertools import compress

import torch
from torch import Tensor

from thetac.runtime.choice import Choice, Implementation, choose_all
from thetac.runtime.dtensors import Placed
from thetac.runtime.gather import Gathered, Member, gather, tensor_states
from thetac.runtime.plan import Plan
from thetac.runtime.resident import counts_on_device
from thetac.runtime.scaling import NONE, Scaling, clip_coefficient, max_norm_of
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
        self._dtypes: dict[Tensor, torch.dtype] = {}  # of parameters, when their state was last known to be theirs
        self._captured: list[Plan] = []  # graphs may be replayed for as long as there is the optimizer

    def step(
        self,
        groups: Sequence[Group],
        state: MutableMapping[Tensor, Entry],
        grad_scale: Tensor | None = None,
        found_inf: Tensor | None = None,
    ) -> Tensor | None:
        """Update every parameter that has a gradient, unless `found_inf` is not 0: then nothing is written.

        Returns the gradients' norm where the groups clip it.
        """
        max_norm, placed = max_norm_of(groups), Placed()
        cause, plan, gathered = "the first step", self.plan, None
        if plan is not None:
            cause, grads = plan.why_void(groups, state, placed)
            if not cause and found_inf is not None and plan.counts_on_host:
                cause = "a step that may be skipped counts on the device"
            cause = cause or plan.prepare(groups)
        if plan is None or cause:
            gathered, plan = self._prepared_anew(groups, state, placed, cause, found_inf is not None)
            grads = [member.grad for member in gathered.members]
        norm = None if max_norm is None else plan.norm_of_gradients(grads, grad_scale)
        clip = None if norm is None or max_norm is None else clip_coefficient(norm, max_norm)
        if found_inf is not None and plan.reads_found_inf():
            if found_inf.item():
                return norm
            found_inf = None
        if gathered is not None:
            gathered.commit(state)
            plan.watch(groups, state)
        self.plan = None  # what is left half done is prepared anew
        plan.run(grads, NONE if grad_scale is clip is found_inf is None else Scaling(grad_scale, clip, found_inf))
        self.plan = plan
        if gathered is not None and grad_scale is not None:
            gathered.write_back()
        if plan.was_captured and plan not in self._captured:
            self._captured.append(plan)
        return norm

    def trust_state(self) -> None:
        """All state is as somebody wants it, whatever its dtype."""
        self._dtypes = {}

    def _prepared_anew(
        self,
        groups: Sequence[Group],
        state: MutableMapping[Tensor, Entry],
        placed: Placed,
        cause: str,
        may_be_skipped: bool,
    ) -> tuple[Gathered, Plan]:
        """Gather and check everything; `cause` is why the plan at hand did not serve."""
        gathered = gather(self.schema, groups, state, placed)
        for member in gathered.members:
            self._check_dtype(member)
        choices = choose_all(self.schema, groups, gathered.members)
        on_devices = [
            choice.implementation is Implementation.TRITON
            and (may_be_skipped or counts_on_device(self.schema, groups[member.group], member))
            for member, choice in zip(gathered.members, choices, strict=True)
        ]
        gathered.count_on_devices(self.schema, compress(gathered.members, on_devices))
        plan = Plan(self.schema, groups, gathered.members, choices, on_devices)
        plan.prepare(groups)
        self.plans_made[cause] += 1
        self.served = [
            Served(member.group, member.known_param, choice)
            for member, choice in zip(gathered.members, choices, strict=True)
        ]
        known = {param: dtype for param, dtype in self._dtypes.items() if param in state}
        self._dtypes = {**known, **{member.known_param: member.param.dtype for member in gathered.members}}
        return gathered, plan

    def _check_dtype(self, member: Member) -> None:
        """Raise for state that was left behind when its parameter got another dtype.

        Kernels could go on with it, but torch's optimizers cannot, and what a step takes must not depend on which
        implementation is the fastest.
        """
        before, now = self._dtypes.get(member.known_param), member.param.dtype
        if before in (None, now):
            return
        for state in tensor_states(self.schema, member):
            if state.dtype == before:
                raise RuntimeError(
                    f"a parameter of group {member.group} is {now} since the last step, its state {before}: change the "
                    "dtype of a module before the first step, or load the optimizer's state_dict afterwards"
                )
