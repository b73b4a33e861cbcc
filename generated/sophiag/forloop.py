# Generated from specs/sophia_g.yaml by thetac 0.1.0; do not edit.
"""SophiaG for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensors import as_pairs, minimum, sign, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    hessians: Sequence[Tensor],
    lr: float,
    beta1: float,
    rho: float,
    weight_decay: float,
    bs: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, exp_avg, hessian in zip(params, grads, steps, exp_avgs, hessians, strict=True):
        step_t += 1
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            # weight decay: param = param * (1 - lr * weight_decay)
            param.mul_(1 - lr * weight_decay)
        if torch.is_complex(param):
            param, grad, exp_avg, hessian = as_pairs(param, grad, exp_avg, hessian)
        # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg.mul_(beta1).add_(grad, alpha=1 - beta1)
        # ratio = minimum(abs(exp_avg) / (rho * bs * hessian + 1e-15), 1)
        ratio = exp_avg.abs().div_(hessian.mul(rho * bs).add_(1e-15)).clamp_(max=1)
        # param = param - lr * sign(exp_avg) * ratio
        param.addcmul_(exp_avg.sign(), ratio, value=-lr)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    hessians: Sequence[Tensor],
    lr: float | Tensor,
    beta1: float,
    rho: float,
    weight_decay: float,
    bs: float,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, exp_avg_out, hessian_out in zip(
        params, grads, steps, exp_avgs, hessians, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, exp_avg_out, hessian_out = as_pairs(param_out, grad, exp_avg_out, hessian_out)
        param = param_out
        exp_avg = exp_avg_out
        hessian = hessian_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg = exp_avg_out.clone()
            hessian = hessian_out.clone()
        step_t += 1
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            # weight decay
            param = param * (1 - lr * weight_decay)
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        ratio = minimum(abs(exp_avg) / (rho * bs * hessian + 1e-15), 1)
        param = param - lr * sign(exp_avg) * ratio
        store(param_out, param)
        store(exp_avg_out, exp_avg)
