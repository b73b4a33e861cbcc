# Generated from specs/asam.yaml by thetac 0.1.0; do not edit.
"""ASAM for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensors import as_pairs, copied, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    momentum_buffers: Sequence[Tensor | None],
    first_momentum_buffer: Sequence[bool],
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, momentum_buffer, is_first_momentum_buffer in zip(
        params, grads, momentum_buffers, first_momentum_buffer, strict=True
    ):
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            # weight decay: grad = grad + weight_decay * param
            grad = grad.add(param, alpha=weight_decay)
        if torch.is_complex(param):
            param, grad = as_pairs(param, grad)
            (momentum_buffer,) = as_pairs(momentum_buffer)
        direction = grad
        if momentum != 0:
            if is_first_momentum_buffer:
                assert momentum_buffer is not None
                # momentum_buffer = grad
                momentum_buffer.copy_(grad)
            else:
                assert momentum_buffer is not None
                # momentum_buffer = momentum * momentum_buffer + (1 - dampening) * grad
                momentum_buffer.mul_(momentum).add_(grad, alpha=1 - dampening)
            if nesterov:
                # direction = grad + momentum * momentum_buffer
                direction = grad.add(momentum_buffer, alpha=momentum)
            else:
                direction = momentum_buffer
        # param = param - lr * direction
        param.add_(direction, alpha=-lr)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    momentum_buffers: Sequence[Tensor | None],
    first_momentum_buffer: Sequence[bool],
    lr: float | Tensor,
    momentum: float,
    dampening: float,
    weight_decay: float | Tensor,
    nesterov: bool,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, momentum_buffer_out, is_first_momentum_buffer in zip(
        params, grads, momentum_buffers, first_momentum_buffer, strict=True
    ):
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
            # weight decay
            grad = grad + weight_decay * param
        direction = grad
        if momentum != 0:
            if is_first_momentum_buffer:
                # momentum_buffer = grad
                momentum_buffer = copied(grad)
            else:
                assert momentum_buffer is not None
                momentum_buffer = momentum * momentum_buffer + (1 - dampening) * grad
            if nesterov:
                direction = grad + momentum * momentum_buffer
            else:
                direction = momentum_buffer
        param = param - lr * direction
        store(param_out, param)
        store(momentum_buffer_out, momentum_buffer)
