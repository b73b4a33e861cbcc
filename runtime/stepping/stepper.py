"""One step of an optimizer: list its tensors, look at them, prepare, then run.

In: an optimizer's groups and state. Out: updated parameters and state, or an error before anything was written. Where
the plan of the last step still serves, a step is its check and its run; otherwise all members are gathered and checked
anew, and a new plan is made. Between steps nothing here keeps a parameter, gradient or state alive.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from itertools import compress

import torch
from torch import Tensor

from thetac.runtime.implementations.fused_on_device import counts_on_device
from thetac.runtime.implementations.operator_call import KeptPlans
from thetac.runtime.param_groups.gather import Gathered, gather
from thetac.runtime.param_groups.grad_scaling import NONE, Scaling, clip_coefficient, max_norm_of
from thetac.runtime.param_groups.members import Member, tensor_states
from thetac.runtime.param_groups.shards import Shards
from thetac.runtime.param_groups.state import Entry
from thetac.runtime.param_groups.step_tensors import Listing, StepTensors, tensors_of
from thetac.runtime.schema import Group, Schema
from thetac.runtime.stepping.choice import FUSED, Choice, Implementation, choose_all
from thetac.runtime.stepping.plan import Plan
from thetac.runtime.tensor_facts.dtensors import Placed

# How many modes of torch's want to see operations: counting, tracing, or pretending to compute.
_active_modes = torch._C._len_torch_dispatch_stack


@dataclass(frozen=True, slots=True)
class Served:
    """What a parameter got in the last step that was prepared anew."""

    group: int
    position: int  # in its group
    choice: Choice


@dataclass(frozen=True, slots=True)
class _Kept:
    """A plan, and how the tensors that it is for are found again."""

    plan: Plan
    listing: Listing
    shards: Shards | None


@dataclass(frozen=True, slots=True)
class _Seen:
    """The parameters of a group by `id`, which keeps nothing alive, and the dtype of each when it was last updated."""

    ids: array[int]
    dtypes: list[torch.dtype | None]


class Stepper:
    """Takes the steps of one optimizer, and remembers between them what makes them fast."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.served: list[Served] = []
        self.launches = 0  # of kernels, in the last step that was prepared anew
        self.plans_made: Counter[str] = Counter()  # by cause
        self._kept: _Kept | None = None
        self._why_anew = "the first step"  # where nothing is kept
        self._seen: list[_Seen] = []  # one for each group
        self._observed_by = KeptPlans()
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
        lists = [params if isinstance(params := group["params"], list) else list(params) for group in groups]
        is_observed = _active_modes() > 0
        before = self._kept
        kept, gathered = None if is_observed else before, None
        found: StepTensors | str = "operations are observed" if is_observed else self._why_anew
        if kept is not None:
            found = self._found_again(kept, groups, lists, state, placed, may_be_skipped=found_inf is not None)
        if isinstance(found, str):
            gathered, kept = self._prepared_anew(
                groups, lists, state, placed, found, may_be_skipped=found_inf is not None, is_observed=is_observed
            )
            found = tensors_of(gathered.members, len(self.schema.states))
        assert kept is not None
        tensors = found
        plan = kept.plan
        norm = None if max_norm is None else plan.norm_of_gradients(tensors, grad_scale)
        clip = None if norm is None or max_norm is None else clip_coefficient(norm, max_norm)
        if found_inf is not None and plan.reads_found_inf(tensors):
            if found_inf.item():
                return norm
            found_inf = None
        if gathered is not None:
            gathered.commit(state)
        self._kept, self._why_anew = None, "a step that was not finished"  # what is left half done is prepared anew
        plan.run(tensors, NONE if grad_scale is clip is found_inf is None else Scaling(grad_scale, clip, found_inf))
        if is_observed:
            self._kept = before  # which looks at everything before it serves again
        elif plan.single_use:
            self._why_anew = plan.single_use
        else:
            self._kept = kept
        if gathered is not None and grad_scale is not None:
            gathered.write_back()
        if plan.was_captured and plan not in self._captured:
            self._captured.append(plan)
        return norm

    @property
    def plan(self) -> Plan | None:
        """What the next step begins with, if it has a plan."""
        return None if self._kept is None else self._kept.plan

    def trust_state(self) -> None:
        """All state is as somebody wants it, whatever its dtype."""
        self._seen = []

    def _found_again(
        self,
        kept: _Kept,
        groups: Sequence[Group],
        lists: Sequence[list[Tensor]],
        state: MutableMapping[Tensor, Entry],
        placed: Placed,
        *,
        may_be_skipped: bool,
    ) -> StepTensors | str:
        """The tensors of this step, for which the plan at hand has been prepared; or why it does not serve."""
        tensors = kept.listing.tensors(lists, state)
        if isinstance(tensors, str):
            return tensors
        plan = kept.plan
        cause = plan.why_groups_void(groups)
        if not cause and kept.shards is not None:
            cause = kept.shards.take_shards(tensors, placed)
        cause = cause or plan.why_void(tensors)
        if not cause and may_be_skipped and plan.counts_on_host:
            cause = "a step that may be skipped counts on the device"
        return cause or plan.prepare(groups, tensors) or tensors

    def _prepared_anew(
        self,
        groups: Sequence[Group],
        lists: Sequence[list[Tensor]],
        state: MutableMapping[Tensor, Entry],
        placed: Placed,
        cause: str,
        *,
        may_be_skipped: bool,
        is_observed: bool,
    ) -> tuple[Gathered, _Kept]:
        """Gather and check everything; `cause` is why the plan at hand did not serve."""
        gathered = gather(self.schema, groups, lists, state, placed)
        members = gathered.members
        for member in members:
            self._check_dtype(member)
        choices = choose_all(self.schema, groups, members)
        if is_observed and _is_traced():
            traced = Choice(Implementation.ON_TENSORS, "a graph is traced")
            choices = [choice if choice.implementation in FUSED else traced for choice in choices]
        on_devices = [
            not is_observed
            and choice.implementation is Implementation.TRITON
            and (may_be_skipped or counts_on_device(self.schema, groups[member.group], member))
            for member, choice in zip(members, choices, strict=True)
        ]
        gathered.count_on_devices(self.schema, compress(members, on_devices))
        plan = Plan(self.schema, groups, members, choices, on_devices, self._observed_by if is_observed else None)
        plan.prepare(groups, tensors_of(members, len(self.schema.states)))
        self.plans_made[cause] += 1
        self.launches = plan.launches
        self.served = [
            Served(member.group, member.position, choice) for member, choice in zip(members, choices, strict=True)
        ]
        self._seen = _seen(lists, members, self._seen)
        has_shards = any(member.whole is not None for member in members)
        shards = Shards(members, len(self.schema.states)) if has_shards else None
        return gathered, _Kept(plan, Listing(self.schema, lists, members, {**state, **dict(gathered.created)}), shards)

    def _check_dtype(self, member: Member) -> None:
        """Raise for state that was left behind when its parameter got another dtype.

        Kernels could go on with it, but torch's optimizers cannot, and what a step takes must not depend on which
        implementation is the fastest.
        """
        before, now = _seen_dtype(self._seen, member.group, member.position, member.known_param), member.param.dtype
        if before in (None, now):
            return
        for state in tensor_states(self.schema, member):
            if state.dtype == before:
                raise RuntimeError(
                    f"a parameter of group {member.group} is {now} since the last step, its state {before}: change the "
                    "dtype of a module before the first step, or load the optimizer's state_dict afterwards"
                )


def _seen(lists: Sequence[list[Tensor]], members: Sequence[Member], before: Sequence[_Seen]) -> list[_Seen]:
    """What is known after a step of these members; a parameter is known by its place and id."""
    found = [
        _Seen(array("q", map(id, params)), [_seen_dtype(before, index, at, param) for at, param in enumerate(params)])
        for index, params in enumerate(lists)
    ]
    for member in members:
        found[member.group].dtypes[member.position] = member.param.dtype
    return found


def _seen_dtype(seen: Sequence[_Seen], group: int, position: int, param: Tensor) -> torch.dtype | None:
    if group >= len(seen) or position >= len(seen[group].ids) or seen[group].ids[position] != id(param):
        return None
    return seen[group].dtypes[position]


def _is_traced() -> bool:
    """Whether operations become a graph (`make_fx`), in which numbers that the host reads would be constants."""
    return torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY) is not None
