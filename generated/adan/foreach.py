# Generated from specs/adan.yaml by thetac 0.1.0; do not edit.
"""Adan for many tensors at once, in torch's list operations, with the bits of the for-loop."""

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
    exp_avg_diffs: TensorList,
    exp_avg_sqs: TensorList,
    pre_grads: TensorList,
    first_pre_grad: bool,
    lr: float,
    beta1: float,
    beta2: float,
    beta3: float,
    eps: float,
    weight_decay: float,
    no_prox: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        if no_prox:
            # weight decay: param = param * (1 - lr * weight_decay)
            scale_(params, 1 - lr * weight_decay)
    if torch.is_complex(params[0]):
        params, grads, exp_avgs, exp_avg_diffs, exp_avg_sqs, pre_grads = as_lists_of_pairs(
            params, grads, exp_avgs, exp_avg_diffs, exp_avg_sqs, pre_grads
        )
    # first value
    if first_pre_grad:
        # first value: pre_grad = grad
        torch._foreach_copy_(pre_grads, grads)
    # change = grad - pre_grad
    changes = torch._foreach_sub(grads, pre_grads)
    # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
    scale_(exp_avgs, beta1)
    torch._foreach_add_(exp_avgs, grads, alpha=1 - beta1)
    # exp_avg_diff = beta2 * exp_avg_diff + (1 - beta2) * change
    scale_(exp_avg_diffs, beta2)
    torch._foreach_add_(exp_avg_diffs, changes, alpha=1 - beta2)
    # the gradient at the look-ahead point: ahead = grad + beta2 * change
    aheads = torch._foreach_add(grads, changes, alpha=beta2)
    # exp_avg_sq = beta3 * exp_avg_sq + (1 - beta3) * ahead * ahead
    scale_(exp_avg_sqs, beta3)
    torch._foreach_addcmul_(exp_avg_sqs, aheads, aheads, value=1 - beta3)
    # denom = sqrt(exp_avg_sq) / sqrt(1 - beta3 ** step) + eps
    denoms = torch._foreach_sqrt(exp_avg_sqs)
    torch._foreach_div_(denoms, scalar_math.sqrt(1 - beta3**step))
    torch._foreach_add_(denoms, eps)
    # param = param - lr / (1 - beta1 ** step) * exp_avg / denom
    torch._foreach_addcdiv_(params, exp_avgs, denoms, value=-lr / (1 - beta1**step))
    # param = param - lr * beta2 / (1 - beta2 ** step) * exp_avg_diff / denom
    torch._foreach_addcdiv_(params, exp_avg_diffs, denoms, value=-lr * beta2 / (1 - beta2**step))
    if weight_decay != 0 and not no_prox:
        # proximal decay: param = param / (1 + lr * weight_decay)
        torch._foreach_div_(params, 1 + lr * weight_decay)
    # pre_grad = grad
    torch._foreach_copy_(pre_grads, grads)
