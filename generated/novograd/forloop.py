# Generated from specs/novograd.yaml by thetac 0.1.0; do not edit.
"""NovoGrad for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, as_pairs, sqrt, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    grads_emas: Sequence[Tensor],
    momentum_buffers: Sequence[Tensor],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    grad_averaging: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, grads_ema_t, momentum_buffer in zip(
        params, grads, grads_emas, momentum_buffers, strict=True
    ):
        grads_ema = grads_ema_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if torch.is_complex(param):
            param, grad, momentum_buffer = as_pairs(param, grad, momentum_buffer)
        # squared_norm = sum(grad * grad)
        squared_norm = grad.mul(grad).sum().item()
        # grads_ema = where(grads_ema == 0, squared_norm, beta2 * grads_ema + (1 - beta2) * squared_norm)
        store(grads_ema_t, squared_norm if grads_ema == 0 else beta2 * grads_ema + (1 - beta2) * squared_norm)
        grads_ema = grads_ema_t.item()
        # direction = grad / sqrt(grads_ema + eps)
        direction = grad.div(scalar_math.sqrt(grads_ema + eps))
        if weight_decay > 0:
            # direction = direction + weight_decay * param
            direction.add_(param, alpha=weight_decay)
        if grad_averaging:
            # direction = (1 - beta1) * direction
            direction.mul_(1 - beta1)
        # momentum_buffer = beta1 * momentum_buffer + direction
        momentum_buffer.mul_(beta1).add_(direction)
        # param = param - lr * momentum_buffer
        param.add_(momentum_buffer, alpha=-lr)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    grads_emas: Sequence[Tensor],
    momentum_buffers: Sequence[Tensor],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    grad_averaging: bool,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, grads_ema_out, momentum_buffer_out in zip(
        params, grads, grads_emas, momentum_buffers, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, momentum_buffer_out = as_pairs(param_out, grad, momentum_buffer_out)
        param = param_out
        momentum_buffer = momentum_buffer_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            momentum_buffer = momentum_buffer_out.clone()
        grads_ema: Scalar = grads_ema_out.clone() if differentiable else grads_ema_out
        if maximize:
            # maximize
            grad = -grad
        # squared_norm = sum(grad * grad)
        squared_norm = (grad * grad).sum()
        grads_ema = where(grads_ema == 0, squared_norm, beta2 * grads_ema + (1 - beta2) * squared_norm)
        direction = grad / sqrt(grads_ema + eps)
        if weight_decay > 0:
            direction = direction + weight_decay * param
        if grad_averaging:
            direction = (1 - beta1) * direction
        momentum_buffer = beta1 * momentum_buffer + direction
        param = param - lr * momentum_buffer
        store(param_out, param)
        store(grads_ema_out, grads_ema)
        store(momentum_buffer_out, momentum_buffer)
