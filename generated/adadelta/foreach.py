# Generated from specs/adadelta.yaml by thetac 0.1.0; do not edit.
"""Adadelta for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.tensors import TensorList, as_lists_of_pairs, increment, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    square_avgs: TensorList,
    acc_deltas: TensorList,
    lr: float,
    rho: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        # weight decay: grad = grad + weight_decay * param
        grads = torch._foreach_add(grads, params, alpha=weight_decay)
    if torch.is_complex(params[0]):
        grads, square_avgs, acc_deltas = as_lists_of_pairs(grads, square_avgs, acc_deltas)
    # mean squared gradient: square_avg = rho * square_avg + (1 - rho) * grad * grad
    scale_(square_avgs, rho)
    torch._foreach_addcmul_(square_avgs, grads, grads, value=1 - rho)
    # delta = sqrt(acc_delta + eps) / sqrt(square_avg + eps) * grad
    deltas: TensorList = torch._foreach_add(acc_deltas, eps)
    torch._foreach_sqrt_(deltas)
    sums = torch._foreach_add(square_avgs, eps)
    torch._foreach_sqrt_(sums)
    torch._foreach_div_(deltas, sums)
    torch._foreach_mul_(deltas, grads)
    # mean squared update: acc_delta = rho * acc_delta + (1 - rho) * delta * delta
    scale_(acc_deltas, rho)
    torch._foreach_addcmul_(acc_deltas, deltas, deltas, value=1 - rho)
    if torch.is_complex(params[0]):
        deltas = [torch.view_as_complex(delta) for delta in deltas]
    # param = param - lr * delta
    torch._foreach_add_(params, deltas, alpha=-lr)
