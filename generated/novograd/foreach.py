# Generated from specs/novograd.yaml by thetac 0.1.0; do not edit.
"""NovoGrad for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, read_numbers, scale_, store


def step(
    params: TensorList,
    grads: TensorList,
    *,
    grads_emas: TensorList,
    momentum_buffers: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    grad_averaging: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    (grads_ema_numbers,) = read_numbers(grads_emas)
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if torch.is_complex(params[0]):
        params, grads, momentum_buffers = as_lists_of_pairs(params, grads, momentum_buffers)
    # squared_norm = sum(grad * grad)
    squared_norm_tensors = [
        grad.mul(grad).sum()
        for grad in grads
    ]
    (squared_norms,) = read_numbers(squared_norm_tensors)
    # grads_ema = where(grads_ema == 0, squared_norm, beta2 * grads_ema + (1 - beta2) * squared_norm)
    for grads_ema_t, grads_ema, squared_norm in zip(grads_emas, grads_ema_numbers, squared_norms, strict=True):
        store(grads_ema_t, squared_norm if grads_ema == 0 else beta2 * grads_ema + (1 - beta2) * squared_norm)
    (grads_ema_numbers,) = read_numbers(grads_emas)
    # direction = grad / sqrt(grads_ema + eps)
    directions = [
        grad.div(scalar_math.sqrt(grads_ema + eps))
        for grad, grads_ema in zip(grads, grads_ema_numbers, strict=True)
    ]
    if weight_decay > 0:
        # direction = direction + weight_decay * param
        torch._foreach_add_(directions, params, alpha=weight_decay)
    if grad_averaging:
        # direction = (1 - beta1) * direction
        scale_(directions, 1 - beta1)
    # momentum_buffer = beta1 * momentum_buffer + direction
    scale_(momentum_buffers, beta1)
    torch._foreach_add_(momentum_buffers, directions)
    # param = param - lr * momentum_buffer
    torch._foreach_add_(params, momentum_buffers, alpha=-lr)
