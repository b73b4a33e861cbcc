# Generated from specs/adamod.yaml by thetac 0.1.0; do not edit.
"""AdaMod for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import as_pairs, minimum, sqrt, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    exp_avg_lrs: Sequence[Tensor],
    lr: float,
    beta1: float,
    beta2: float,
    beta3: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, exp_avg, exp_avg_sq, exp_avg_lr in zip(
        params, grads, steps, exp_avgs, exp_avg_sqs, exp_avg_lrs, strict=True
    ):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            # weight decay: param = param * (1 - lr * weight_decay)
            param.mul_(1 - lr * weight_decay)
        if torch.is_complex(param):
            param, grad, exp_avg, exp_avg_sq, exp_avg_lr = as_pairs(
                param, grad, exp_avg, exp_avg_sq, exp_avg_lr
            )
        # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg.mul_(beta1).add_(grad, alpha=1 - beta1)
        # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        step_size = lr * scalar_math.sqrt(1 - beta2**step) / (1 - beta1**step)
        # rate = step_size / (sqrt(exp_avg_sq) + eps)
        rate = exp_avg_sq.sqrt().add_(eps).reciprocal_().mul_(step_size)
        # exp_avg_lr = beta3 * exp_avg_lr + (1 - beta3) * rate
        exp_avg_lr.mul_(beta3).add_(rate, alpha=1 - beta3)
        # param = param - minimum(rate, exp_avg_lr) * exp_avg
        param.addcmul_(torch.minimum(rate, exp_avg_lr), exp_avg, value=-1)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    exp_avg_lrs: Sequence[Tensor],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    beta3: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, exp_avg_out, exp_avg_sq_out, exp_avg_lr_out in zip(
        params, grads, steps, exp_avgs, exp_avg_sqs, exp_avg_lrs, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, exp_avg_out, exp_avg_sq_out, exp_avg_lr_out = as_pairs(
                param_out, grad, exp_avg_out, exp_avg_sq_out, exp_avg_lr_out
            )
        param = param_out
        exp_avg = exp_avg_out
        exp_avg_sq = exp_avg_sq_out
        exp_avg_lr = exp_avg_lr_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg = exp_avg_out.clone()
            exp_avg_sq = exp_avg_sq_out.clone()
            exp_avg_lr = exp_avg_lr_out.clone()
        step_t += 1
        step = step_t if capturable else step_t.item()
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            # weight decay
            param = param * (1 - lr * weight_decay)
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        step_size = lr * sqrt(1 - beta2**step) / (1 - beta1**step)
        rate = step_size / (sqrt(exp_avg_sq) + eps)
        exp_avg_lr = beta3 * exp_avg_lr + (1 - beta3) * rate
        param = param - minimum(rate, exp_avg_lr) * exp_avg
        store(param_out, param)
        store(exp_avg_out, exp_avg)
        store(exp_avg_sq_out, exp_avg_sq)
        store(exp_avg_lr_out, exp_avg_lr)
