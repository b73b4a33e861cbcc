# Generated from specs/adam.yaml by thetac 0.1.0; do not edit.
"""Adam for many tensors at once, in torch's list operations, with the bits of the for-loop."""

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
    exp_avg_sqs: TensorList,
    max_exp_avg_sqs: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        if decoupled_weight_decay:
            # weight decay: param = param * (1 - lr * weight_decay)
            scale_(params, 1 - lr * weight_decay)
        else:
            # weight decay: grad = grad + weight_decay * param
            grads = torch._foreach_add(grads, params, alpha=weight_decay)
    if torch.is_complex(params[0]):
        params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs = as_lists_of_pairs(
            params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs
        )
    # first moment: exp_avg = lerp(exp_avg, grad, 1 - beta1)
    torch._foreach_lerp_(exp_avgs, grads, 1 - beta1)
    # second moment: exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
    scale_(exp_avg_sqs, beta2)
    torch._foreach_addcmul_(exp_avg_sqs, grads, grads, value=1 - beta2)
    # second_moment = exp_avg_sq
    second_moments = exp_avg_sqs
    if amsgrad:
        # max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
        torch._foreach_maximum_(max_exp_avg_sqs, exp_avg_sqs)
        # second_moment = max_exp_avg_sq
        second_moments = max_exp_avg_sqs
    # denom = sqrt(second_moment) / (1 - beta2 ** step) ** 0.5 + eps
    denoms = torch._foreach_sqrt(second_moments)
    torch._foreach_div_(denoms, (1 - beta2**step) ** 0.5)
    torch._foreach_add_(denoms, eps)
    # param = param - lr / (1 - beta1 ** step) * exp_avg / denom
    torch._foreach_addcdiv_(params, exp_avgs, denoms, value=-lr / (1 - beta1**step))
