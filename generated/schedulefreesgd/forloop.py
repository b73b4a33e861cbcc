# Generated from specs/schedule_free_sgd.yaml by thetac 0.1.0; do not edit.
"""ScheduleFreeSGD for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, as_pairs, divide, fitting, maximum, power, store, where
from thetac.runtime.totals import Waiting, WaitingOnTensors, together


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    zs: Sequence[Tensor],
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
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    return together(
        [
            _step_of_one(
                param,
                grad,
                z,
                lr=lr,
                momentum=momentum,
                weight_decay=weight_decay,
                warmup_steps=warmup_steps,
                r=r,
                weight_lr_power=weight_lr_power,
                k=k,
                weight_sum=weight_sum,
                lr_max=lr_max,
                scheduled_lr=scheduled_lr,
                maximize=maximize,
            )
            for param, grad, z in zip(params, grads, zs, strict=True)
        ]
    )


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    zs: Sequence[Tensor],
    lr: float | Tensor,
    momentum: float,
    weight_decay: float,
    warmup_steps: float,
    r: float,
    weight_lr_power: float,
    k: Scalar,
    weight_sum: Scalar,
    lr_max: Scalar,
    scheduled_lr: Scalar,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> WaitingOnTensors:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    return together(
        [
            _step_of_one_on_tensors(
                param_out,
                grad,
                z_out,
                lr=lr,
                momentum=momentum,
                weight_decay=weight_decay,
                warmup_steps=warmup_steps,
                r=r,
                weight_lr_power=weight_lr_power,
                k=k,
                weight_sum=weight_sum,
                lr_max=lr_max,
                scheduled_lr=scheduled_lr,
                maximize=maximize,
                capturable=capturable,
                differentiable=differentiable,
            )
            for param_out, grad, z_out in zip(params, grads, zs, strict=True)
        ]
    )


def _step_of_one(
    param: Tensor,
    grad: Tensor,
    z: Tensor,
    *,
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
    """The step of one parameter, which waits for the others at each total."""
    if maximize:
        # maximize: grad = -grad
        grad = grad.neg()
    if weight_decay != 0:
        # weight decay: grad = grad + weight_decay * param
        grad = grad.add(param, alpha=weight_decay)
    if torch.is_complex(param):
        param, grad, z = as_pairs(param, grad, z)
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
    param.lerp_(z, fitting(share, param.dtype))
    # param = param + scheduled_lr * (momentum * (1 - share) - 1) * grad
    param.add_(grad, alpha=fitting(scheduled_lr * (momentum * (1 - share) - 1), param.dtype))
    # z = z - scheduled_lr * grad
    z.add_(grad, alpha=fitting(-scheduled_lr, param.dtype))
    yield from ()  # no parameter waits for another
    return {"k": k, "weight_sum": weight_sum, "lr_max": lr_max, "scheduled_lr": scheduled_lr}


def _step_of_one_on_tensors(
    param_out: Tensor,
    grad: Tensor,
    z_out: Tensor,
    *,
    lr: float | Tensor,
    momentum: float,
    weight_decay: float,
    warmup_steps: float,
    r: float,
    weight_lr_power: float,
    k: Scalar,
    weight_sum: Scalar,
    lr_max: Scalar,
    scheduled_lr: Scalar,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> WaitingOnTensors:
    """The step of one parameter, which waits for the others at each total."""
    if torch.is_complex(param_out):
        param_out, grad, z_out = as_pairs(param_out, grad, z_out)
    param = param_out
    z = z_out
    if differentiable:  # autograd may keep these; what is stored at the end must not change them
        param = param_out.clone()
        z = z_out.clone()
    if maximize:
        # maximize
        grad = -grad
    if weight_decay != 0:
        # weight decay
        grad = grad + weight_decay * param
    warmup: Scalar = 1.0
    if capturable:
        warmup_if_so = divide(k + 1, warmup_steps)
        warmup = where(k < warmup_steps, warmup_if_so, warmup)
    elif k < warmup_steps:
        # warmup = (k + 1) / warmup_steps
        warmup = divide(k + 1, warmup_steps)
    scheduled_lr = lr * warmup
    lr_max = maximum(scheduled_lr, lr_max)
    # weight = (k + 1) ** r * lr_max ** weight_lr_power
    weight = power(k + 1, r) * power(lr_max, weight_lr_power)
    weight_sum = weight_sum + weight
    share: Scalar = 0.0
    if capturable:
        share_if_so = divide(weight, weight_sum)
        share = where(weight_sum != 0, share_if_so, share)
    elif weight_sum != 0:
        # share = weight / weight_sum
        share = divide(weight, weight_sum)
    k = k + 1
    # param = lerp(param, z, share)
    param = param + share * (z - param)
    param = param + scheduled_lr * (momentum * (1 - share) - 1) * grad
    z = z - scheduled_lr * grad
    store(param_out, param)
    store(z_out, z)
    yield from ()  # no parameter waits for another
    return {"k": k, "weight_sum": weight_sum, "lr_max": lr_max, "scheduled_lr": scheduled_lr}
