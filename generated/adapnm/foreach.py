# Generated from specs/adapnm.yaml by thetac 0.1.0; do not edit.
"""AdaPNM for many tensors at once, in torch's list operations, with the bits of the for-loop."""

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
    neg_exp_avgs: TensorList,
    max_exp_avg_sqs: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    beta3: float,
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    decoupled: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        if decoupled:
            # weight decay: param = param * (1 - lr * weight_decay)
            scale_(params, 1 - lr * weight_decay)
        else:
            # weight decay: grad = grad + weight_decay * param
            grads = torch._foreach_add(grads, params, alpha=weight_decay)
    if torch.is_complex(params[0]):
        params, grads, exp_avgs, exp_avg_sqs, neg_exp_avgs, max_exp_avg_sqs = as_lists_of_pairs(
            params, grads, exp_avgs, exp_avg_sqs, neg_exp_avgs, max_exp_avg_sqs
        )
    if step % 2 == 1:
        # exp_avg = beta1 ** 2 * exp_avg + (1 - beta1 ** 2) * grad
        scale_(exp_avgs, beta1**2)
        torch._foreach_add_(exp_avgs, grads, alpha=1 - beta1**2)
        # momentum = (1 + beta3) * exp_avg - beta3 * neg_exp_avg
        momentums: TensorList = torch._foreach_mul(exp_avgs, 1 + beta3)
        torch._foreach_add_(momentums, neg_exp_avgs, alpha=-beta3)
    else:
        # neg_exp_avg = beta1 ** 2 * neg_exp_avg + (1 - beta1 ** 2) * grad
        scale_(neg_exp_avgs, beta1**2)
        torch._foreach_add_(neg_exp_avgs, grads, alpha=1 - beta1**2)
        # momentum = (1 + beta3) * neg_exp_avg - beta3 * exp_avg
        momentums = torch._foreach_mul(neg_exp_avgs, 1 + beta3)
        torch._foreach_add_(momentums, exp_avgs, alpha=-beta3)
    noise_norm = scalar_math.sqrt(scalar_math.power(1 + beta3, 2) + scalar_math.power(beta3, 2))
    # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
    scale_(exp_avg_sqs, beta2)
    torch._foreach_addcmul_(exp_avg_sqs, grads, grads, value=1 - beta2)
    # second = exp_avg_sq
    seconds = exp_avg_sqs
    if amsgrad:
        # max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
        torch._foreach_maximum_(max_exp_avg_sqs, exp_avg_sqs)
        # second = max_exp_avg_sq
        seconds = max_exp_avg_sqs
    # denom = sqrt(second) / sqrt(1 - beta2 ** step) + eps
    denoms = torch._foreach_sqrt(seconds)
    torch._foreach_div_(denoms, scalar_math.sqrt(1 - beta2**step))
    torch._foreach_add_(denoms, eps)
    # param = param - lr / (1 - beta1 ** step) * (1 / noise_norm * momentum) / denom
    torch._foreach_addcdiv_(
        params, torch._foreach_mul(momentums, scalar_math.divide(1, noise_norm)), denoms, value=-lr / (1 - beta1**step)
    )
