# Generated from specs/rmsprop_tf.yaml by thetac 0.1.0; do not edit.
"""RMSpropTF for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import as_pairs, divide, power, sqrt, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    square_avgs: Sequence[Tensor],
    momentum_buffers: Sequence[Tensor | None],
    grad_avgs: Sequence[Tensor | None],
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    max_lr: float,
    start_lr: float,
    centered: bool,
    decoupled_decay: bool,
    corrected_weight_decay: bool,
    lr_in_momentum: bool,
    max_lr_is_none: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, square_avg, momentum_buffer, grad_avg in zip(
        params, grads, square_avgs, momentum_buffers, grad_avgs, strict=True
    ):
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            if decoupled_decay and corrected_weight_decay:
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
            elif decoupled_decay:
                # weight decay: param = param * (1 - lr * weight_decay)
                param.mul_(1 - lr * weight_decay)
            else:
                # weight decay: grad = grad + weight_decay * param
                grad = grad.add(param, alpha=weight_decay)
        if torch.is_complex(param):
            param, grad, square_avg = as_pairs(param, grad, square_avg)
            momentum_buffer, grad_avg = as_pairs(momentum_buffer, grad_avg)
        # square_avg = alpha * square_avg + (1 - alpha) * grad * grad
        square_avg.mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
        variance = square_avg
        if centered:
            assert grad_avg is not None
            # grad_avg = alpha * grad_avg + (1 - alpha) * grad
            grad_avg.mul_(alpha).add_(grad, alpha=1 - alpha)
            # variance = square_avg - grad_avg * grad_avg
            variance = square_avg.addcmul(grad_avg, grad_avg, value=-1)
        # avg = sqrt(variance + eps)
        avg = variance.add(eps).sqrt_()
        if momentum > 0:
            if lr_in_momentum:
                assert momentum_buffer is not None
                # momentum_buffer = momentum * momentum_buffer + lr * grad / avg
                momentum_buffer.mul_(momentum).addcdiv_(grad, avg, value=lr)
                # param = param - momentum_buffer
                param.sub_(momentum_buffer)
            else:
                assert momentum_buffer is not None
                # momentum_buffer = momentum * momentum_buffer + grad / avg
                momentum_buffer.mul_(momentum).addcdiv_(grad, avg, value=1)
                # param = param - lr * momentum_buffer
                param.add_(momentum_buffer, alpha=-lr)
        else:
            # param = param - lr * grad / avg
            param.addcdiv_(grad, avg, value=-lr)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    square_avgs: Sequence[Tensor],
    momentum_buffers: Sequence[Tensor | None],
    grad_avgs: Sequence[Tensor | None],
    lr: float | Tensor,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    max_lr: float,
    start_lr: float,
    centered: bool,
    decoupled_decay: bool,
    corrected_weight_decay: bool,
    lr_in_momentum: bool,
    max_lr_is_none: bool,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, square_avg_out, momentum_buffer_out, grad_avg_out in zip(
        params, grads, square_avgs, momentum_buffers, grad_avgs, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, square_avg_out = as_pairs(param_out, grad, square_avg_out)
            momentum_buffer_out, grad_avg_out = as_pairs(momentum_buffer_out, grad_avg_out)
        param = param_out
        square_avg = square_avg_out
        momentum_buffer = momentum_buffer_out
        grad_avg = grad_avg_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            square_avg = square_avg_out.clone()
            momentum_buffer = momentum_buffer_out.clone() if momentum_buffer_out is not None else None
            grad_avg = grad_avg_out.clone() if grad_avg_out is not None else None
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            if decoupled_decay and corrected_weight_decay:
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
            elif decoupled_decay:
                # weight decay
                param = param * (1 - lr * weight_decay)
            else:
                # weight decay
                grad = grad + weight_decay * param
        square_avg = alpha * square_avg + (1 - alpha) * grad * grad
        variance = square_avg
        if centered:
            assert grad_avg is not None
            grad_avg = alpha * grad_avg + (1 - alpha) * grad
            variance = square_avg - grad_avg * grad_avg
        avg = sqrt(variance + eps)
        if momentum > 0:
            if lr_in_momentum:
                assert momentum_buffer is not None
                momentum_buffer = momentum * momentum_buffer + lr * grad / avg
                param = param - momentum_buffer
            else:
                assert momentum_buffer is not None
                momentum_buffer = momentum * momentum_buffer + grad / avg
                param = param - lr * momentum_buffer
        else:
            param = param - lr * grad / avg
        store(param_out, param)
        store(square_avg_out, square_avg)
        store(momentum_buffer_out, momentum_buffer)
        store(grad_avg_out, grad_avg)
