# Generated from specs/qhm.yaml by thetac 0.1.0; do not edit.
"""QHM for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensors import as_pairs, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    momentum_buffers: Sequence[Tensor],
    lr: float,
    momentum: float,
    nu: float,
    weight_decay: float,
    weight_decay_type_is_direct: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, momentum_buffer in zip(params, grads, momentum_buffers, strict=True):
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            if weight_decay_type_is_direct:
                # weight decay: param = param * (1 - lr * weight_decay)
                param.mul_(1 - lr * weight_decay)
            else:
                # weight decay: grad = grad + weight_decay * param
                grad = grad.add(param, alpha=weight_decay)
        if torch.is_complex(param):
            param, grad, momentum_buffer = as_pairs(param, grad, momentum_buffer)
        # momentum_buffer = momentum * momentum_buffer + (1 - momentum) * grad
        momentum_buffer.mul_(momentum).add_(grad, alpha=1 - momentum)
        # param = param - lr * nu * momentum_buffer
        param.add_(momentum_buffer, alpha=-lr * nu)
        # param = param - lr * (1 - nu) * grad
        param.add_(grad, alpha=-lr * (1 - nu))


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    momentum_buffers: Sequence[Tensor],
    lr: float | Tensor,
    momentum: float,
    nu: float,
    weight_decay: float,
    weight_decay_type_is_direct: bool,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, momentum_buffer_out in zip(params, grads, momentum_buffers, strict=True):
        if torch.is_complex(param_out):
            param_out, grad, momentum_buffer_out = as_pairs(param_out, grad, momentum_buffer_out)
        param = param_out
        momentum_buffer = momentum_buffer_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            momentum_buffer = momentum_buffer_out.clone()
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            if weight_decay_type_is_direct:
                # weight decay
                param = param * (1 - lr * weight_decay)
            else:
                # weight decay
                grad = grad + weight_decay * param
        momentum_buffer = momentum * momentum_buffer + (1 - momentum) * grad
        param = param - lr * nu * momentum_buffer
        param = param - lr * (1 - nu) * grad
        store(param_out, param)
        store(momentum_buffer_out, momentum_buffer)
