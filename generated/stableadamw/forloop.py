# Generated from specs/stable_adamw.yaml by thetac 0.1.0; do not edit.
"""StableAdamW for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import fitting, maximum, sqrt, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    eps: float,
    max_lr: float,
    start_lr: float,
    decouple_lr: bool,
    max_lr_is_none: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, exp_avg, exp_avg_sq in zip(params, grads, steps, exp_avgs, exp_avg_sqs, strict=True):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        max_lr_or_default = 0 if max_lr_is_none else max_lr
        beta1_hat = beta1 * (1 - beta1 ** (step - 1)) / (1 - beta1**step)
        beta2_hat = beta2 * (1 - beta2 ** (step - 1)) / (1 - beta2**step)
        # exp_avg = lerp(exp_avg, grad, 1 - beta1_hat)
        exp_avg.lerp_(grad, 1 - beta1_hat)
        # exp_avg_sq = beta2_hat * exp_avg_sq + (1 - beta2_hat) * grad * grad
        exp_avg_sq.mul_(beta2_hat).addcmul_(grad, grad, value=1 - beta2_hat)
        # spread_part = mean(grad * grad / maximum(exp_avg_sq, eps * eps))
        spread_part = grad.mul(grad).div(exp_avg_sq.clamp(min=eps * eps)).mean().item()
        spread = scalar_math.sqrt(spread_part)
        rate = lr / scalar_math.maximum(spread, 1)
        if weight_decay != 0:
            if decouple_lr:
                highest = max_lr_or_default if max_lr_or_default > 0 else start_lr
                # param = param * (1 - rate / where(highest > 0, highest, inf) * weight_decay)
                param.mul_(1 - scalar_math.divide(rate, highest if highest > 0 else float("inf")) * weight_decay)
            else:
                # param = param * (1 - rate * weight_decay)
                param.mul_(1 - rate * weight_decay)
        # param = param - rate * exp_avg / (sqrt(exp_avg_sq) + eps)
        param.addcdiv_(exp_avg, exp_avg_sq.sqrt().add_(eps), value=fitting(-rate, param.dtype))


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    weight_decay: float,
    eps: float,
    max_lr: float,
    start_lr: float,
    decouple_lr: bool,
    max_lr_is_none: bool,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, exp_avg_out, exp_avg_sq_out in zip(
        params, grads, steps, exp_avgs, exp_avg_sqs, strict=True
    ):
        param = param_out
        exp_avg = exp_avg_out
        exp_avg_sq = exp_avg_sq_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg = exp_avg_out.clone()
            exp_avg_sq = exp_avg_sq_out.clone()
        step_t += 1
        step = step_t if capturable else step_t.item()
        if maximize:
            # maximize
            grad = -grad
        # what None stands for
        max_lr_or_default = where(max_lr_is_none, 0, max_lr)
        beta1_hat = beta1 * (1 - beta1 ** (step - 1)) / (1 - beta1**step)
        beta2_hat = beta2 * (1 - beta2 ** (step - 1)) / (1 - beta2**step)
        # exp_avg = lerp(exp_avg, grad, 1 - beta1_hat)
        exp_avg = exp_avg + (1 - beta1_hat) * (grad - exp_avg)
        exp_avg_sq = beta2_hat * exp_avg_sq + (1 - beta2_hat) * grad * grad
        # spread_part = mean(grad * grad / maximum(exp_avg_sq, eps * eps))
        spread_part = (grad * grad / maximum(exp_avg_sq, eps * eps)).mean()
        spread = sqrt(spread_part)
        rate = lr / maximum(spread, 1)
        if weight_decay != 0:
            if decouple_lr:
                highest = where(max_lr_or_default > 0, max_lr_or_default, start_lr)
                # param = param * (1 - rate / where(highest > 0, highest, inf) * weight_decay)
                param = param * (1 - rate / where(highest > 0, highest, float("inf")) * weight_decay)
            else:
                param = param * (1 - rate * weight_decay)
        param = param - rate * exp_avg / (sqrt(exp_avg_sq) + eps)
        store(param_out, param)
        store(exp_avg_out, exp_avg)
        store(exp_avg_sq_out, exp_avg_sq)
