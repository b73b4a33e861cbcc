# Generated from specs/textbook/gradient_descent.yaml by thetac 0.1.0; do not edit.
"""GradientDescent for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.tensors import TensorList, as_lists_of_pairs


def step(
    params: TensorList,
    grads: TensorList,
    *,
    lr: float,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if torch.is_complex(params[0]):
        params, grads = as_lists_of_pairs(params, grads)
    # param = param - lr * grad
    torch._foreach_add_(params, grads, alpha=-lr)
