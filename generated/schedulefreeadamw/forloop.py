# Generated from specs/schedule_free_adamw.yaml by thetac 0.1.0; do not edit.
"""ScheduleFreeAdamW for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, as_pairs, divide, fitting, maximum, power, sqrt, store, where
from thetac.runtime.totals import Waiting, WaitingOnTensors, together


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    zs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
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
                exp_avg_sq,
                lr=lr,
                beta1=beta1,
                beta2=beta2,
                eps=eps,
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
            for param, grad, z, exp_avg_sq in zip(params, grads, zs, exp_avg_sqs, strict=True)
        ]
    )


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    zs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    eps: float,
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
                exp_avg_sq_out,
                lr=lr,
                beta1=beta1,
                beta2=beta2,
                eps=eps,
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
            for param_out, grad, z_out, exp_avg_sq_out in zip(params, grads, zs, exp_avg_sqs, strict=True)
        ]
    )


def _step_of_one(
    param: Tensor,
    grad: Tensor,
    z: Tensor,
    exp_avg_sq: Tensor,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
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
    if torch.is_complex(param):
        param, grad, z, exp_avg_sq = as_pairs(param, grad, z, exp_avg_sq)
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
    # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
    exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    # direction = grad / (sqrt(exp_avg_sq / (1 - beta2 ** k)) + eps)
    direction = grad.div(exp_avg_sq.div(1 - scalar_math.power(beta2, k)).sqrt_().add_(eps))
    if weight_decay != 0:
        # direction = direction + weight_decay * param
        direction.add_(param, alpha=weight_decay)
    # param = lerp(param, z, share)
    param.lerp_(z, fitting(share, param.dtype))
    # param = param + scheduled_lr * (beta1 * (1 - share) - 1) * direction
    param.add_(direction, alpha=fitting(scheduled_lr * (beta1 * (1 - share) - 1), param.dtype))
    # z = z - scheduled_lr * direction
    z.add_(direction, alpha=fitting(-scheduled_lr, param.dtype))
    yield from ()  # no parameter waits for another
    return {"k": k, "weight_sum": weight_sum, "lr_max": lr_max, "scheduled_lr": scheduled_lr}


def _step_of_one_on_tensors(
    param_out: Tensor,
    grad: Tensor,
    z_out: Tensor,
    exp_avg_sq_out: Tensor,
    *,
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    eps: float,
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
        param_out, grad, z_out, exp_avg_sq_out = as_pairs(param_out, grad, z_out, exp_avg_sq_out)
    param = param_out
    z = z_out
    exp_avg_sq = exp_avg_sq_out
    if differentiable:  # autograd may keep these; what is stored at the end must not change them
        param = param_out.clone()
        z = z_out.clone()
        exp_avg_sq = exp_avg_sq_out.clone()
    if maximize:
        # maximize
        grad = -grad
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
    exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
    # direction = grad / (sqrt(exp_avg_sq / (1 - beta2 ** k)) + eps)
    direction = grad / (sqrt(exp_avg_sq / (1 - power(beta2, k))) + eps)
    if weight_decay != 0:
        direction = direction + weight_decay * param
    # param = lerp(param, z, share)
    param = param + share * (z - param)
    param = param + scheduled_lr * (beta1 * (1 - share) - 1) * direction
    z = z - scheduled_lr * direction
    store(param_out, param)
    store(z_out, z)
    store(exp_avg_sq_out, exp_avg_sq)
    yield from ()  # no parameter waits for another
    return {"k": k, "weight_sum": weight_sum, "lr_max": lr_max, "scheduled_lr": scheduled_lr}
