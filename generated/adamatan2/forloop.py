# Generated from specs/adam_atan2.yaml by thetac 0.1.0; do not edit.
"""AdamAtan2 for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, as_pairs, atan2, copied, divide, sqrt, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    param_inits: Sequence[Tensor | None],
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    regen_reg_rate: float,
    a: float,
    b: float,
    start_lr: float,
    decoupled_wd: bool,
    cautious_wd: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, exp_avg, exp_avg_sq, param_init in zip(
        params, grads, steps, exp_avgs, exp_avg_sqs, param_inits, strict=True
    ):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if torch.is_complex(param):
            param, grad, exp_avg, exp_avg_sq = as_pairs(param, grad, exp_avg, exp_avg_sq)
            (param_init,) = as_pairs(param_init)
        rate = lr
        if decoupled_wd:
            rate = scalar_math.divide(lr, start_lr) if start_lr != 0 else 0
        if regen_reg_rate > 0:
            assert param_init is not None
            # param = lerp(param, param_init, rate * regen_reg_rate)
            param.lerp_(param_init, rate * regen_reg_rate)
        # exp_avg = lerp(exp_avg, grad, 1 - beta1)
        exp_avg.lerp_(grad, 1 - beta1)
        # exp_avg_sq = lerp(exp_avg_sq, grad * grad, 1 - beta2)
        exp_avg_sq.lerp_(grad.mul(grad), 1 - beta2)
        # denom = sqrt(exp_avg_sq * (b * b / (1 - beta2 ** step)))
        denom = exp_avg_sq.mul(b * b / (1 - beta2**step)).sqrt_()
        # direction = atan2(exp_avg * (1 / (1 - beta1 ** step)), denom)
        direction = exp_avg.mul(1 / (1 - beta1**step)).atan2_(denom)
        if weight_decay > 0 and not cautious_wd:
            # param = param * (1 - rate * weight_decay)
            param.mul_(1 - rate * weight_decay)
        if weight_decay > 0 and cautious_wd:
            # param = where(direction * param > 0, param * (1 - rate * weight_decay), param)
            param.copy_(torch.where(direction.mul(param) > 0, param.mul(1 - rate * weight_decay), param))
        # param = param - lr * a * direction
        param.add_(direction, alpha=-lr * a)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    param_inits: Sequence[Tensor | None],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    weight_decay: float,
    regen_reg_rate: float,
    a: float,
    b: float,
    start_lr: float,
    decoupled_wd: bool,
    cautious_wd: bool,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, exp_avg_out, exp_avg_sq_out, param_init_out in zip(
        params, grads, steps, exp_avgs, exp_avg_sqs, param_inits, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, exp_avg_out, exp_avg_sq_out = as_pairs(
                param_out, grad, exp_avg_out, exp_avg_sq_out
            )
            (param_init_out,) = as_pairs(param_init_out)
        param = param_out
        exp_avg = exp_avg_out
        exp_avg_sq = exp_avg_sq_out
        param_init = param_init_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg = exp_avg_out.clone()
            exp_avg_sq = exp_avg_sq_out.clone()
            param_init = param_init_out.clone() if param_init_out is not None else None
        step_t += 1
        step = step_t if capturable else step_t.item()
        if maximize:
            # maximize
            grad = -grad
        rate: Scalar = lr
        if decoupled_wd:
            # rate = where(start_lr != 0, lr / start_lr, 0)
            rate = where(start_lr != 0, divide(lr, start_lr), 0)
        if regen_reg_rate > 0:
            assert param_init is not None
            # param = lerp(param, param_init, rate * regen_reg_rate)
            param = param + (rate * regen_reg_rate) * (param_init - param)
        # exp_avg = lerp(exp_avg, grad, 1 - beta1)
        exp_avg = exp_avg + (1 - beta1) * (grad - exp_avg)
        # exp_avg_sq = lerp(exp_avg_sq, grad * grad, 1 - beta2)
        exp_avg_sq = exp_avg_sq + (1 - beta2) * (grad * grad - exp_avg_sq)
        denom = sqrt(exp_avg_sq * (b * b / (1 - beta2**step)))
        direction = atan2(exp_avg * (1 / (1 - beta1**step)), denom)
        if weight_decay > 0 and not cautious_wd:
            param = param * (1 - rate * weight_decay)
        if weight_decay > 0 and cautious_wd:
            # param = where(direction * param > 0, param * (1 - rate * weight_decay), param)
            param = copied(where(direction * param > 0, param * (1 - rate * weight_decay), param))
        param = param - lr * a * direction
        store(param_out, param)
        store(exp_avg_out, exp_avg)
        store(exp_avg_sq_out, exp_avg_sq)
