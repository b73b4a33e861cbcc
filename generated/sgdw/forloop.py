# Generated from specs/sgdw.yaml by thetac 0.1.0; do not edit.
"""SGDW for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import as_pairs, copied, divide, power, store, where


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
    max_lr: float,
    start_lr: float,
    nesterov: bool,
    corrected_weight_decay: bool,
    max_lr_is_none: bool,
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
            if corrected_weight_decay:
                if lr != 0:
                    # weight decay: param = param * (1 - lr ** 2 / where(max_lr_is_none, where(start_lr > 0, start_lr,
                    #   lr), max_lr) * weight_decay)
                    param.mul_(
                        1
                        - scalar_math.divide(
                            scalar_math.power(lr, 2), (start_lr if start_lr > 0 else lr) if max_lr_is_none else max_lr
                        )
                        * weight_decay
                    )
            else:
                # weight decay: param = param * (1 - lr * weight_decay)
                param.mul_(1 - lr * weight_decay)
        if torch.is_complex(param):
            param, grad = as_pairs(param, grad)
            (momentum_buffer,) = as_pairs(momentum_buffer)
        # first value
        if momentum != 0:
            # first value
            if is_first_momentum_buffer:
                assert momentum_buffer is not None
                # first value: momentum_buffer = grad
                momentum_buffer.copy_(grad)
        direction = grad
        if momentum != 0:
            if not is_first_momentum_buffer:
                assert momentum_buffer is not None
                # momentum_buffer = momentum * momentum_buffer + (1 - dampening) * grad
                momentum_buffer.mul_(momentum).add_(grad, alpha=1 - dampening)
            if nesterov:
                assert momentum_buffer is not None
                # direction = grad + momentum * momentum_buffer
                direction = grad.add(momentum_buffer, alpha=momentum)
            else:
                assert momentum_buffer is not None
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
    max_lr: float,
    start_lr: float,
    nesterov: bool,
    corrected_weight_decay: bool,
    max_lr_is_none: bool,
    maximize: bool,
    capturable: bool,
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
            if corrected_weight_decay:
                if capturable:
                    param_if_so = (
                        param
                        * (
                            1
                            - divide(power(lr, 2), where(max_lr_is_none, where(start_lr > 0, start_lr, lr), max_lr))
                            * weight_decay
                        )
                    )
                    param = where(lr != 0, param_if_so, param)
                elif lr != 0:
                    # weight decay: param = param * (1 - lr ** 2 / where(max_lr_is_none, where(start_lr > 0, start_lr,
                    #   lr), max_lr) * weight_decay)
                    param = (
                        param
                        * (
                            1
                            - divide(power(lr, 2), where(max_lr_is_none, where(start_lr > 0, start_lr, lr), max_lr))
                            * weight_decay
                        )
                    )
            else:
                # weight decay
                param = param * (1 - lr * weight_decay)
        if momentum != 0:
            if is_first_momentum_buffer:
                # first value: momentum_buffer = grad
                momentum_buffer = copied(grad)
        direction = grad
        if momentum != 0:
            if not is_first_momentum_buffer:
                assert momentum_buffer is not None
                momentum_buffer = momentum * momentum_buffer + (1 - dampening) * grad
            if nesterov:
                assert momentum_buffer is not None
                direction = grad + momentum * momentum_buffer
            else:
                assert momentum_buffer is not None
                direction = momentum_buffer
        param = param - lr * direction
        store(param_out, param)
        store(momentum_buffer_out, momentum_buffer)
