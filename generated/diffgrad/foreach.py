# Generated from specs/diffgrad.yaml by thetac 0.1.0; do not edit.
"""DiffGrad for many tensors at once, in torch's list operations, with the bits of the for-loop."""

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
    previous_grads: TensorList,
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
        params, grads, exp_avgs, exp_avg_sqs, previous_grads = as_lists_of_pairs(
            params, grads, exp_avgs, exp_avg_sqs, previous_grads
        )
    # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
    scale_(exp_avgs, beta1)
    torch._foreach_add_(exp_avgs, grads, alpha=1 - beta1)
    # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
    scale_(exp_avg_sqs, beta2)
    torch._foreach_addcmul_(exp_avg_sqs, grads, grads, value=1 - beta2)
    # denom = sqrt(exp_avg_sq) + eps
    denoms = torch._foreach_sqrt(exp_avg_sqs)
    torch._foreach_add_(denoms, eps)
    # friction = 1 / (1 + exp(-abs(previous_grad - grad)))
    frictions = torch._foreach_sub(previous_grads, grads)
    torch._foreach_abs_(frictions)
    torch._foreach_neg_(frictions)
    torch._foreach_exp_(frictions)
    torch._foreach_add_(frictions, 1)
    torch._foreach_reciprocal_(frictions)
    scale_(frictions, 1)
    # for the next step: previous_grad = grad
    torch._foreach_copy_(previous_grads, grads)
    step_size = lr * scalar_math.sqrt(1 - beta2**step) / (1 - beta1**step)
    # param = param - step_size * (exp_avg * friction) / denom
    torch._foreach_addcdiv_(params, torch._foreach_mul(exp_avgs, frictions), denoms, value=-step_size)
