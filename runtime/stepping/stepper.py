"""One step of an optimizer, from what is asked to what is launched.

In: an optimizer's groups and state. Out: updated parameters and state, or an error before anything was written. Where
the plan of the last step is valid, a step is its check, its refresh and its run; otherwise all members are gathered and
checked again, and a new plan is made. Between steps nothing here keeps a parameter, gradient or state alive.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thetac.runtime.implementations.graph_capture import is_traced
from thetac.runtime.implementations.operator_call import KeptPlans
from thetac.runtime.param_groups.gather import Gathered, gather
from thetac.runtime.param_groups.grad_scaling import NONE, Scaling, compute_clip_coefficient, max_norm_of
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.shared_numbers import check_agreement, keep_as_tensors, put_shared
from thetac.runtime.param_groups.state import Entry
from thetac.runtime.param_groups.step_tensors import Listing
from thetac.runtime.schema import Group, Schema
from thetac.runtime.stepping.assignments import assign, assign_observed
from thetac.runtime.stepping.implementation import Choice
from thetac.runtime.stepping.plan import Invalidated, Observed, Plan, ReusablePlan, SingleUse, Step, make_plan
from thetac.runtime.tensor_facts.dtensors import RedistributedGradients

# How many modes of torch's want to see operations: counting, tracing, or pretending to compute.
_active_modes = torch._C._len_torch_dispatch_stack


@dataclass(frozen=True, slots=True)
class Served:
    """The implementation of a parameter in the last step that was re-planned."""

    group: int  # index of the parameter's group
    position: int  # of the parameter in its group
    choice: Choice


@dataclass(frozen=True, slots=True)
class _Kept:
    """A plan, and how the tensors that it is for are found again."""

    reusable: ReusablePlan
    listing: Listing


@dataclass(frozen=True, slots=True)
class _New:
    """The step of a new plan, and what it leaves behind."""

    step: Step
    gathered: Gathered
    listing: Listing


@dataclass(frozen=True, slots=True)
class _Seen:
    """The parameters of a group by `id`, which keeps nothing alive, and the dtype of each when it was last updated."""

    ids: array[int]
    dtypes: list[torch.dtype | None]


class Stepper:
    """Takes the steps of one optimizer, and keeps the plan of the last step for the next one."""

    def __init__(self, schema: Schema, *, clips: bool = True, takes_grads: bool = True) -> None:
        """Begin without a plan.

        Args:
            schema: The optimizer's, or that of a piece.
            clips: Whether the option `clip_grad_norm` has an effect on these steps.
            takes_grads: Whether steps are for parameters with gradients. Otherwise they are for all parameters, read
                no gradient, and no plan can be used again.
        """
        self.schema = schema
        self._clips = clips
        self._takes_grads = takes_grads
        self.has_integers = schema.has_integers
        self.served: list[Served] = []
        self.launches = 0  # of kernels, in the last step that was re-planned
        self.plans_made: Counter[str] = Counter()  # by cause
        self._kept: _Kept | None = None
        self._why_replan = "the first step"  # where nothing is kept
        self._seen: list[_Seen] = []  # one for each group
        self._observed_by = KeptPlans()
        self._captured: list[Plan] = []  # graphs may be replayed for as long as there is the optimizer

    def step(
        self,
        groups: Sequence[dict[str, Any]],
        state: MutableMapping[Tensor, Entry],
        grad_scale: Tensor | None = None,
        found_inf: Tensor | None = None,
    ) -> Tensor | None:
        """Update every parameter that has a gradient, unless `found_inf` is not 0: then nothing is written.

        Args:
            groups: parameter groups, as users have left them; a rule may write numbers that parameters share there
            state: `optimizer.state`, into which the state of new parameters is put
            grad_scale: what gradients are divided by, and the quotients stored; 1 element
            found_inf: whether a gradient is infinite or NaN; 1 element

        Returns:
            the gradients' norm where the groups clip it: 0-d

        Raises:
            what torch's optimizers raise for parameters, gradients, states and values that they do not take, before
            anything is written
        """
        # What is asked.
        if self.schema.waits:
            check_agreement(self.schema, groups)
        max_norm = max_norm_of(groups) if self._clips else None
        placed, may_be_skipped = RedistributedGradients(), found_inf is not None
        lists = [params if isinstance(params := group["params"], list) else list(params) for group in groups]
        is_observed = _active_modes() > 0

        # What is checked, and refreshed: the plan of the last step. It is given away until this one is over, because
        # neither half a step nor a check without a refresh can be gone on from.
        kept, why = self._kept, self._why_replan
        self._kept, self._why_replan = None, "a step that was not finished"
        step: Step | None = None
        if kept is not None and not is_observed:
            observed = _check(kept, groups, lists, state, placed, may_be_skipped=may_be_skipped)
            if isinstance(observed, Invalidated):
                kept, why = None, observed.cause
            else:
                step = kept.reusable.refresh(groups, observed)

        # Or everything is gathered and checked, and a new plan is made.
        new: _New | None = None
        if step is None:
            cause = "operations are observed" if is_observed else why
            new = self._replan(
                groups, lists, state, placed, cause, may_be_skipped=may_be_skipped, is_observed=is_observed
            )
            step = new.step

        # What is computed before anything is written.
        norm = None if max_norm is None else step.norm_of_gradients(grad_scale)
        clip = None if norm is None or max_norm is None else compute_clip_coefficient(norm, max_norm)
        if found_inf is not None and not step.can_skip_on_device():
            if found_inf.item():
                self._kept, self._why_replan = kept, why
                return norm
            found_inf = None

        # What is launched.
        if new is not None:
            new.gathered.commit(state)
        is_scaled = grad_scale is not None or clip is not None or found_inf is not None
        after = step.run(Scaling(grad_scale, clip, found_inf) if is_scaled else NONE)
        if self.schema.waits:
            put_shared(self.schema, groups, step.shared)
        if new is not None and grad_scale is not None:
            new.gathered.write_back()

        # What is kept.
        if step.plan.is_captured() and step.plan not in self._captured:
            self._captured.append(step.plan)
        if is_observed:
            self._kept, self._why_replan = kept, why  # the plan of ordinary steps is as it was
        elif isinstance(after, SingleUse):
            self._why_replan = after.cause
        else:
            self._kept = kept if new is None else _Kept(after, new.listing)
        return norm

    def check(self, groups: Sequence[dict[str, Any]], state: MutableMapping[Tensor, Entry]) -> None:
        """Raise what a step would raise before it writes anything, for drivers that write something else before it.

        Args:
            groups: parameter groups
            state: `optimizer.state`, which is only read
        """
        if self.schema.waits:
            check_agreement(self.schema, groups)
        max_norm_of(groups)
        lists = [list(group["params"]) for group in groups]
        gathered = self._gather(groups, lists, state, RedistributedGradients())
        make_plan(self.schema, groups, assign(self.schema, groups, gathered.members, may_be_skipped=False), None)

    @property
    def plan(self) -> Plan | None:
        """What the next step begins with, if it has a plan."""
        return None if self._kept is None else self._kept.reusable.plan

    def trust_state(self) -> None:
        """Forget the dtypes of parameters: all state is as it should be, whatever its dtype."""
        self._seen = []

    def _replan(
        self,
        groups: Sequence[dict[str, Any]],
        lists: Sequence[list[Tensor]],
        state: MutableMapping[Tensor, Entry],
        placed: RedistributedGradients,
        cause: str,
        *,
        may_be_skipped: bool,
        is_observed: bool,
    ) -> _New:
        """Gather and check everything, and make a new plan; `cause` says why no old one could be used."""
        schema = self.schema
        gathered = self._gather(groups, lists, state, placed)
        members = gathered.members
        if schema.shared:
            keep_as_tensors(schema, groups, in_all=is_traced())
        if is_observed:
            assignments = assign_observed(schema, groups, members)
        else:
            assignments = assign(schema, groups, members, may_be_skipped=may_be_skipped)
            gathered.count_on_devices(schema, [one.member for one in assignments if one.on_device])
        step = make_plan(schema, groups, assignments, self._observed_by if is_observed else None)
        self.plans_made[cause] += 1
        self.launches = step.plan.launches
        self.served = [Served(one.member.group, one.member.position, one.choice) for one in assignments]
        self._seen = _seen(lists, members, self._seen)
        entries = {**state, **dict(gathered.created)}
        return _New(step, gathered, Listing(schema, lists, members, entries))

    def _gather(
        self,
        groups: Sequence[dict[str, Any]],
        lists: Sequence[list[Tensor]],
        state: MutableMapping[Tensor, Entry],
        placed: RedistributedGradients,
    ) -> Gathered:
        """Gather and check everything that a step is about."""
        gathered = gather(self.schema, groups, lists, state, placed, takes_grads=self._takes_grads)
        for member in gathered.members:
            self._check_dtype(member)
        return gathered

    def _check_dtype(self, member: Member) -> None:
        """Raise RuntimeError for state that was left behind when its parameter got another dtype.

        Kernels could go on with it, but torch's optimizers cannot, and what a step takes must not depend on which
        implementation is the fastest.
        """
        before, now = _seen_dtype(self._seen, member.group, member.position, member.known_param), member.param.dtype
        if before in (None, now):
            return
        for declared, state in zip(self.schema.states, member.states, strict=True):
            if state is not None and declared.follows_dtype and state.dtype == before:
                raise RuntimeError(
                    f"a parameter of group {member.group} is {now} since the last step, its state {before}: change the "
                    "dtype of a module before the first step, or load the optimizer's state_dict afterwards"
                )


def _check(
    kept: _Kept,
    groups: Sequence[Group],
    lists: Sequence[list[Tensor]],
    state: MutableMapping[Tensor, Entry],
    placed: RedistributedGradients,
    *,
    may_be_skipped: bool,
) -> Observed | Invalidated:
    """List the tensors of this step, and check whether the plan of the last step is valid for them."""
    tensors = kept.listing.tensors(lists, state)
    if isinstance(tensors, str):
        return Invalidated(tensors)
    return kept.reusable.check(groups, tensors, placed, may_be_skipped=may_be_skipped)


def _seen(lists: Sequence[list[Tensor]], members: Sequence[Member], before: Sequence[_Seen]) -> list[_Seen]:
    """Return what is known after a step of these members; a parameter is known by its position and id."""
    found = [
        _Seen(array("q", map(id, params)), [_seen_dtype(before, index, at, param) for at, param in enumerate(params)])
        for index, params in enumerate(lists)
    ]
    for member in members:
        found[member.group].dtypes[member.position] = member.param.dtype
    return found


def _seen_dtype(seen: Sequence[_Seen], group: int, position: int, param: Tensor) -> torch.dtype | None:
    """Return the dtype that a parameter had when it was last updated; None if it was never seen at this position."""
    if group >= len(seen) or position >= len(seen[group].ids) or seen[group].ids[position] != id(param):
        return None
    return seen[group].dtypes[position]
