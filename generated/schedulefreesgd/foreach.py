# Generated from specs/schedule_free_sgd.yaml by thetac 0.1.0; do not edit.
"""ScheduleFreeSGD for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, fitting
from thetac.runtime.totals import Waiting


def step(
    params: TensorList,
    grads: TensorList,
    *,
    zs: TensorList,
    lr: float,
    momentum: float,
    weight_decay: float,
    warmup_steps: float,
    r: float,
    weight_lr_power: float,
    k: float,
    weight_sum: float,
    lr_max: float,
    scheduled_lr: float,
    maximize: bool,
) -> Waiting:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        # weight decay: grad = grad + weight_decay * param
        grads = torch._foreach_add(grads, params, alpha=weight_decay)
    if torch.is_complex(params[0]):
        params, grads, zs = as_lists_of_pairs(params, grads, zs)
    warmup = 1.0
    if k < warmup_steps:
        warmup = scalar_math.divide(k + 1, warmup_steps)
    scheduled_lr = lr * warmup
    lr_max = scalar_math.maximum(scheduled_lr, lr_max)
    weight = scalar_math.power(k + 1, r) * scalar_math.power(lr_max, weight_lr_power)
    weight_sum = weight_sum + weight
    share = 0.0
    if weight_sum != 0:
        share = scalar_math.divide(weight, weight_sum)
    k = k + 1
    # param = lerp(param, z, share)
    torch._foreach_lerp_(params, zs, fitting(share, params[0].dtype))
    # param = param + scheduled_lr * (momentum * (1 - share) - 1) * grad
    torch._foreach_add_(params, grads, alpha=fitting(scheduled_lr * (momentum * (1 - share) - 1), params[0].dtype))
    # z = z - scheduled_lr * grad
    torch._foreach_add_(zs, grads, alpha=fitting(-scheduled_lr, params[0].dtype))
    yield from ()  # no parameter waits for another
    return {"k": k, "weight_sum": weight_sum, "lr_max": lr_max, "scheduled_lr": scheduled_lr}
