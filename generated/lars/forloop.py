# Generated from specs/lars.yaml by thetac 0.1.0; do not edit.
"""LARS for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, as_pairs, both, copied, minimum, store, where


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
    trust_coeff: float,
    eps: float,
    nesterov: bool,
    trust_clip: bool,
    always_adapt: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, momentum_buffer, is_first_momentum_buffer in zip(
        params, grads, momentum_buffers, first_momentum_buffer, strict=True
    ):
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if torch.is_complex(param):
            param, grad = as_pairs(param, grad)
            (momentum_buffer,) = as_pairs(momentum_buffer)
        direction = grad
        if weight_decay != 0 or always_adapt:
            # norm_param = norm(param)
            norm_param = param.norm().item()
            # norm_grad = norm(grad)
            norm_grad = grad.norm().item()
            trust_ratio = scalar_math.divide(trust_coeff * norm_param, norm_grad + weight_decay * norm_param + eps)
            trust_ratio = trust_ratio if norm_param > 0 and norm_grad > 0 else 1
            if trust_clip:
                trust_ratio = scalar_math.minimum(scalar_math.divide(trust_ratio, lr), 1)
            # direction = trust_ratio * (grad + weight_decay * param)
            direction = grad.add(param, alpha=weight_decay).mul_(trust_ratio)
        if momentum != 0:
            if is_first_momentum_buffer:
                assert momentum_buffer is not None
                # momentum_buffer = direction
                momentum_buffer.copy_(direction)
            else:
                assert momentum_buffer is not None
                # momentum_buffer = momentum * momentum_buffer + (1 - dampening) * direction
                momentum_buffer.mul_(momentum).add_(direction, alpha=1 - dampening)
            if nesterov:
                # direction = direction + momentum * momentum_buffer
                direction = direction.add(momentum_buffer, alpha=momentum)
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
    weight_decay: float,
    trust_coeff: float,
    eps: float,
    nesterov: bool,
    trust_clip: bool,
    always_adapt: bool,
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
        direction = grad
        if weight_decay != 0 or always_adapt:
            # norm_param = norm(param)
            norm_param = param.norm()
            # norm_grad = norm(grad)
            norm_grad = grad.norm()
            trust_ratio: Scalar = trust_coeff * norm_param / (norm_grad + weight_decay * norm_param + eps)
            # trust_ratio = where(norm_param > 0 and norm_grad > 0, trust_ratio, 1)
            trust_ratio = where(both(norm_param > 0, norm_grad > 0), trust_ratio, 1)
            if trust_clip:
                trust_ratio = minimum(trust_ratio / lr, 1)
            direction = trust_ratio * (grad + weight_decay * param)
        if momentum != 0:
            if is_first_momentum_buffer:
                # momentum_buffer = direction
                momentum_buffer = copied(direction)
            else:
                assert momentum_buffer is not None
                momentum_buffer = momentum * momentum_buffer + (1 - dampening) * direction
            if nesterov:
                direction = direction + momentum * momentum_buffer
            else:
                direction = momentum_buffer
        param = param - lr * direction
        store(param_out, param)
        store(momentum_buffer_out, momentum_buffer)
