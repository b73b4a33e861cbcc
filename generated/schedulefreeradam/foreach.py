# Generated from specs/schedule_free_radam.yaml by thetac 0.1.0; do not edit.
"""ScheduleFreeRAdam for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, fitting, scale_
from thetac.runtime.totals import Waiting


def step(
    params: TensorList,
    grads: TensorList,
    *,
    zs: TensorList,
    exp_avg_sqs: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    r: float,
    weight_lr_power: float,
    k: float,
    weight_sum: float,
    lr_max: float,
    scheduled_lr: float,
    silent_sgd_phase: bool,
    maximize: bool,
) -> Waiting:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if torch.is_complex(params[0]):
        params, grads, zs, exp_avg_sqs = as_lists_of_pairs(params, grads, zs, exp_avg_sqs)
    t = k + 1
    rho_inf = 2 / (1 - beta2) - 1
    rho = rho_inf - scalar_math.divide(2 * t * scalar_math.power(beta2, t), 1 - scalar_math.power(beta2, t))
    rect = 1.0
    if silent_sgd_phase:
        rect = 0.0
    if rho > 4:
        rect = scalar_math.power(
            scalar_math.divide((rho - 4) * (rho - 2) * rho_inf, (rho_inf - 4) * (rho_inf - 2) * rho), 0.5
        )
    scheduled_lr = lr * rect
    lr_max = scalar_math.maximum(scheduled_lr, lr_max)
    weight = scalar_math.power(t, r) * scalar_math.power(lr_max, weight_lr_power)
    weight_sum = weight_sum + weight
    share = 0.0
    if weight_sum != 0:
        share = scalar_math.divide(weight, weight_sum)
    k = t
    # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
    scale_(exp_avg_sqs, beta2)
    torch._foreach_addcmul_(exp_avg_sqs, grads, grads, value=1 - beta2)
    # direction = grad
    directions: TensorList = grads
    if rho > 4:
        # direction = grad / (sqrt(exp_avg_sq / (1 - beta2 ** t)) + eps)
        quotients = torch._foreach_div(exp_avg_sqs, 1 - scalar_math.power(beta2, t))
        torch._foreach_sqrt_(quotients)
        torch._foreach_add_(quotients, eps)
        directions = torch._foreach_div(grads, quotients)
    if weight_decay != 0:
        # direction = direction + weight_decay * param
        directions = torch._foreach_add(directions, params, alpha=weight_decay)
    # param = lerp(param, z, share)
    torch._foreach_lerp_(params, zs, fitting(share, params[0].dtype))
    # param = param + scheduled_lr * (beta1 * (1 - share) - 1) * direction
    torch._foreach_add_(params, directions, alpha=fitting(scheduled_lr * (beta1 * (1 - share) - 1), params[0].dtype))
    # z = z - scheduled_lr * direction
    torch._foreach_add_(zs, directions, alpha=fitting(-scheduled_lr, params[0].dtype))
    yield from ()  # no parameter waits for another
    return {"k": k, "weight_sum": weight_sum, "lr_max": lr_max, "scheduled_lr": scheduled_lr}
