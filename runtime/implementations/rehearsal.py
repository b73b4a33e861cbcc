"""Finds out before the first write whether torch refuses a number of a step, for the for-loop and foreach.

In: what an executor calls, stand-ins of one element for its tensors, and the host scalars of its group. Out: nothing,
or torch's own error. torch raises where a number is too large for a dtype, in whichever operation meets it first: after
others have written. The compiler has seen to it that this can only come from hyperparameters of extraordinary size
(`codegen/backends/eager/magnitudes.py`), so nothing is done for others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from thetac.runtime.implementations.widened import Step
from thetac.runtime.schema import Schema

_SMALLEST, _LARGEST = 1e-30, 1e4  # of what is ordinary, as the compiler has it; 0 and infinities are


class Rehearsal:
    """Rehearses the steps of some members of one group."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._of_elements = {state.argument for state in schema.states if state.like_param}
        self._values: Mapping[str, float] = {}
        self._is_ordinary = True

    def is_needed(self, values: Mapping[str, float]) -> bool:
        """Return whether a hyperparameter has a size that may make torch refuse a number."""
        if values is not self._values and values != self._values:
            self._values = values
            self._is_ordinary = all(
                _is_ordinary(values[name]) and (interval is None or values[name] in interval)
                for hyperparameter in self._schema.hyperparameters
                for name, interval in zip(hyperparameter.elements, hyperparameter.intervals, strict=True)
                if name in self._schema.refusable
            )
        return not self._is_ordinary

    def of(self, step: Step, params: Sequence[Tensor], grads: Sequence[Tensor], keywords: Mapping[str, Any]) -> None:
        """Raise torch's error for a number that it would refuse in this step; nothing has been written then."""
        rehearsed = {name: self._stand_ins(name, value) for name, value in keywords.items()}
        try:
            step(list(map(_one_element, params)), list(map(_one_element, grads)), **rehearsed, **self._values)
        except RuntimeError as error:
            if "overflow" in str(error):
                error.add_note("a number of a parameter group is too large; nothing was changed")
            raise

    def _stand_ins(self, name: str, value: Any) -> Any:
        """Return stand-ins for an argument: a list of states, or what says whether they are new."""
        if not isinstance(value, list):
            return value
        make = _one_element if name in self._of_elements else Tensor.clone
        return [make(one) if isinstance(one, Tensor) else one for one in value]


def _one_element(tensor: Tensor) -> Tensor:
    return torch.zeros(1, dtype=tensor.dtype, device=tensor.device)


def _is_ordinary(number: float) -> bool:
    return number == 0 or _SMALLEST <= abs(number) <= _LARGEST or math.isinf(number)
