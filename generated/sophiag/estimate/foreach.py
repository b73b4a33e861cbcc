# Generated from specs/sophia_g.yaml by thetac 0.1.0; do not edit.
"""SophiaG for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.tensors import TensorList, as_lists_of_pairs, scale_


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
    if torch.is_complex(params[0]):
        params, grads, hessians = as_lists_of_pairs(params, grads, hessians)
    # hessian = beta2 * hessian + (1 - beta2) * grad * grad
    scale_(hessians, beta2)
    torch._foreach_addcmul_(hessians, grads, grads, value=1 - beta2)
