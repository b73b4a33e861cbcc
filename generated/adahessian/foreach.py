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
    correction = scalar_math.sqrt(1 - beta2**step)
    # curvature = sqrt(exp_hessian_diag_sq)
    curvatures = torch._foreach_sqrt(exp_hessian_diag_sqs)
    # a power takes much more than all the rest
    if hessian_power != 1:
        correction = scalar_math.power(correction, hessian_power)
        # curvature = curvature ** hessian_power
        torch._foreach_pow_(curvatures, hessian_power)
    rate = lr / (1 - beta1**step)
    # param = param - (rate * exp_avg / (curvature / correction + eps) + lr * weight_decay * param)
    products = torch._foreach_mul(exp_avgs, rate)
    quotients = torch._foreach_div(curvatures, correction)
    torch._foreach_add_(quotients, eps)
    torch._foreach_div_(products, quotients)
    torch._foreach_add_(products, params, alpha=lr * weight_decay)
    torch._foreach_sub_(params, products)
