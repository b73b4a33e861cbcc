# Generated from specs/sophia_g.yaml by thetac 0.1.0; do not edit.
"""SophiaG for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensors import as_pairs, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    hessians: Sequence[Tensor],
    beta2: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, hessian in zip(params, grads, hessians, strict=True):
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if torch.is_complex(param):
            param, grad, hessian = as_pairs(param, grad, hessian)
        # hessian = beta2 * hessian + (1 - beta2) * grad * grad
        hessian.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    hessians: Sequence[Tensor],
    beta2: float,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, hessian_out in zip(params, grads, hessians, strict=True):
        if torch.is_complex(param_out):
            param_out, grad, hessian_out = as_pairs(param_out, grad, hessian_out)
        hessian = hessian_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            hessian = hessian_out.clone()
        if maximize:
            # maximize
            grad = -grad
        hessian = beta2 * hessian + (1 - beta2) * grad * grad
        store(hessian_out, hessian)
