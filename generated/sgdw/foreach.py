# Generated from specs/sgdw.yaml by thetac 0.1.0; do not edit.
"""SGDW for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
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
    max_lr: float,
    start_lr: float,
    nesterov: bool,
    corrected_weight_decay: bool,
    max_lr_is_none: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        if corrected_weight_decay:
            if lr != 0:
                # weight decay: param = param * (1 - lr ** 2 / where(max_lr_is_none, where(start_lr > 0, start_lr, lr),
                #   max_lr) * weight_decay)
                scale_(
                    params,
                    1
                    - scalar_math.divide(
                        scalar_math.power(lr, 2), (start_lr if start_lr > 0 else lr) if max_lr_is_none else max_lr
                    )
                    * weight_decay,
                )
        else:
            # weight decay: param = param * (1 - lr * weight_decay)
            scale_(params, 1 - lr * weight_decay)
    if torch.is_complex(params[0]):
        params, grads, momentum_buffers = as_lists_of_pairs(params, grads, momentum_buffers)
    # first value
    if momentum != 0:
        # first value
        if first_momentum_buffer:
            # first value: momentum_buffer = grad
            torch._foreach_copy_(momentum_buffers, grads)
    # direction = grad
    directions: TensorList = grads
    if momentum != 0:
        if not first_momentum_buffer:
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
