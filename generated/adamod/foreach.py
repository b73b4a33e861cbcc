# Generated from specs/adamod.yaml by thetac 0.1.0; do not edit.
"""AdaMod for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, increment, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    exp_avgs: TensorList,
    exp_avg_sqs: TensorList,
    exp_avg_lrs: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    beta3: float,
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
        # weight decay: param = param * (1 - lr * weight_decay)
        scale_(params, 1 - lr * weight_decay)
    if torch.is_complex(params[0]):
        params, grads, exp_avgs, exp_avg_sqs, exp_avg_lrs = as_lists_of_pairs(
            params, grads, exp_avgs, exp_avg_sqs, exp_avg_lrs
        )
    # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
    scale_(exp_avgs, beta1)
    torch._foreach_add_(exp_avgs, grads, alpha=1 - beta1)
    # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
    scale_(exp_avg_sqs, beta2)
    torch._foreach_addcmul_(exp_avg_sqs, grads, grads, value=1 - beta2)
    step_size = lr * scalar_math.sqrt(1 - beta2**step) / (1 - beta1**step)
    # rate = step_size / (sqrt(exp_avg_sq) + eps)
    rates = torch._foreach_sqrt(exp_avg_sqs)
    torch._foreach_add_(rates, eps)
    torch._foreach_reciprocal_(rates)
    scale_(rates, step_size)
    # exp_avg_lr = beta3 * exp_avg_lr + (1 - beta3) * rate
    scale_(exp_avg_lrs, beta3)
    torch._foreach_add_(exp_avg_lrs, rates, alpha=1 - beta3)
    # param = param - minimum(rate, exp_avg_lr) * exp_avg
    torch._foreach_addcmul_(params, torch._foreach_minimum(rates, exp_avg_lrs), exp_avgs, value=-1)
