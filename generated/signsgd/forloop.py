# Generated from specs/sign_sgd.yaml by thetac 0.1.0; do not edit.
"""SignSGD for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensors import as_pairs, sign, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    lr: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad in zip(params, grads, strict=True):
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            # weight decay: param = param * (1 - lr * weight_decay)
            param.mul_(1 - lr * weight_decay)
        if torch.is_complex(param):
            param, grad = as_pairs(param, grad)
        # param = param - lr * sign(grad)
        param.add_(grad.sign(), alpha=-lr)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    lr: float | Tensor,
    weight_decay: float,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad in zip(params, grads, strict=True):
        if torch.is_complex(param_out):
            param_out, grad = as_pairs(param_out, grad)
        param = param_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            # weight decay
            param = param * (1 - lr * weight_decay)
        param = param - lr * sign(grad)
        store(param_out, param)
