# Generated from specs/stable_adamw.yaml by thetac 0.1.0; do not edit.
"""StableAdamW for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, fitting, increment, read_numbers, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    exp_avgs: TensorList,
    exp_avg_sqs: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    eps: float,
    max_lr: float,
    start_lr: float,
    decouple_lr: bool,
    max_lr_is_none: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    max_lr_or_default = 0 if max_lr_is_none else max_lr
    beta1_hat = beta1 * (1 - beta1 ** (step - 1)) / (1 - beta1**step)
    beta2_hat = beta2 * (1 - beta2 ** (step - 1)) / (1 - beta2**step)
    # exp_avg = lerp(exp_avg, grad, 1 - beta1_hat)
    torch._foreach_lerp_(exp_avgs, grads, 1 - beta1_hat)
    # exp_avg_sq = beta2_hat * exp_avg_sq + (1 - beta2_hat) * grad * grad
    scale_(exp_avg_sqs, beta2_hat)
    torch._foreach_addcmul_(exp_avg_sqs, grads, grads, value=1 - beta2_hat)
    # spread_part = mean(grad * grad / maximum(exp_avg_sq, eps * eps))
    spread_part_tensors = [
        grad.mul(grad).div(exp_avg_sq.clamp(min=eps * eps)).mean()
        for grad, exp_avg_sq in zip(grads, exp_avg_sqs, strict=True)
    ]
    (spread_parts,) = read_numbers(spread_part_tensors)
    # spread = sqrt(spread_part)
    spreads = [
        scalar_math.sqrt(spread_part)
        for spread_part in spread_parts
    ]
    # rate = lr / maximum(spread, 1)
    rates = [
        lr / scalar_math.maximum(spread, 1)
        for spread in spreads
    ]
    if weight_decay != 0:
        if decouple_lr:
            highest = max_lr_or_default if max_lr_or_default > 0 else start_lr
            # param = param * (1 - rate / where(highest > 0, highest, inf) * weight_decay)
            for param, rate in zip(params, rates, strict=True):
                param.mul_(1 - scalar_math.divide(rate, highest if highest > 0 else float("inf")) * weight_decay)
        else:
            # param = param * (1 - rate * weight_decay)
            for param, rate in zip(params, rates, strict=True):
                param.mul_(1 - rate * weight_decay)
    # param = param - rate * exp_avg / (sqrt(exp_avg_sq) + eps)
    for param, exp_avg, exp_avg_sq, rate in zip(params, exp_avgs, exp_avg_sqs, rates, strict=True):
        param.addcdiv_(exp_avg, exp_avg_sq.sqrt().add_(eps), value=fitting(-rate, params[0].dtype))
