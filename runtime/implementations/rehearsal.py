"""Finds out before the first write whether torch refuses a host scalar of a step, for the for-loop and foreach.

In: the step that an executor calls, its tensors, and the host scalars of its group. Out: nothing, or torch's own error.
torch raises an error in the first operation whose host scalar is too large for a dtype, when earlier operations have
already written. So the step is run on tensors of one element first. The compiler ensures that only hyperparameters of
extraordinary size cause such an error (`codegen/backends/eager/magnitudes.py`), so no step is rehearsed for others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from thetac.runtime.implementations.barriers import run_alone
from thetac.runtime.implementations.widened import Step
from thetac.runtime.schema import Schema

_SMALLEST, _LARGEST = 1e-30, 1e4  # of ordinary magnitudes, as in the compiler; 0 and infinities are ordinary, too


class Rehearsal:
    """Rehearses the steps of some members of one group."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._of_elements = {state.argument for state in schema.states if state.follows_dtype}
        self._values: Mapping[str, float] = {}
        self._is_ordinary = True

    def is_needed(self, values: Mapping[str, float]) -> bool:
        """Return whether a hyperparameter is so large or small that torch may refuse a host scalar."""
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
        """Raise torch's error for a host scalar that torch would refuse in this step, before anything is written."""
        rehearsed = {name: self._stand_ins(name, value) for name, value in keywords.items()}
        try:
            rest = step(list(map(_one_element, params)), list(map(_one_element, grads)), **rehearsed, **self._values)
            if self._schema.waits:
                run_alone(rest)
        except RuntimeError as error:
            if "overflow" in str(error):
                error.add_note("a number of a parameter group is too large; nothing was changed")
            raise

    def _stand_ins(self, name: str, value: Any) -> Any:
        """Return stand-ins for a list of states; return any other argument, such as firsts, as it is."""
        if not isinstance(value, list):
            return value
        make = _one_element if name in self._of_elements else Tensor.clone
        return [make(one) if isinstance(one, Tensor) else one for one in value]


def _one_element(tensor: Tensor) -> Tensor:
    return torch.zeros((1,) * max(tensor.dim(), 1), dtype=tensor.dtype, device=tensor.device)


def _is_ordinary(number: float) -> bool:
    return number == 0 or _SMALLEST <= abs(number) <= _LARGEST or math.isinf(number)
