# Generated from specs/sparse_adam.yaml by thetac 0.1.0; do not edit.
"""SparseAdam for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, increment, scale_


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
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    # exp_avg = exp_avg + (grad - exp_avg) * (1 - beta1)
    differences = torch._foreach_sub(grads, exp_avgs)
    scale_(differences, 1 - beta1)
    torch._foreach_add_(exp_avgs, differences)
    # exp_avg_sq = exp_avg_sq + (grad * grad - exp_avg_sq) * (1 - beta2)
    products = torch._foreach_mul(grads, grads)
    torch._foreach_sub_(products, exp_avg_sqs)
    scale_(products, 1 - beta2)
    torch._foreach_add_(exp_avg_sqs, products)
    step_size = lr * scalar_math.sqrt(1 - beta2**step) / (1 - beta1**step)
    # change = -step_size * (exp_avg / (sqrt(exp_avg_sq) + eps))
    roots = torch._foreach_sqrt(exp_avg_sqs)
    torch._foreach_add_(roots, eps)
    changes = torch._foreach_div(exp_avgs, roots)
    scale_(changes, -step_size)
    # param = param + change
    torch._foreach_add_(params, changes)
