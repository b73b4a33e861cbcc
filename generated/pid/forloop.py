# Generated from specs/pid.yaml by thetac 0.1.0; do not edit.
"""PID for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensors import as_pairs, copied, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    I_buffers: Sequence[Tensor | None],
    D_buffers: Sequence[Tensor | None],
    grad_buffers: Sequence[Tensor | None],
    first_I_buffer: Sequence[bool],
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    I: float,
    D: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, I_buffer, D_buffer, grad_buffer, is_first_I_buffer in zip(
        params, grads, I_buffers, D_buffers, grad_buffers, first_I_buffer, strict=True
    ):
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            # weight decay: grad = grad + weight_decay * param
            grad = grad.add(param, alpha=weight_decay)
        if torch.is_complex(param):
            param, grad = as_pairs(param, grad)
            I_buffer, D_buffer, grad_buffer = as_pairs(I_buffer, D_buffer, grad_buffer)
        # first value
        if momentum != 0:
            # first value
            if is_first_I_buffer:
                assert I_buffer is not None
                # first value: I_buffer = grad
                I_buffer.copy_(grad)
        direction = grad
        if momentum != 0:
            if not is_first_I_buffer:
                assert I_buffer is not None
                # I_buffer = momentum * I_buffer + (1 - dampening) * grad
                I_buffer.mul_(momentum).add_(grad, alpha=1 - dampening)
                assert D_buffer is not None
                assert grad_buffer is not None
                # D_buffer = momentum * D_buffer + (1 - momentum) * (grad - grad_buffer)
                D_buffer.mul_(momentum).add_(grad.sub(grad_buffer), alpha=1 - momentum)
                # grad_buffer = grad
                grad_buffer.copy_(grad)
            assert I_buffer is not None
            assert D_buffer is not None
            # direction = grad + I * I_buffer + D * D_buffer
            direction = grad.add(I_buffer, alpha=I).add_(D_buffer, alpha=D)
        # param = param - lr * direction
        param.add_(direction, alpha=-lr)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    I_buffers: Sequence[Tensor | None],
    D_buffers: Sequence[Tensor | None],
    grad_buffers: Sequence[Tensor | None],
    first_I_buffer: Sequence[bool],
    lr: float | Tensor,
    momentum: float,
    dampening: float,
    weight_decay: float,
    I: float,
    D: float,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, I_buffer_out, D_buffer_out, grad_buffer_out, is_first_I_buffer in zip(
        params, grads, I_buffers, D_buffers, grad_buffers, first_I_buffer, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad = as_pairs(param_out, grad)
            I_buffer_out, D_buffer_out, grad_buffer_out = as_pairs(
                I_buffer_out, D_buffer_out, grad_buffer_out
            )
        param = param_out
        I_buffer = I_buffer_out
        D_buffer = D_buffer_out
        grad_buffer = grad_buffer_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            I_buffer = I_buffer_out.clone() if I_buffer_out is not None else None
            D_buffer = D_buffer_out.clone() if D_buffer_out is not None else None
            grad_buffer = grad_buffer_out.clone() if grad_buffer_out is not None else None
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            # weight decay
            grad = grad + weight_decay * param
        if momentum != 0:
            if is_first_I_buffer:
                # first value: I_buffer = grad
                I_buffer = copied(grad)
        direction = grad
        if momentum != 0:
            if not is_first_I_buffer:
                assert I_buffer is not None
                I_buffer = momentum * I_buffer + (1 - dampening) * grad
                assert D_buffer is not None
                assert grad_buffer is not None
                D_buffer = momentum * D_buffer + (1 - momentum) * (grad - grad_buffer)
                # grad_buffer = grad
                grad_buffer = copied(grad)
            assert I_buffer is not None
            assert D_buffer is not None
            direction = grad + I * I_buffer + D * D_buffer
        param = param - lr * direction
        store(param_out, param)
        store(I_buffer_out, I_buffer)
        store(D_buffer_out, D_buffer)
        store(grad_buffer_out, grad_buffer)
