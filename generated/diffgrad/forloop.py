# Generated from specs/diffgrad.yaml by thetac 0.1.0; do not edit.
"""DiffGrad for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import as_pairs, copied, exp, sqrt, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    previous_grads: Sequence[Tensor],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, exp_avg, exp_avg_sq, previous_grad in zip(
        params, grads, steps, exp_avgs, exp_avg_sqs, previous_grads, strict=True
    ):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            # weight decay: grad = grad + weight_decay * param
            grad = grad.add(param, alpha=weight_decay)
        if torch.is_complex(param):
            param, grad, exp_avg, exp_avg_sq, previous_grad = as_pairs(
                param, grad, exp_avg, exp_avg_sq, previous_grad
            )
        # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg.mul_(beta1).add_(grad, alpha=1 - beta1)
        # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        # denom = sqrt(exp_avg_sq) + eps
        denom = exp_avg_sq.sqrt().add_(eps)
        # friction = 1 / (1 + exp(-abs(previous_grad - grad)))
        friction = previous_grad.sub(grad).abs_().neg_().exp_().add_(1).reciprocal_().mul_(1)
        # for the next step: previous_grad = grad
        previous_grad.copy_(grad)
        step_size = lr * scalar_math.sqrt(1 - beta2**step) / (1 - beta1**step)
        # param = param - step_size * (exp_avg * friction) / denom
        param.addcdiv_(exp_avg.mul(friction), denom, value=-step_size)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    previous_grads: Sequence[Tensor],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, exp_avg_out, exp_avg_sq_out, previous_grad_out in zip(
        params, grads, steps, exp_avgs, exp_avg_sqs, previous_grads, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, exp_avg_out, exp_avg_sq_out, previous_grad_out = as_pairs(
                param_out, grad, exp_avg_out, exp_avg_sq_out, previous_grad_out
            )
        param = param_out
        exp_avg = exp_avg_out
        exp_avg_sq = exp_avg_sq_out
        previous_grad = previous_grad_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg = exp_avg_out.clone()
            exp_avg_sq = exp_avg_sq_out.clone()
            previous_grad = previous_grad_out.clone()
        step_t += 1
        step = step_t if capturable else step_t.item()
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            # weight decay
            grad = grad + weight_decay * param
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        denom = sqrt(exp_avg_sq) + eps
        friction = 1 / (1 + exp(-abs(previous_grad - grad)))
        # for the next step: previous_grad = grad
        previous_grad = copied(grad)
        step_size = lr * sqrt(1 - beta2**step) / (1 - beta1**step)
        param = param - step_size * (exp_avg * friction) / denom
        store(param_out, param)
        store(exp_avg_out, exp_avg)
        store(exp_avg_sq_out, exp_avg_sq)
        store(previous_grad_out, previous_grad)
