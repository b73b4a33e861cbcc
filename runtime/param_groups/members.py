"""The record of one parameter that takes part in a step.

In: nothing. Out: `Member`, the record that all parts of a step share. It holds tensors, so it lives no longer than
a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from thetac.runtime.schema import Schema, Shape
from thetac.runtime.tensor_facts.dtensors import GlobalTensors


@dataclass(slots=True)
class Member:
    """One parameter that takes part in a step."""

    group: int  # index of its group
    position: int  # among the parameters of its group
    param: Tensor  # local to this process, as are gradient and states
    grad: Tensor  # of the parameter's shape, unless it is sparse
    states: tuple[Tensor | None, ...]  # in the schema's order; None for a state that its group does not have
    created: bool  # whether this step made its state
    shape: Shape  # of `known_param`: the numbers that the rule reads
    global_tensors: GlobalTensors | None = None  # where the tensors above are local shards

    @property
    def known_param(self) -> Tensor:
        """The parameter as its group has it."""
        return self.param if self.global_tensors is None else self.global_tensors.param

    def replace_scalar_states(self, states: tuple[Tensor | None, ...], is_number: Sequence[bool]) -> None:
        """Replace counters and scalar states by copies on another device.

        Args:
            states: All states, in the schema's order.
            is_number: Whether each of them is a counter or scalar state.
        """
        if self.global_tensors is not None:
            known = zip(self.global_tensors.states, states, is_number, strict=True)
            self.global_tensors = replace(
                self.global_tensors, states=tuple(new if number else old for old, new, number in known)
            )
        self.states = states


def tensor_states(schema: Schema, member: Member) -> list[Tensor]:
    """Return the existing states of a member that have its parameter's shape."""
    return [
        state
        for declared, state in zip(schema.states, member.states, strict=True)
        if state is not None and declared.like_param
    ]


def small_states(schema: Schema, member: Member) -> list[Tensor]:
    """Return the existing states of a member with one number per row, column or parameter, on its device."""
    return [
        state
        for declared, state in zip(schema.states, member.states, strict=True)
        if state is not None and declared.is_small
    ]
