# Generated from specs/sophia_g.yaml by thetac 0.1.0; do not edit.
"""SophiaG for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.tensors import TensorList, as_lists_of_pairs, increment, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    exp_avgs: TensorList,
    hessians: TensorList,
    lr: float,
    beta1: float,
    rho: float,
    weight_decay: float,
    bs: float,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        # weight decay: param = param * (1 - lr * weight_decay)
        scale_(params, 1 - lr * weight_decay)
    if torch.is_complex(params[0]):
        params, grads, exp_avgs, hessians = as_lists_of_pairs(params, grads, exp_avgs, hessians)
    # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
    scale_(exp_avgs, beta1)
    torch._foreach_add_(exp_avgs, grads, alpha=1 - beta1)
    # ratio = minimum(abs(exp_avg) / (rho * bs * hessian + 1e-15), 1)
    ratios = torch._foreach_abs(exp_avgs)
    products = torch._foreach_mul(hessians, rho * bs)
    torch._foreach_add_(products, 1e-15)
    torch._foreach_div_(ratios, products)
    torch._foreach_clamp_max_(ratios, 1)
    # param = param - lr * sign(exp_avg) * ratio
    torch._foreach_addcmul_(params, torch._foreach_sign(exp_avgs), ratios, value=-lr)
