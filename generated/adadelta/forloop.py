# Generated from specs/adadelta.yaml by thetac 0.1.0; do not edit.
"""Adadelta for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensors import as_pairs, sqrt, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    square_avgs: Sequence[Tensor],
    acc_deltas: Sequence[Tensor],
    lr: float,
    rho: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, square_avg, acc_delta in zip(
        params, grads, steps, square_avgs, acc_deltas, strict=True
    ):
        step_t += 1
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            # weight decay: grad = grad + weight_decay * param
            grad = grad.add(param, alpha=weight_decay)
        if torch.is_complex(param):
            grad, square_avg, acc_delta = as_pairs(grad, square_avg, acc_delta)
        # mean squared gradient: square_avg = rho * square_avg + (1 - rho) * grad * grad
        square_avg.mul_(rho).addcmul_(grad, grad, value=1 - rho)
        # delta = sqrt(acc_delta + eps) / sqrt(square_avg + eps) * grad
        delta = acc_delta.add(eps).sqrt_().div_(square_avg.add(eps).sqrt_()).mul_(grad)
        # mean squared update: acc_delta = rho * acc_delta + (1 - rho) * delta * delta
        acc_delta.mul_(rho).addcmul_(delta, delta, value=1 - rho)
        if torch.is_complex(param):
            delta = torch.view_as_complex(delta)
        # param = param - lr * delta
        param.add_(delta, alpha=-lr)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    square_avgs: Sequence[Tensor],
    acc_deltas: Sequence[Tensor],
    lr: float | Tensor,
    rho: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, square_avg_out, acc_delta_out in zip(
        params, grads, steps, square_avgs, acc_deltas, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, square_avg_out, acc_delta_out = as_pairs(
                param_out, grad, square_avg_out, acc_delta_out
            )
        param = param_out
        square_avg = square_avg_out
        acc_delta = acc_delta_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            square_avg = square_avg_out.clone()
            acc_delta = acc_delta_out.clone()
        step_t += 1
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            # weight decay
            grad = grad + weight_decay * param
        # mean squared gradient
        square_avg = rho * square_avg + (1 - rho) * grad * grad
        delta = sqrt(acc_delta + eps) / sqrt(square_avg + eps) * grad
        # mean squared update
        acc_delta = rho * acc_delta + (1 - rho) * delta * delta
        param = param - lr * delta
        store(param_out, param)
        store(square_avg_out, square_avg)
        store(acc_delta_out, acc_delta)
