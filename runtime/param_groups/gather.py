"""The first half of a step: collect parameters with gradients, make missing state, and check all that can be checked.

In: the parameter groups and the state of an optimizer. Out: one `Member` per parameter with a gradient, and the new
state set aside, so that an error leaves everything as it was. Nothing here writes to a tensor or to
`optimizer.state`.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import cast

from torch import Tensor

from thetac.runtime.param_groups.checks import MemberChecks, resolve_lazy
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.shape_classes import ShapeClasses
from thetac.runtime.param_groups.state import Entry
from thetac.runtime.schema import Group, Schema
from thetac.runtime.tensor_facts import dtensors


@dataclass(slots=True)
class Gathered:
    """All members of a step, and what was made for it that users do not see yet."""

    members: list[Member]  # in the order of groups and parameters
    created: list[tuple[Tensor, Entry]]  # new state by parameter, which `optimizer.state` does not have yet
    lazy: list[tuple[Tensor, Tensor]]  # lazily negated or conjugated gradients, and the copies that members have

    def count_on_devices(self, schema: Schema, members: Iterable[Member]) -> None:
        """Copy counters and scalar states of some members to the devices of their parameters, as fused torch does.

        Args:
            schema: The schema of the optimizer.
            members: Those whose counters kernels advance. Members get the copies; `commit` publishes them.
        """
        is_number = [declared.is_number for declared in schema.states]
        names = [declared.name for declared in schema.states]
        for member in members:
            moved: Entry = {}
            states = list(member.states)
            for index, state in enumerate(states):
                if state is not None and is_number[index] and state.device != member.param.device:
                    states[index] = moved[names[index]] = state.to(member.param.device, non_blocking=True)
            if moved:
                member.replace_scalar_states(tuple(states), is_number)
                self.created.append((member.known_param, moved))

    def write_back(self) -> None:
        """Copy unscaled gradients back into the lazily negated or conjugated ones that they are copies of."""
        for grad, copy in self.lazy:
            grad.copy_(copy)

    def commit(self, state: MutableMapping[Tensor, Entry]) -> None:
        """Add the new state to `optimizer.state`, which is passed: from here on the step writes."""
        for param, entry in self.created:
            state.setdefault(param, {}).update(entry)


def gather(
    schema: Schema,
    groups: Sequence[Group],
    lists: Sequence[Iterable[Tensor]],
    state: MutableMapping[Tensor, Entry],
    placed: dtensors.RedistributedGradients | None = None,
    *,
    takes_grads: bool = True,
) -> Gathered:
    """Collect and check every parameter that has a gradient, and make its state if it has none.

    Args:
        schema: The schema of the optimizer.
        groups: Its parameter groups.
        lists: The parameters of each group.
        state: `optimizer.state`, which is only read.
        placed: The redistributed gradients of this step. Without them members hold DTensors as they are, not the
            shards of this process.
        takes_grads: Whether the rule reads gradients. Otherwise all parameters take part, and each stands in for its
            gradient.

    Returns:
        The members, the new state and the copies of lazy gradients. Nothing has been written yet.

    Raises:
        TypeError: A state is no tensor.
        RuntimeError: A parameter, gradient or state cannot take part in a step.
        AssertionError: A group is capturable, and a device is not.
    """
    members: list[Member] = []
    created: dict[Tensor, Entry] = {}
    lazy: list[tuple[Tensor, Tensor]] = []
    for index, group in enumerate(groups):
        classes = ShapeClasses(schema, group)
        checks = MemberChecks(schema, group, index, placed)
        for position, param in enumerate(lists[index]):
            found = param.grad if takes_grads else param
            if found is None:
                continue
            grad = resolve_lazy(found)
            if grad is not found:
                lazy.append((found, grad))
            checks.check_param(param, grad, position)
            grad = checks.place_gradient(param, grad, position)
            known = classes.of(param)
            names = known.names
            if not names:
                member = Member(index, position, param, grad, tuple([None] * len(known.declared)), False, known.shape)
                members.append(checks.localize(member, position))
                continue
            entry: Entry = state.get(param, {})
            new = param in created or any(entry.get(name) is None for name in names)
            if new:
                checks.check_absent(names, entry, position)
                if param not in created:
                    created[param] = known.new_state.of(param, grad)
                entry = created[param]
            values = [None if state is None else entry[state.name] for state in known.declared]
            if not new:
                checks.check_states(values, param, grad, position)
            states = cast("tuple[Tensor | None, ...]", tuple(values))
            member = Member(index, position, param, grad, states, new, known.shape)
            members.append(checks.localize(member, position))
    return Gathered(members, list(created.items()), lazy)
