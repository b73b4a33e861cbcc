# Generated from specs/adabound.yaml by thetac 0.1.0; do not edit.
"""AdaBound for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, as_pairs, divide, fitting, maximum, minimum, sqrt, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    base_lrs: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    max_exp_avg_sqs: Sequence[Tensor | None],
    lr: float,
    beta1: float,
    beta2: float,
    final_lr: float,
    gamma: float,
    eps: float,
    weight_decay: float,
    amsbound: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, base_lr_t, exp_avg, exp_avg_sq, max_exp_avg_sq in zip(
        params, grads, steps, base_lrs, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, strict=True
    ):
        step_t += 1
        step = step_t.item()
        base_lr = base_lr_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            # weight decay: grad = grad + weight_decay * param
            grad = grad.add(param, alpha=weight_decay)
        if torch.is_complex(param):
            param, grad, exp_avg, exp_avg_sq = as_pairs(param, grad, exp_avg, exp_avg_sq)
            (max_exp_avg_sq,) = as_pairs(max_exp_avg_sq)
        # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg.mul_(beta1).add_(grad, alpha=1 - beta1)
        # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        second = exp_avg_sq
        if amsbound:
            assert max_exp_avg_sq is not None
            # max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
            torch.maximum(max_exp_avg_sq, exp_avg_sq, out=max_exp_avg_sq)
            second = max_exp_avg_sq
        step_size = lr * scalar_math.sqrt(1 - beta2**step) / (1 - beta1**step)
        target = 0.0
        if base_lr != 0:
            target = scalar_math.divide(final_lr * lr, base_lr)
        lower = target * (1 - 1 / (gamma * step + 1))
        upper = target * (1 + scalar_math.divide(1, gamma * step))
        # rate = clamp(step_size / (sqrt(second) + eps), lower, upper)
        rate = second.sqrt().add_(eps).reciprocal_().mul_(step_size).clamp_(
            fitting(lower, param.dtype), fitting(upper, param.dtype)
        )
        # param = param - rate * exp_avg
        param.addcmul_(rate, exp_avg, value=-1)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    base_lrs: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    max_exp_avg_sqs: Sequence[Tensor | None],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    final_lr: float,
    gamma: float,
    eps: float,
    weight_decay: float,
    amsbound: bool,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, base_lr_out, exp_avg_out, exp_avg_sq_out, max_exp_avg_sq_out in zip(
        params, grads, steps, base_lrs, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, exp_avg_out, exp_avg_sq_out = as_pairs(
                param_out, grad, exp_avg_out, exp_avg_sq_out
            )
            (max_exp_avg_sq_out,) = as_pairs(max_exp_avg_sq_out)
        param = param_out
        exp_avg = exp_avg_out
        exp_avg_sq = exp_avg_sq_out
        max_exp_avg_sq = max_exp_avg_sq_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg = exp_avg_out.clone()
            exp_avg_sq = exp_avg_sq_out.clone()
            max_exp_avg_sq = max_exp_avg_sq_out.clone() if max_exp_avg_sq_out is not None else None
        step_t += 1
        step = step_t if capturable else step_t.item()
        base_lr = base_lr_out.clone() if differentiable else base_lr_out
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            # weight decay
            grad = grad + weight_decay * param
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        second = exp_avg_sq
        if amsbound:
            assert max_exp_avg_sq is not None
            max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
            second = max_exp_avg_sq
        step_size = lr * sqrt(1 - beta2**step) / (1 - beta1**step)
        target: Scalar = 0.0
        if capturable:
            target_if_so = divide(final_lr * lr, base_lr)
            target = where(base_lr != 0, target_if_so, target)
        elif base_lr != 0:
            # target = final_lr * lr / base_lr
            target = divide(final_lr * lr, base_lr)
        lower = target * (1 - 1 / (gamma * step + 1))
        # upper = target * (1 + 1 / (gamma * step))
        upper = target * (1 + divide(1, gamma * step))
        # rate = clamp(step_size / (sqrt(second) + eps), lower, upper)
        rate = minimum(maximum(step_size / (sqrt(second) + eps), lower), upper)
        param = param - rate * exp_avg
        store(param_out, param)
        store(exp_avg_out, exp_avg)
        store(exp_avg_sq_out, exp_avg_sq)
        store(max_exp_avg_sq_out, max_exp_avg_sq)
