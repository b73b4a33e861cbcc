# Generated from specs/textbook/momentum_sgd.yaml by thetac 0.1.0; do not edit.
"""MomentumSGD for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.tensors import TensorList, as_lists_of_pairs, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    vs: TensorList,
    lr: float,
    mu: float,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if torch.is_complex(params[0]):
        params, grads, vs = as_lists_of_pairs(params, grads, vs)
    # v = mu * v - lr * grad
    scale_(vs, mu)
    torch._foreach_add_(vs, grads, alpha=-lr)
    # param = param + v
    torch._foreach_add_(params, vs)
