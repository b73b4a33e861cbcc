# Generated from specs/adahessian.yaml by thetac 0.1.0; do not edit.
"""AdaHessian for many tensors at once, in torch's list operations, with the bits of the for-loop."""

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
    exp_hessian_diag_sqs: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    hessian_power: float,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
    scale_(exp_avgs, beta1)
    torch._foreach_add_(exp_avgs, grads, alpha=1 - beta1)
    correction = scalar_math.power(scalar_math.sqrt(1 - beta2**step), hessian_power)
    # denominator = sqrt(exp_hessian_diag_sq) ** hessian_power / correction + eps
    denominators = torch._foreach_sqrt(exp_hessian_diag_sqs)
    torch._foreach_pow_(denominators, hessian_power)
    torch._foreach_div_(denominators, correction)
    torch._foreach_add_(denominators, eps)
    # param = param - lr * (exp_avg / (1 - beta1 ** step) / denominator + weight_decay * param)
    quotients = torch._foreach_div(exp_avgs, 1 - beta1**step)
    torch._foreach_div_(quotients, denominators)
    torch._foreach_add_(quotients, params, alpha=weight_decay)
    torch._foreach_add_(params, quotients, alpha=-lr)
