# Generated from specs/signum.yaml by thetac 0.1.0; do not edit.
"""Signum for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensors import as_pairs, sign, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    momentum_buffers: Sequence[Tensor | None],
    lr: float,
    momentum: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, momentum_buffer in zip(params, grads, momentum_buffers, strict=True):
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            if decoupled_weight_decay:
                # weight decay: param = param * (1 - lr * weight_decay)
                param.mul_(1 - lr * weight_decay)
            else:
                # weight decay: grad = grad + weight_decay * param
                grad = grad.add(param, alpha=weight_decay)
        if torch.is_complex(param):
            param, grad = as_pairs(param, grad)
            (momentum_buffer,) = as_pairs(momentum_buffer)
        direction = grad
        if momentum != 0:
            assert momentum_buffer is not None
            # momentum_buffer = momentum * momentum_buffer + (1 - momentum) * grad
            momentum_buffer.mul_(momentum).add_(grad, alpha=1 - momentum)
            direction = momentum_buffer
        # param = param - lr * sign(direction)
        param.add_(direction.sign(), alpha=-lr)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    momentum_buffers: Sequence[Tensor | None],
    lr: float | Tensor,
    momentum: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, momentum_buffer_out in zip(params, grads, momentum_buffers, strict=True):
        if torch.is_complex(param_out):
            param_out, grad = as_pairs(param_out, grad)
            (momentum_buffer_out,) = as_pairs(momentum_buffer_out)
        param = param_out
        momentum_buffer = momentum_buffer_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            momentum_buffer = momentum_buffer_out.clone() if momentum_buffer_out is not None else None
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            if decoupled_weight_decay:
                # weight decay
                param = param * (1 - lr * weight_decay)
            else:
                # weight decay
                grad = grad + weight_decay * param
        direction = grad
        if momentum != 0:
            assert momentum_buffer is not None
            momentum_buffer = momentum * momentum_buffer + (1 - momentum) * grad
            direction = momentum_buffer
        param = param - lr * sign(direction)
        store(param_out, param)
        store(momentum_buffer_out, momentum_buffer)
