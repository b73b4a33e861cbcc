# Generated from specs/pid.yaml by thetac 0.1.0; do not edit.
"""PID for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.tensors import TensorList, as_lists_of_pairs, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    I_buffers: TensorList,
    D_buffers: TensorList,
    grad_buffers: TensorList,
    first_I_buffer: bool,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    I: float,
    D: float,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        # weight decay: grad = grad + weight_decay * param
        grads = torch._foreach_add(grads, params, alpha=weight_decay)
    if torch.is_complex(params[0]):
        params, grads, I_buffers, D_buffers, grad_buffers = as_lists_of_pairs(
            params, grads, I_buffers, D_buffers, grad_buffers
        )
    # first value
    if momentum != 0:
        # first value
        if first_I_buffer:
            # first value: I_buffer = grad
            torch._foreach_copy_(I_buffers, grads)
    # direction = grad
    directions: TensorList = grads
    if momentum != 0:
        if not first_I_buffer:
            # I_buffer = momentum * I_buffer + (1 - dampening) * grad
            scale_(I_buffers, momentum)
            torch._foreach_add_(I_buffers, grads, alpha=1 - dampening)
            # D_buffer = momentum * D_buffer + (1 - momentum) * (grad - grad_buffer)
            scale_(D_buffers, momentum)
            torch._foreach_add_(D_buffers, torch._foreach_sub(grads, grad_buffers), alpha=1 - momentum)
            # grad_buffer = grad
            torch._foreach_copy_(grad_buffers, grads)
        # direction = grad + I * I_buffer + D * D_buffer
        directions = torch._foreach_add(grads, I_buffers, alpha=I)
        torch._foreach_add_(directions, D_buffers, alpha=D)
    # param = param - lr * direction
    torch._foreach_add_(params, directions, alpha=-lr)
