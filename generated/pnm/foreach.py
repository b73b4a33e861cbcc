# Generated from specs/pnm.yaml by thetac 0.1.0; do not edit.
"""PNM for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, increment, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    pos_momentums: TensorList,
    neg_momentums: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        if decoupled:
            # weight decay: param = param * (1 - lr * weight_decay)
            scale_(params, 1 - lr * weight_decay)
        else:
            # weight decay: grad = grad + weight_decay * param
            grads = torch._foreach_add(grads, params, alpha=weight_decay)
    if torch.is_complex(params[0]):
        params, grads, pos_momentums, neg_momentums = as_lists_of_pairs(
            params, grads, pos_momentums, neg_momentums
        )
    if step % 2 == 1:
        # pos_momentum = beta1 ** 2 * pos_momentum + (1 - beta1 ** 2) * grad
        scale_(pos_momentums, beta1**2)
        torch._foreach_add_(pos_momentums, grads, alpha=1 - beta1**2)
        # direction = (1 + beta2) * pos_momentum - beta2 * neg_momentum
        directions: TensorList = torch._foreach_mul(pos_momentums, 1 + beta2)
        torch._foreach_add_(directions, neg_momentums, alpha=-beta2)
    else:
        # neg_momentum = beta1 ** 2 * neg_momentum + (1 - beta1 ** 2) * grad
        scale_(neg_momentums, beta1**2)
        torch._foreach_add_(neg_momentums, grads, alpha=1 - beta1**2)
        # direction = (1 + beta2) * neg_momentum - beta2 * pos_momentum
        directions = torch._foreach_mul(neg_momentums, 1 + beta2)
        torch._foreach_add_(directions, pos_momentums, alpha=-beta2)
    noise_norm = scalar_math.sqrt(scalar_math.power(1 + beta2, 2) + scalar_math.power(beta2, 2))
    # param = param - lr / noise_norm * direction
    torch._foreach_add_(params, directions, alpha=scalar_math.divide(-lr, noise_norm))
