"""Finds out before the first write whether torch refuses a number of a step, for the for-loop and foreach.

In: what a work calls, stand-ins of one element for its tensors, and the numbers of its group. Out: nothing, or torch's
own error. torch raises where a number is too large for a dtype, in whichever operation meets it first: after others
have written. The compiler has seen to it that this can only come from hyperparameters of extraordinary size
(`codegen/backends/magnitudes.py`), so nothing is done for others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from thetac.runtime.gather import Member
from thetac.runtime.schema import Schema

_SMALLEST, _LARGEST = 1e-30, 1e4  # of what is ordinary, as the compiler has it; 0 and infinities are


class Rehearsal:
    """Rehearses the steps of some members of one group."""

    def __init__(self, schema: Schema, members: Sequence[Member], call: Callable[[Sequence[Member]], None]) -> None:
        """`call` does the step of members that it is given, with the numbers that were read last."""
        self._schema = schema
        self._call = call
        self._group = members[0].group
        self._members = [
            Member(member.group, member.param, _of_no_elements(member.grad), member.states, member.created)
            for member in members
        ]
        self._values: Mapping[str, float] = {}
        self._ordinary = True

    def check(self, values: Mapping[str, float]) -> None:
        """Raise torch's error for a number that it would refuse; nothing has been written then."""
        if values is not self._values and values != self._values:
            self._values = values
            self._ordinary = all(
                _is_ordinary(values[name]) and (interval is None or values[name] in interval)
                for hyperparameter in self._schema.hyperparameters
                for name, interval in zip(hyperparameter.elements, hyperparameter.intervals, strict=True)
                if name in self._schema.refusable
            )
        if self._ordinary:
            return
        try:
            self._call([self._stand_in(member) for member in self._members])
        except RuntimeError as error:
            if "overflow" in str(error):
                error.add_note(f"a number of parameter group {self._group} is too large; nothing was changed")
            raise

    def exist(self) -> None:
        """From now on every state exists."""
        for member in self._members:
            member.created = False

    def _stand_in(self, member: Member) -> Member:
        states = tuple(
            _one_element(state) if declared.kind == "tensor" else _copied(state)
            for declared, state in zip(self._schema.states, member.states, strict=True)
        )
        param, grad = (
            torch.zeros(1, dtype=tensor.dtype, device=member.param.device) for tensor in (member.param, member.grad)
        )
        return Member(member.group, param, grad, states, member.created)


def _of_no_elements(grad: Tensor) -> Tensor:
    """Its dtype, without the memory that it holds."""
    return torch.empty(0, dtype=grad.dtype, device=grad.device)


def _one_element(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else torch.zeros(1, dtype=tensor.dtype, device=tensor.device)


def _copied(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.clone()


def _is_ordinary(number: float) -> bool:
    return number == 0 or _SMALLEST <= abs(number) <= _LARGEST or math.isinf(number)
