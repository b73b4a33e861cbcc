# Generated from specs/yogi.yaml by thetac 0.1.0; do not edit.
"""Yogi for many tensors at once, in torch's list operations, with the bits of the for-loop."""

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
    if torch.is_complex(params[0]):
        params, grads, exp_avgs, exp_avg_sqs = as_lists_of_pairs(params, grads, exp_avgs, exp_avg_sqs)
    # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
    scale_(exp_avgs, beta1)
    torch._foreach_add_(exp_avgs, grads, alpha=1 - beta1)
    # square = grad * grad
    squares = torch._foreach_mul(grads, grads)
    # exp_avg_sq = exp_avg_sq - (1 - beta2) * sign(exp_avg_sq - square) * square
    differences = torch._foreach_sub(exp_avg_sqs, squares)
    torch._foreach_sign_(differences)
    torch._foreach_addcmul_(exp_avg_sqs, differences, squares, value=-(1 - beta2))
    # rate = lr * sqrt(1 - beta2 ** step) / (1 - beta1 ** step) / (sqrt(exp_avg_sq) + eps)
    rates = torch._foreach_sqrt(exp_avg_sqs)
    torch._foreach_add_(rates, eps)
    torch._foreach_reciprocal_(rates)
    scale_(rates, lr * scalar_math.sqrt(1 - beta2**step) / (1 - beta1**step))
    # param = param - rate * exp_avg
    torch._foreach_addcmul_(params, rates, exp_avgs, value=-1)
    if weight_decay != 0:
        # proximal decay: param = param / (1 + weight_decay * rate)
        products = torch._foreach_mul(rates, weight_decay)
        torch._foreach_add_(products, 1)
        torch._foreach_div_(params, products)
