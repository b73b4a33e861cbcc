# Generated from specs/adamax.yaml by thetac 0.1.0; do not edit.
"""Adamax for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensors import as_pairs, maximum, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_infs: Sequence[Tensor],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, exp_avg, exp_inf in zip(params, grads, steps, exp_avgs, exp_infs, strict=True):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            # weight decay: grad = grad + weight_decay * param
            grad = grad.add(param, alpha=weight_decay)
        if torch.is_complex(param):
            param, grad, exp_avg, exp_inf = as_pairs(param, grad, exp_avg, exp_inf)
        # first moment: exp_avg = lerp(exp_avg, grad, 1 - beta1)
        exp_avg.lerp_(grad, 1 - beta1)
        # decaying infinity norm: exp_inf = maximum(beta2 * exp_inf, abs(grad) + eps)
        torch.maximum(exp_inf.mul_(beta2), grad.abs().add_(eps), out=exp_inf)
        # param = param - lr / (1 - beta1 ** step) * exp_avg / exp_inf
        param.addcdiv_(exp_avg, exp_inf, value=-lr / (1 - beta1**step))


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_infs: Sequence[Tensor],
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
    for param_out, grad, step_t, exp_avg_out, exp_inf_out in zip(
        params, grads, steps, exp_avgs, exp_infs, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, exp_avg_out, exp_inf_out = as_pairs(param_out, grad, exp_avg_out, exp_inf_out)
        param = param_out
        exp_avg = exp_avg_out
        exp_inf = exp_inf_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg = exp_avg_out.clone()
            exp_inf = exp_inf_out.clone()
        step_t += 1
        step = step_t if capturable else step_t.item()
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            # weight decay
            grad = grad + weight_decay * param
        # first moment: exp_avg = lerp(exp_avg, grad, 1 - beta1)
        exp_avg = exp_avg + (1 - beta1) * (grad - exp_avg)
        # decaying infinity norm
        exp_inf = maximum(beta2 * exp_inf, abs(grad) + eps)
        param = param - lr / (1 - beta1**step) * exp_avg / exp_inf
        store(param_out, param)
        store(exp_avg_out, exp_avg)
        store(exp_inf_out, exp_inf)
