# Generated from specs/signum.yaml by thetac 0.1.0; do not edit.
"""Signum for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.tensors import TensorList, as_lists_of_pairs, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    momentum_buffers: TensorList,
    lr: float,
    momentum: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        if decoupled_weight_decay:
            # weight decay: param = param * (1 - lr * weight_decay)
            scale_(params, 1 - lr * weight_decay)
        else:
            # weight decay: grad = grad + weight_decay * param
            grads = torch._foreach_add(grads, params, alpha=weight_decay)
    if torch.is_complex(params[0]):
        params, grads, momentum_buffers = as_lists_of_pairs(params, grads, momentum_buffers)
    # direction = grad
    directions: TensorList = grads
    if momentum != 0:
        # momentum_buffer = momentum * momentum_buffer + (1 - momentum) * grad
        scale_(momentum_buffers, momentum)
        torch._foreach_add_(momentum_buffers, grads, alpha=1 - momentum)
        # direction = momentum_buffer
        directions = momentum_buffers
    # param = param - lr * sign(direction)
    torch._foreach_add_(params, torch._foreach_sign(directions), alpha=-lr)
