# Generated from specs/sophia_h.yaml by thetac 0.1.0; do not edit.
"""SophiaH for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.tensors import TensorList, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    hessians: TensorList,
    beta2: float,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    # hessian = beta2 * hessian + (1 - beta2) * grad
    scale_(hessians, beta2)
    torch._foreach_add_(hessians, grads, alpha=1 - beta2)
