# Generated from specs/schedule_free_adamw.yaml by thetac 0.1.0; do not edit.
"""ScheduleFreeAdamW for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.tensors import TensorList, as_lists_of_pairs


def step(
    params: TensorList,
    grads: TensorList,
    *,
    zs: TensorList,
    beta1: float,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if torch.is_complex(params[0]):
        params, grads, zs = as_lists_of_pairs(params, grads, zs)
    # param = lerp(param, z, 1 - beta1)
    torch._foreach_lerp_(params, zs, 1 - beta1)
