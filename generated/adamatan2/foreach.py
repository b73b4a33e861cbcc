# Generated from specs/adam_atan2.yaml by thetac 0.1.0; do not edit.
"""AdamAtan2 for many tensors at once, in torch's list operations, with the bits of the for-loop."""

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
    param_inits: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    regen_reg_rate: float,
    a: float,
    b: float,
    start_lr: float,
    decoupled_wd: bool,
    cautious_wd: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if torch.is_complex(params[0]):
        params, grads, exp_avgs, exp_avg_sqs, param_inits = as_lists_of_pairs(
            params, grads, exp_avgs, exp_avg_sqs, param_inits
        )
    rate = lr
    if decoupled_wd:
        rate = scalar_math.divide(lr, start_lr) if start_lr != 0 else 0
    if regen_reg_rate > 0:
        # param = lerp(param, param_init, rate * regen_reg_rate)
        torch._foreach_lerp_(params, param_inits, rate * regen_reg_rate)
    # exp_avg = lerp(exp_avg, grad, 1 - beta1)
    torch._foreach_lerp_(exp_avgs, grads, 1 - beta1)
    # exp_avg_sq = lerp(exp_avg_sq, grad * grad, 1 - beta2)
    torch._foreach_lerp_(exp_avg_sqs, torch._foreach_mul(grads, grads), 1 - beta2)
    # denom = sqrt(exp_avg_sq * (b * b / (1 - beta2 ** step)))
    denoms = torch._foreach_mul(exp_avg_sqs, b * b / (1 - beta2**step))
    torch._foreach_sqrt_(denoms)
    # direction = atan2(exp_avg * (1 / (1 - beta1 ** step)), denom)
    # tensor by tensor: torch has no list operation for `atan2`
    directions = [
        exp_avg.mul(1 / (1 - beta1**step)).atan2_(denom)
        for exp_avg, denom in zip(exp_avgs, denoms, strict=True)
    ]
    if weight_decay > 0 and not cautious_wd:
        # param = param * (1 - rate * weight_decay)
        scale_(params, 1 - rate * weight_decay)
    if weight_decay > 0 and cautious_wd:
        # param = where(direction * param > 0, param * (1 - rate * weight_decay), param)
        # tensor by tensor: torch has no list operation for `where` or `gt`
        for direction, param in zip(directions, params, strict=True):
            param.copy_(torch.where(direction.mul(param) > 0, param.mul(1 - rate * weight_decay), param))
    # param = param - lr * a * direction
    torch._foreach_add_(params, directions, alpha=-lr * a)
