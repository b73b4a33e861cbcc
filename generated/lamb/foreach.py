# Generated from specs/lamb.yaml by thetac 0.1.0; do not edit.
"""LAMB for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, increment, read_numbers, scale_


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
    eps: float,
    weight_decay: float,
    max_lr: float,
    start_lr: float,
    bias_correction: bool,
    grad_averaging: bool,
    trust_clip: bool,
    always_adapt: bool,
    decoupled_decay: bool,
    corrected_weight_decay: bool,
    max_lr_is_none: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        if decoupled_decay and corrected_weight_decay:
            if lr != 0:
                # weight decay: param = param * (1 - lr ** 2 / where(max_lr_is_none, where(start_lr > 0, start_lr, lr),
                #   max_lr) * weight_decay)
                scale_(
                    params,
                    1
                    - scalar_math.divide(
                        scalar_math.power(lr, 2), (start_lr if start_lr > 0 else lr) if max_lr_is_none else max_lr
                    )
                    * weight_decay,
                )
        elif decoupled_decay:
            # weight decay: param = param * (1 - lr * weight_decay)
            scale_(params, 1 - lr * weight_decay)
    if torch.is_complex(params[0]):
        params, grads, exp_avgs, exp_avg_sqs = as_lists_of_pairs(params, grads, exp_avgs, exp_avg_sqs)
    if grad_averaging:
        # exp_avg = lerp(exp_avg, grad, 1 - beta1)
        torch._foreach_lerp_(exp_avgs, grads, 1 - beta1)
    else:
        # exp_avg = beta1 * exp_avg + grad
        scale_(exp_avgs, beta1)
        torch._foreach_add_(exp_avgs, grads)
    # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
    scale_(exp_avg_sqs, beta2)
    torch._foreach_addcmul_(exp_avg_sqs, grads, grads, value=1 - beta2)
    if bias_correction:
        bias_correction1 = 1 - beta1**step
        scale = bias_correction1 / scalar_math.sqrt(1 - beta2**step)
        # denom = sqrt(exp_avg_sq) * scale + bias_correction1 * eps
        denoms = torch._foreach_sqrt(exp_avg_sqs)
        scale_(denoms, scale)
        torch._foreach_add_(denoms, bias_correction1 * eps)
        # direction = exp_avg / denom
        directions: TensorList = torch._foreach_div(exp_avgs, denoms)
    else:
        # direction = exp_avg / (sqrt(exp_avg_sq) + eps)
        roots = torch._foreach_sqrt(exp_avg_sqs)
        torch._foreach_add_(roots, eps)
        directions = torch._foreach_div(exp_avgs, roots)
    if weight_decay != 0 and not decoupled_decay:
        # direction = direction + weight_decay * param
        torch._foreach_add_(directions, params, alpha=weight_decay)
    if weight_decay != 0 or always_adapt:
        # norm_param = norm(param)
        norm_param_tensors = torch._foreach_norm(params)
        # norm_direction = norm(direction)
        norm_direction_tensors = torch._foreach_norm(directions)
        norm_params, norm_directions = read_numbers(norm_param_tensors, norm_direction_tensors)
        # trust_ratio = where(norm_param > 0 and norm_direction > 0, norm_param / norm_direction, 1)
        trust_ratios: list[float] = [
            scalar_math.divide(norm_param, norm_direction) if norm_param > 0 and norm_direction > 0 else 1
            for norm_param, norm_direction in zip(norm_params, norm_directions, strict=True)
        ]
        if trust_clip:
            # trust_ratio = minimum(trust_ratio, 1)
            trust_ratios = [
                scalar_math.minimum(trust_ratio, 1)
                for trust_ratio in trust_ratios
            ]
        # direction = trust_ratio * direction
        for direction, trust_ratio in zip(directions, trust_ratios, strict=True):
            direction.mul_(trust_ratio)
    # param = param - lr * direction
    torch._foreach_add_(params, directions, alpha=-lr)
