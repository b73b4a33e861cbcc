"""Steps on the global tensors of distributed parameters, for rules in which the elements of a parameter meet.

In: a generated step that works on one parameter after the other. Out: the same step for lists in which there are
DTensors. It gathers one parameter with its gradient and states at a time, computes on all of them as if there were one
process, and keeps its own part of what was written. So every process computes the same numbers to the bit, those of one
process that has all. It communicates: all processes have to step the same parameters in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from thetac.runtime.implementations.widened import Step
from thetac.runtime.tensor_facts.dtensors import is_dtensor, store_global, to_global


def on_global_tensors(step: Step) -> Step:
    """Return the step for lists of DTensors and plain tensors."""

    def each(params: Sequence[Tensor], grads: Sequence[Tensor], **keywords: Any) -> None:
        """Run the step for one parameter after the other; on the DTensors themselves where autograd records it."""
        if torch.is_grad_enabled():
            step(params, grads, **keywords)
            return
        for index, (param, grad) in enumerate(zip(params, grads, strict=True)):
            own = {name: value[index] if isinstance(value, list) else value for name, value in keywords.items()}
            lists = {name for name, value in keywords.items() if isinstance(value, list)}
            whole = {name: to_global(value) if isinstance(value, Tensor) else value for name, value in own.items()}
            whole_param = to_global(param)
            given = {name: [value] if name in lists else value for name, value in whole.items()}
            step([whole_param], [to_global(grad)], **given)
            store_global(param, whole_param)
            for name, value in own.items():
                if is_dtensor(value):
                    store_global(value, whole[name])

    return each
