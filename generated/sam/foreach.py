# Generated from specs/sam.yaml by thetac 0.1.0; do not edit.
"""SAM for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.tensors import TensorList, as_lists_of_pairs, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    momentum_buffers: TensorList,
    first_momentum_buffer: bool,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
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
        params, grads, momentum_buffers = as_lists_of_pairs(params, grads, momentum_buffers)
    # direction = grad
    directions: TensorList = grads
    if momentum != 0:
        if first_momentum_buffer:
            # momentum_buffer = grad
            torch._foreach_copy_(momentum_buffers, grads)
        else:
            # momentum_buffer = momentum * momentum_buffer + (1 - dampening) * grad
            scale_(momentum_buffers, momentum)
            torch._foreach_add_(momentum_buffers, grads, alpha=1 - dampening)
        if nesterov:
            # direction = grad + momentum * momentum_buffer
            directions = torch._foreach_add(grads, momentum_buffers, alpha=momentum)
        else:
            # direction = momentum_buffer
            directions = momentum_buffers
    # param = param - lr * direction
    torch._foreach_add_(params, directions, alpha=-lr)
