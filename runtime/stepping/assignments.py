"""Which implementation updates which member of a step, and where the member's counters and scalar states are.

In: an optimizer's groups and the members of a step. Out: one `Assignment` per member. Every plan begins with these,
that of an ordinary step as well as that of the custom operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thetac.runtime.implementations.fused_on_device import counts_on_device
from thetac.runtime.implementations.graph_capture import is_traced
from thetac.runtime.param_groups.members import Member
from thetac.runtime.schema import Group, Schema
from thetac.runtime.stepping.choice import choose_all
from thetac.runtime.stepping.implementation import FUSED, Choice, Implementation


@dataclass(frozen=True, slots=True)
class Assignment:
    """What becomes of one member in a step."""

    member: Member
    choice: Choice
    on_device: bool  # whether counters, scalar states and scalar rows stay on the member's device

    @property
    def implementation(self) -> Implementation:
        """The implementation that was chosen."""
        return self.choice.implementation


def assign(
    schema: Schema, groups: Sequence[Group], members: Sequence[Member], *, may_be_skipped: bool
) -> list[Assignment]:
    """Return an assignment per member. Raise, before anything has changed, where an explicit option cannot be met.

    Args:
        schema: that of the optimizer
        groups: all of its groups
        members: those of the step
        may_be_skipped: whether only the device knows if the step is to be skipped, so that counters count there
    """
    triton = Implementation.TRITON
    return [
        Assignment(
            member,
            choice,
            choice.implementation is triton
            and not schema.waits  # the host adds up, and therefore counts
            and (may_be_skipped or counts_on_device(schema, groups[member.group], member)),
        )
        for member, choice in zip(members, choose_all(schema, groups, members), strict=True)
    ]


def assign_observed(schema: Schema, groups: Sequence[Group], members: Sequence[Member]) -> list[Assignment]:
    """Return an assignment per member for a step whose operations modes observe.

    Kernels are called through an operator of torch.
    The operator makes assignments of its own, so all scalars are the host's here. No graph has kernels that wait for
    totals.
    """
    kept = () if schema.waits else FUSED
    traced = Choice(Implementation.ON_TENSORS, "a graph is traced") if is_traced() else None
    by_rows = traced or Choice(Implementation.FOR_LOOP, "the gradient is sparse, and a mode observes", is_fallback=True)
    found: list[Assignment] = []
    for member, choice in zip(members, choose_all(schema, groups, members), strict=True):
        if member.grad.is_sparse and choice.implementation in FUSED:  # the operator takes dense tensors alone
            choice = by_rows
        elif traced is not None and choice.implementation not in kept:
            choice = traced
        found.append(Assignment(member, choice, False))
    return found
