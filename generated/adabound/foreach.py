# Generated from specs/adabound.yaml by thetac 0.1.0; do not edit.
"""AdaBound for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, fitting, increment, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    base_lrs: TensorList,
    exp_avgs: TensorList,
    exp_avg_sqs: TensorList,
    max_exp_avg_sqs: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    final_lr: float,
    gamma: float,
    eps: float,
    weight_decay: float,
    amsbound: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    base_lr = base_lrs[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        # weight decay: grad = grad + weight_decay * param
        grads = torch._foreach_add(grads, params, alpha=weight_decay)
    if torch.is_complex(params[0]):
        params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs = as_lists_of_pairs(
            params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs
        )
    # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
    scale_(exp_avgs, beta1)
    torch._foreach_add_(exp_avgs, grads, alpha=1 - beta1)
    # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
    scale_(exp_avg_sqs, beta2)
    torch._foreach_addcmul_(exp_avg_sqs, grads, grads, value=1 - beta2)
    # second = exp_avg_sq
    seconds = exp_avg_sqs
    if amsbound:
        # max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
        torch._foreach_maximum_(max_exp_avg_sqs, exp_avg_sqs)
        # second = max_exp_avg_sq
        seconds = max_exp_avg_sqs
    step_size = lr * scalar_math.sqrt(1 - beta2**step) / (1 - beta1**step)
    target = 0.0
    if base_lr != 0:
        target = scalar_math.divide(final_lr * lr, base_lr)
    lower = target * (1 - 1 / (gamma * step + 1))
    upper = target * (1 + scalar_math.divide(1, gamma * step))
    # rate = clamp(step_size / (sqrt(second) + eps), lower, upper)
    rates = torch._foreach_sqrt(seconds)
    torch._foreach_add_(rates, eps)
    torch._foreach_reciprocal_(rates)
    scale_(rates, step_size)
    torch._foreach_clamp_min_(rates, fitting(lower, params[0].dtype))
    torch._foreach_clamp_max_(rates, fitting(upper, params[0].dtype))
    # param = param - rate * exp_avg
    torch._foreach_addcmul_(params, rates, exp_avgs, value=-1)
