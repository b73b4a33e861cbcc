# Generated from specs/rmsprop_tf.yaml by thetac 0.1.0; do not edit.
"""RMSpropTF for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    square_avgs: TensorList,
    momentum_buffers: TensorList,
    grad_avgs: TensorList,
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
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        if decoupled_decay and corrected_weight_decay:
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
        elif decoupled_decay:
            # weight decay: param = param * (1 - lr * weight_decay)
            scale_(params, 1 - lr * weight_decay)
        else:
            # weight decay: grad = grad + weight_decay * param
            grads = torch._foreach_add(grads, params, alpha=weight_decay)
    if torch.is_complex(params[0]):
        params, grads, square_avgs, momentum_buffers, grad_avgs = as_lists_of_pairs(
            params, grads, square_avgs, momentum_buffers, grad_avgs
        )
    # square_avg = alpha * square_avg + (1 - alpha) * grad * grad
    scale_(square_avgs, alpha)
    torch._foreach_addcmul_(square_avgs, grads, grads, value=1 - alpha)
    # variance = square_avg
    variances: TensorList = square_avgs
    if centered:
        # grad_avg = alpha * grad_avg + (1 - alpha) * grad
        scale_(grad_avgs, alpha)
        torch._foreach_add_(grad_avgs, grads, alpha=1 - alpha)
        # variance = square_avg - grad_avg * grad_avg
        variances = torch._foreach_addcmul(square_avgs, grad_avgs, grad_avgs, value=-1)
    # avg = sqrt(variance + eps)
    avgs = torch._foreach_add(variances, eps)
    torch._foreach_sqrt_(avgs)
    if momentum > 0:
        if lr_in_momentum:
            # momentum_buffer = momentum * momentum_buffer + lr * grad / avg
            scale_(momentum_buffers, momentum)
            torch._foreach_addcdiv_(momentum_buffers, grads, avgs, value=lr)
            # param = param - momentum_buffer
            torch._foreach_sub_(params, momentum_buffers)
        else:
            # momentum_buffer = momentum * momentum_buffer + grad / avg
            scale_(momentum_buffers, momentum)
            torch._foreach_addcdiv_(momentum_buffers, grads, avgs, value=1)
            # param = param - lr * momentum_buffer
            torch._foreach_add_(params, momentum_buffers, alpha=-lr)
    else:
        # param = param - lr * grad / avg
        torch._foreach_addcdiv_(params, grads, avgs, value=-lr)
