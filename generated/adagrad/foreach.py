# Generated from specs/adagrad.yaml by thetac 0.1.0; do not edit.
"""Adagrad for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.tensors import TensorList, as_lists_of_pairs, increment


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    sums: TensorList,
    lr: float,
    lr_decay: float,
    weight_decay: float,
    eps: float,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        # weight decay: grad = grad + weight_decay * param
        grads = torch._foreach_add(grads, params, alpha=weight_decay)
    if torch.is_complex(params[0]):
        params, grads, sums = as_lists_of_pairs(params, grads, sums)
    # sum = sum + grad * grad
    torch._foreach_addcmul_(sums, grads, grads, value=1)
    # param = param - lr / (1 + (step - 1) * lr_decay) * grad / (sqrt(sum) + eps)
    roots = torch._foreach_sqrt(sums)
    torch._foreach_add_(roots, eps)
    torch._foreach_addcdiv_(params, grads, roots, value=-lr / (1 + (step - 1) * lr_decay))
