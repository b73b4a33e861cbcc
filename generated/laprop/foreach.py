# Generated from specs/laprop.yaml by thetac 0.1.0; do not edit.
"""LaProp for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, fitting, increment, scale_, store


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    exp_avgs: TensorList,
    exp_avg_lr_1s: TensorList,
    exp_avg_lr_2s: TensorList,
    exp_avg_sqs: TensorList,
    exp_mean_avg_beta2s: TensorList,
    max_exp_avg_sqs: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    centered: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    exp_avg_lr_1 = exp_avg_lr_1s[0].item()
    exp_avg_lr_2 = exp_avg_lr_2s[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if torch.is_complex(params[0]):
        params, grads, exp_avgs, exp_avg_sqs, exp_mean_avg_beta2s, max_exp_avg_sqs = as_lists_of_pairs(
            params, grads, exp_avgs, exp_avg_sqs, exp_mean_avg_beta2s, max_exp_avg_sqs
        )
    # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
    scale_(exp_avg_sqs, beta2)
    torch._foreach_addcmul_(exp_avg_sqs, grads, grads, value=1 - beta2)
    # exp_avg_lr_1 = exp_avg_lr_1 * beta1 + (1 - beta1) * lr
    new_exp_avg_lr_1 = exp_avg_lr_1 * beta1 + (1 - beta1) * lr
    for exp_avg_lr_1_t in exp_avg_lr_1s:
        store(exp_avg_lr_1_t, new_exp_avg_lr_1)
    exp_avg_lr_1 = exp_avg_lr_1s[0].item()
    # exp_avg_lr_2 = exp_avg_lr_2 * beta2 + (1 - beta2)
    new_exp_avg_lr_2 = exp_avg_lr_2 * beta2 + (1 - beta2)
    for exp_avg_lr_2_t in exp_avg_lr_2s:
        store(exp_avg_lr_2_t, new_exp_avg_lr_2)
    exp_avg_lr_2 = exp_avg_lr_2s[0].item()
    bias_correction1 = 1.0
    if lr != 0:
        bias_correction1 = scalar_math.divide(exp_avg_lr_1, lr)
    # second = exp_avg_sq
    seconds: TensorList = exp_avg_sqs
    if centered:
        # exp_mean_avg_beta2 = beta2 * exp_mean_avg_beta2 + (1 - beta2) * grad
        scale_(exp_mean_avg_beta2s, beta2)
        torch._foreach_add_(exp_mean_avg_beta2s, grads, alpha=1 - beta2)
        if step > 10:
            # second = exp_avg_sq - exp_mean_avg_beta2 * exp_mean_avg_beta2
            seconds = torch._foreach_addcmul(exp_avg_sqs, exp_mean_avg_beta2s, exp_mean_avg_beta2s, value=-1)
    if amsgrad:
        if not centered or step > 10:
            # max_exp_avg_sq = maximum(max_exp_avg_sq, second)
            torch._foreach_maximum_(max_exp_avg_sqs, seconds)
            # second = max_exp_avg_sq
            seconds = max_exp_avg_sqs
    # denom = sqrt(second / exp_avg_lr_2) + eps
    denoms = torch._foreach_div(seconds, exp_avg_lr_2)
    torch._foreach_sqrt_(denoms)
    torch._foreach_add_(denoms, eps)
    # the mean of the steps: exp_avg = beta1 * exp_avg + (1 - beta1) * lr * (grad / denom)
    scale_(exp_avgs, beta1)
    torch._foreach_add_(exp_avgs, torch._foreach_div(grads, denoms), alpha=(1 - beta1) * lr)
    # param = param - 1 / bias_correction1 * exp_avg
    torch._foreach_add_(params, exp_avgs, alpha=fitting(scalar_math.divide(-1, bias_correction1), params[0].dtype))
    if weight_decay != 0 and lr != 0:
        # param = param - weight_decay * param
        torch._foreach_add_(params, params, alpha=-weight_decay)
