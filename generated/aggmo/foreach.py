# Generated from specs/aggmo.yaml by thetac 0.1.0; do not edit.
"""AggMo for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.tensors import TensorList, as_lists_of_pairs, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    velocity1s: TensorList,
    velocity2s: TensorList,
    velocity3s: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    beta3: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        # weight decay: grad = grad + weight_decay * param
        grads = torch._foreach_add(grads, params, alpha=weight_decay)
    if torch.is_complex(params[0]):
        params, grads, velocity1s, velocity2s, velocity3s = as_lists_of_pairs(
            params, grads, velocity1s, velocity2s, velocity3s
        )
    # velocity1 = beta1 * velocity1 + grad
    scale_(velocity1s, beta1)
    torch._foreach_add_(velocity1s, grads)
    # param = param - lr / 3 * velocity1
    torch._foreach_add_(params, velocity1s, alpha=-lr / 3)
    # velocity2 = beta2 * velocity2 + grad
    scale_(velocity2s, beta2)
    torch._foreach_add_(velocity2s, grads)
    # param = param - lr / 3 * velocity2
    torch._foreach_add_(params, velocity2s, alpha=-lr / 3)
    # velocity3 = beta3 * velocity3 + grad
    scale_(velocity3s, beta3)
    torch._foreach_add_(velocity3s, grads)
    # param = param - lr / 3 * velocity3
    torch._foreach_add_(params, velocity3s, alpha=-lr / 3)
