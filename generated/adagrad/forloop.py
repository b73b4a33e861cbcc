# Generated from specs/adagrad.yaml by thetac 0.1.0; do not edit.
"""Adagrad for one parameter after the other, in plain torch operations: the readable reference."""

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
    sums: Sequence[Tensor],
    lr: float,
    lr_decay: float,
    weight_decay: float,
    eps: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, sum in zip(params, grads, steps, sums, strict=True):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            # weight decay: grad = grad + weight_decay * param
            grad = grad.add(param, alpha=weight_decay)
        if torch.is_complex(param):
            param, grad, sum = as_pairs(param, grad, sum)
        # sum = sum + grad * grad
        sum.addcmul_(grad, grad, value=1)
        # param = param - lr / (1 + (step - 1) * lr_decay) * grad / (sqrt(sum) + eps)
        param.addcdiv_(grad, sum.sqrt().add_(eps), value=-lr / (1 + (step - 1) * lr_decay))


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    sums: Sequence[Tensor],
    lr: float | Tensor,
    lr_decay: float,
    weight_decay: float,
    eps: float,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, sum_out in zip(params, grads, steps, sums, strict=True):
        if torch.is_complex(param_out):
            param_out, grad, sum_out = as_pairs(param_out, grad, sum_out)
        param = param_out
        sum = sum_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            sum = sum_out.clone()
        step_t += 1
        step = step_t if capturable else step_t.item()
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            # weight decay
            grad = grad + weight_decay * param
        sum = sum + grad * grad
        param = param - lr / (1 + (step - 1) * lr_decay) * grad / (sqrt(sum) + eps)
        store(param_out, param)
        store(sum_out, sum)
