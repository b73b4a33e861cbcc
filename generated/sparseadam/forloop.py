# Generated from specs/sparse_adam.yaml by thetac 0.1.0; do not edit.
"""SparseAdam for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import sqrt, store


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
    eps: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, exp_avg, exp_avg_sq in zip(params, grads, steps, exp_avgs, exp_avg_sqs, strict=True):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        # exp_avg = exp_avg + (grad - exp_avg) * (1 - beta1)
        exp_avg.add_(grad.sub(exp_avg).mul_(1 - beta1))
        # exp_avg_sq = exp_avg_sq + (grad * grad - exp_avg_sq) * (1 - beta2)
        exp_avg_sq.add_(grad.mul(grad).sub_(exp_avg_sq).mul_(1 - beta2))
        step_size = lr * scalar_math.sqrt(1 - beta2**step) / (1 - beta1**step)
        # change = -step_size * (exp_avg / (sqrt(exp_avg_sq) + eps))
        change = exp_avg.div(exp_avg_sq.sqrt().add_(eps)).mul_(-step_size)
        # param = param + change
        param.add_(change)


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
    eps: float,
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
        exp_avg = exp_avg + (grad - exp_avg) * (1 - beta1)
        exp_avg_sq = exp_avg_sq + (grad * grad - exp_avg_sq) * (1 - beta2)
        step_size = lr * sqrt(1 - beta2**step) / (1 - beta1**step)
        change = -step_size * (exp_avg / (sqrt(exp_avg_sq) + eps))
        param = param + change
        store(param_out, param)
        store(exp_avg_out, exp_avg)
        store(exp_avg_sq_out, exp_avg_sq)
