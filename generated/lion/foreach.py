# Generated from specs/lion.yaml by thetac 0.1.0; do not edit.
"""Lion for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.tensors import TensorList, as_lists_of_pairs, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    exp_avgs: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        # weight decay: param = param * (1 - lr * weight_decay)
        scale_(params, 1 - lr * weight_decay)
    if torch.is_complex(params[0]):
        params, grads, exp_avgs = as_lists_of_pairs(params, grads, exp_avgs)
    # param = param - lr * sign(beta1 * exp_avg + (1 - beta1) * grad)
    products = torch._foreach_mul(exp_avgs, beta1)
    torch._foreach_add_(products, grads, alpha=1 - beta1)
    torch._foreach_sign_(products)
    torch._foreach_add_(params, products, alpha=-lr)
    # after the step, with its own decay: exp_avg = beta2 * exp_avg + (1 - beta2) * grad
    scale_(exp_avgs, beta2)
    torch._foreach_add_(exp_avgs, grads, alpha=1 - beta2)
