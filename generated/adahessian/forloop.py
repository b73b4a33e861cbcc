# Generated from specs/adahessian.yaml by thetac 0.1.0; do not edit.
"""AdaHessian for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, power, sqrt, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_hessian_diag_sqs: Sequence[Tensor],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    hessian_power: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, exp_avg, exp_hessian_diag_sq in zip(
        params, grads, steps, exp_avgs, exp_hessian_diag_sqs, strict=True
    ):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg.mul_(beta1).add_(grad, alpha=1 - beta1)
        correction = scalar_math.sqrt(1 - beta2**step)
        # curvature = sqrt(exp_hessian_diag_sq)
        curvature = exp_hessian_diag_sq.sqrt()
        # a power takes much more than all the rest
        if hessian_power != 1:
            correction = scalar_math.power(correction, hessian_power)
            # curvature = curvature ** hessian_power
            curvature.pow_(hessian_power)
        rate = lr / (1 - beta1**step)
        # param = param - (rate * exp_avg / (curvature / correction + eps) + lr * weight_decay * param)
        param.sub_(exp_avg.mul(rate).div_(curvature.div(correction).add_(eps)).add_(param, alpha=lr * weight_decay))


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_hessian_diag_sqs: Sequence[Tensor],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    hessian_power: float,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, exp_avg_out, exp_hessian_diag_sq_out in zip(
        params, grads, steps, exp_avgs, exp_hessian_diag_sqs, strict=True
    ):
        param = param_out
        exp_avg = exp_avg_out
        exp_hessian_diag_sq = exp_hessian_diag_sq_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg = exp_avg_out.clone()
            exp_hessian_diag_sq = exp_hessian_diag_sq_out.clone()
        step_t += 1
        step = step_t if capturable else step_t.item()
        if maximize:
            # maximize
            grad = -grad
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        correction: Scalar = sqrt(1 - beta2**step)
        curvature = sqrt(exp_hessian_diag_sq)
        if hessian_power != 1:
            # correction = correction ** hessian_power
            correction = power(correction, hessian_power)
            curvature = curvature**hessian_power
        rate = lr / (1 - beta1**step)
        param = param - (rate * exp_avg / (curvature / correction + eps) + lr * weight_decay * param)
        store(param_out, param)
        store(exp_avg_out, exp_avg)
