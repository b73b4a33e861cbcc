# Generated from specs/ademamix.yaml by thetac 0.1.0; do not edit.
"""AdEMAMix for many tensors at once, in torch's list operations, with the bits of the for-loop."""

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
    exp_avg_fasts: TensorList,
    exp_avg_slows: TensorList,
    exp_avg_sqs: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    beta3: float,
    alpha: float,
    beta3_warmup: float,
    alpha_warmup: float,
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
        params, grads, exp_avg_fasts, exp_avg_slows, exp_avg_sqs = as_lists_of_pairs(
            params, grads, exp_avg_fasts, exp_avg_slows, exp_avg_sqs
        )
    slow_weight = alpha
    if step < alpha_warmup:
        slow_weight = scalar_math.divide(step, alpha_warmup) * alpha
    slow_decay = beta3
    if step < beta3_warmup:
        half_life_begin = scalar_math.divide(scalar_math.log(0.5), scalar_math.log(beta1 + 1e-08)) - 1
        half_life_end = scalar_math.divide(scalar_math.log(0.5), scalar_math.log(beta3 + 1e-08)) - 1
        half_life = (
            (1 - scalar_math.divide(step, beta3_warmup)) * half_life_begin
            + scalar_math.divide(step, beta3_warmup) * half_life_end
        )
        slow_decay = scalar_math.power(0.5, scalar_math.divide(1, half_life + 1))
    # fast = grad
    fasts: TensorList = grads
    if beta1 != 0:
        # exp_avg_fast = beta1 * exp_avg_fast + (1 - beta1) * grad
        scale_(exp_avg_fasts, beta1)
        torch._foreach_add_(exp_avg_fasts, grads, alpha=1 - beta1)
        # fast = exp_avg_fast
        fasts = exp_avg_fasts
    # exp_avg_slow = slow_decay * exp_avg_slow + (1 - slow_decay) * grad
    scale_(exp_avg_slows, slow_decay)
    torch._foreach_add_(exp_avg_slows, grads, alpha=fitting(1 - slow_decay, params[0].dtype))
    # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
    scale_(exp_avg_sqs, beta2)
    torch._foreach_addcmul_(exp_avg_sqs, grads, grads, value=1 - beta2)
    # denom = sqrt(exp_avg_sq) / sqrt(1 - beta2 ** step) + eps
    denoms = torch._foreach_sqrt(exp_avg_sqs)
    torch._foreach_div_(denoms, scalar_math.sqrt(1 - beta2**step))
    torch._foreach_add_(denoms, eps)
    # mix = fast / (1 - beta1 ** step) + slow_weight * exp_avg_slow
    mixs = torch._foreach_div(fasts, 1 - beta1**step)
    torch._foreach_add_(mixs, exp_avg_slows, alpha=fitting(slow_weight, params[0].dtype))
    # param = param - lr * mix / denom
    torch._foreach_addcdiv_(params, mixs, denoms, value=-lr)
