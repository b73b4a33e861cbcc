# Generated from specs/textbook/momentum_sgd.yaml by thetac 0.1.0; do not edit.
"""MomentumSGD for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensors import as_pairs, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    vs: Sequence[Tensor],
    lr: float,
    mu: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, v in zip(params, grads, vs, strict=True):
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if torch.is_complex(param):
            param, grad, v = as_pairs(param, grad, v)
        # v = mu * v - lr * grad
        v.mul_(mu).add_(grad, alpha=-lr)
        # param = param + v
        param.add_(v)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    vs: Sequence[Tensor],
    lr: float | Tensor,
    mu: float,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, v_out in zip(params, grads, vs, strict=True):
        if torch.is_complex(param_out):
            param_out, grad, v_out = as_pairs(param_out, grad, v_out)
        param = param_out
        v = v_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            v = v_out.clone()
        if maximize:
            # maximize
            grad = -grad
        v = mu * v - lr * grad
        param = param + v
        store(param_out, param)
        store(v_out, v)
