# Generated from specs/asgd.yaml by thetac 0.1.0; do not edit.
"""ASGD for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, fitting, increment, scale_, store


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    etas: TensorList,
    mus: TensorList,
    axs: TensorList,
    lr: float,
    lambd: float,
    alpha: float,
    t0: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    eta = etas[0].item()
    mu = mus[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if torch.is_complex(params[0]):
        params, grads, axs = as_lists_of_pairs(params, grads, axs)
    if weight_decay != 0:
        # weight decay: grad = grad + weight_decay * param
        grads = torch._foreach_add(grads, params, alpha=weight_decay)
    # param = param * (1 - lambd * eta)
    scale_(params, 1 - lambd * eta)
    # param = param - eta * grad
    torch._foreach_add_(params, grads, alpha=fitting(-eta, params[0].dtype))
    if mu != 1:
        # running average: ax = ax + (param - ax) * mu
        differences = torch._foreach_sub(params, axs)
        scale_(differences, mu)
        torch._foreach_add_(axs, differences)
    else:
        # ax = param
        torch._foreach_copy_(axs, params)
    # eta = lr / (1 + lambd * lr * step) ** alpha
    new_eta = scalar_math.divide(lr, scalar_math.power(1 + lambd * lr * step, alpha))
    for eta_t in etas:
        store(eta_t, new_eta)
    # mu = 1 / maximum(1, step - t0)
    new_mu = 1 / scalar_math.maximum(1, step - t0)
    for mu_t in mus:
        store(mu_t, new_mu)
