# Generated from specs/textbook/adam_no_bias_correction.yaml by thetac 0.1.0; do not edit.
"""AdamNoBiasCorrection for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.tensors import TensorList, as_lists_of_pairs, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    ms: TensorList,
    vs: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if torch.is_complex(params[0]):
        params, grads, ms, vs = as_lists_of_pairs(params, grads, ms, vs)
    # m = beta1 * m + (1 - beta1) * grad
    scale_(ms, beta1)
    torch._foreach_add_(ms, grads, alpha=1 - beta1)
    # v = beta2 * v + (1 - beta2) * (grad * grad)
    scale_(vs, beta2)
    torch._foreach_add_(vs, torch._foreach_mul(grads, grads), alpha=1 - beta2)
    # param = param - lr * m / (sqrt(v) + eps)
    roots = torch._foreach_sqrt(vs)
    torch._foreach_add_(roots, eps)
    torch._foreach_addcdiv_(params, ms, roots, value=-lr)
