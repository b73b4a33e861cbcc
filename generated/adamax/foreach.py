# Generated from specs/adamax.yaml by thetac 0.1.0; do not edit.
"""Adamax for many tensors at once, in torch's list operations, with the bits of the for-loop."""

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
    exp_infs: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
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
        # weight decay: grad = grad + weight_decay * param
        grads = torch._foreach_add(grads, params, alpha=weight_decay)
    if torch.is_complex(params[0]):
        params, grads, exp_avgs, exp_infs = as_lists_of_pairs(params, grads, exp_avgs, exp_infs)
    # first moment: exp_avg = lerp(exp_avg, grad, 1 - beta1)
    torch._foreach_lerp_(exp_avgs, grads, 1 - beta1)
    # decaying infinity norm: exp_inf = maximum(beta2 * exp_inf, abs(grad) + eps)
    scale_(exp_infs, beta2)
    magnitudes = torch._foreach_abs(grads)
    torch._foreach_add_(magnitudes, eps)
    torch._foreach_maximum_(exp_infs, magnitudes)
    # param = param - lr / (1 - beta1 ** step) * exp_avg / exp_inf
    torch._foreach_addcdiv_(params, exp_avgs, exp_infs, value=-lr / (1 - beta1**step))
