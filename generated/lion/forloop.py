# Generated from specs/lion.yaml by thetac 0.1.0; do not edit.
"""Lion for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensors import as_pairs, sign, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    exp_avgs: Sequence[Tensor],
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, exp_avg in zip(params, grads, exp_avgs, strict=True):
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            # weight decay: param = param * (1 - lr * weight_decay)
            param.mul_(1 - lr * weight_decay)
        if torch.is_complex(param):
            param, grad, exp_avg = as_pairs(param, grad, exp_avg)
        # param = param - lr * sign(beta1 * exp_avg + (1 - beta1) * grad)
        param.add_(exp_avg.mul(beta1).add_(grad, alpha=1 - beta1).sign_(), alpha=-lr)
        # after the step, with its own decay: exp_avg = beta2 * exp_avg + (1 - beta2) * grad
        exp_avg.mul_(beta2).add_(grad, alpha=1 - beta2)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    exp_avgs: Sequence[Tensor],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    weight_decay: float,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, exp_avg_out in zip(params, grads, exp_avgs, strict=True):
        if torch.is_complex(param_out):
            param_out, grad, exp_avg_out = as_pairs(param_out, grad, exp_avg_out)
        param = param_out
        exp_avg = exp_avg_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg = exp_avg_out.clone()
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            # weight decay
            param = param * (1 - lr * weight_decay)
        param = param - lr * sign(beta1 * exp_avg + (1 - beta1) * grad)
        # after the step, with its own decay
        exp_avg = beta2 * exp_avg + (1 - beta2) * grad
        store(param_out, param)
        store(exp_avg_out, exp_avg)
