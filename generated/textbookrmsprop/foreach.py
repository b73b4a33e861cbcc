# Generated from specs/textbook/rmsprop.yaml by thetac 0.1.0; do not edit.
"""TextbookRMSprop for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.tensors import TensorList, as_lists_of_pairs, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    caches: TensorList,
    lr: float,
    decay_rate: float,
    eps: float,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if torch.is_complex(params[0]):
        params, grads, caches = as_lists_of_pairs(params, grads, caches)
    # cache = decay_rate * cache + (1 - decay_rate) * (grad * grad)
    scale_(caches, decay_rate)
    torch._foreach_add_(caches, torch._foreach_mul(grads, grads), alpha=1 - decay_rate)
    # param = param - lr * grad / (sqrt(cache) + eps)
    roots = torch._foreach_sqrt(caches)
    torch._foreach_add_(roots, eps)
    torch._foreach_addcdiv_(params, grads, roots, value=-lr)
