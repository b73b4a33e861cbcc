# Generated from specs/radam.yaml by thetac 0.1.0; do not edit.
"""RAdam for many tensors at once, in torch's list operations, with the bits of the for-loop."""

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
    decoupled_weight_decay: bool,
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
    if weight_decay != 0:
        if decoupled_weight_decay:
            # weight decay: param = param * (1 - lr * weight_decay)
            scale_(params, 1 - lr * weight_decay)
        else:
            # weight decay: grad = grad + weight_decay * param
            grads = torch._foreach_add(grads, params, alpha=weight_decay)
    # first moment: exp_avg = lerp(exp_avg, grad, 1 - beta1)
    torch._foreach_lerp_(exp_avgs, grads, 1 - beta1)
    # second moment: exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
    scale_(exp_avg_sqs, beta2)
    torch._foreach_addcmul_(exp_avg_sqs, grads, grads, value=1 - beta2)
    bias_correction2 = 1 - beta2**step
    # longest simple moving average
    rho_inf = 2 / (1 - beta2) - 1
    # its length by now
    rho = rho_inf - 2 * step * beta2**step / bias_correction2
    # change = exp_avg / (1 - beta1 ** step) * lr
    changes = torch._foreach_div(exp_avgs, 1 - beta1**step)
    scale_(changes, lr)
    if rho > 5:
        rect = scalar_math.power(
            scalar_math.divide((rho - 4) * (rho - 2) * rho_inf, (rho_inf - 4) * (rho_inf - 2) * rho), 0.5
        )
        # change = change * (bias_correction2 ** 0.5 / (sqrt(exp_avg_sq) + eps)) * rect
        roots = torch._foreach_sqrt(exp_avg_sqs)
        torch._foreach_add_(roots, eps)
        torch._foreach_reciprocal_(roots)
        scale_(roots, bias_correction2**0.5)
        torch._foreach_mul_(changes, roots)
        scale_(changes, rect)
    # param = param - change
    torch._foreach_sub_(params, changes)
