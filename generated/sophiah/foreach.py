# Generated from specs/sophia_h.yaml by thetac 0.1.0; do not edit.
"""SophiaH for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.tensors import TensorList, increment, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    exp_avgs: TensorList,
    hessians: TensorList,
    lr: float,
    beta1: float,
    gamma: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        # weight decay: param = param * (1 - lr * weight_decay)
        scale_(params, 1 - lr * weight_decay)
    # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
    scale_(exp_avgs, beta1)
    torch._foreach_add_(exp_avgs, grads, alpha=1 - beta1)
    # ratio = minimum(abs(exp_avg) / (gamma * maximum(hessian, 0) + 1e-12), 1)
    ratios = torch._foreach_abs(exp_avgs)
    maxima = torch._foreach_clamp_min(hessians, 0)
    scale_(maxima, gamma)
    torch._foreach_add_(maxima, 1e-12)
    torch._foreach_div_(ratios, maxima)
    torch._foreach_clamp_max_(ratios, 1)
    # param = param - lr / (1 - beta1 ** step) * sign(exp_avg) * ratio
    torch._foreach_addcmul_(params, torch._foreach_sign(exp_avgs), ratios, value=-lr / (1 - beta1**step))
