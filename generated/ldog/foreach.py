# Generated from specs/ldog.yaml by thetac 0.1.0; do not edit.
"""LDoG for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, fitting, increment, read_numbers, store


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    init_buffers: TensorList,
    rbars: TensorList,
    Gs: TensorList,
    reps_rel: float,
    lr: float,
    weight_decay: float,
    init_eta: float,
    init_eta_is_none: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    (rbar_numbers,) = read_numbers(rbars)
    (G_numbers,) = read_numbers(Gs)
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        # weight decay: grad = grad + weight_decay * param
        grads = torch._foreach_add(grads, params, alpha=weight_decay)
    if torch.is_complex(params[0]):
        params, grads, init_buffers = as_lists_of_pairs(params, grads, init_buffers)
    init_eta_or_default = 0 if init_eta_is_none else init_eta
    # norm_param = norm(param)
    norm_param_tensors = torch._foreach_norm(params)
    (norm_params,) = read_numbers(norm_param_tensors)
    # initial = where(init_eta_or_default > 0, 0, reps_rel) * (1 + norm_param)
    initials = [
        (0 if init_eta_or_default > 0 else reps_rel) * (1 + norm_param)
        for norm_param in norm_params
    ]
    # norm_param_minus_init_buffer = norm(param - init_buffer)
    norm_param_minus_init_buffer_tensors = torch._foreach_norm(torch._foreach_sub(params, init_buffers))
    (norm_param_minus_init_buffers,) = read_numbers(norm_param_minus_init_buffer_tensors)
    # rbar = where(step == 1, initial, maximum(rbar, norm_param_minus_init_buffer))
    for rbar_t, initial, rbar, norm_param_minus_init_buffer in zip(
        rbars, initials, rbar_numbers, norm_param_minus_init_buffers, strict=True
    ):
        store(rbar_t, initial if step == 1 else scalar_math.maximum(rbar, norm_param_minus_init_buffer))
    (rbar_numbers,) = read_numbers(rbars)
    # sum_grad_squared = sum(grad * grad)
    sum_grad_squared_tensors = [
        grad.mul(grad).sum()
        for grad in grads
    ]
    (sum_grad_squareds,) = read_numbers(sum_grad_squared_tensors)
    # G = G + sum_grad_squared
    for G_t, G, sum_grad_squared in zip(Gs, G_numbers, sum_grad_squareds, strict=True):
        store(G_t, G + sum_grad_squared)
    (G_numbers,) = read_numbers(Gs)
    # eta = where(step == 1 and init_eta_or_default > 0, init_eta_or_default, lr * rbar / sqrt(G))
    etas = [
        init_eta_or_default
        if step == 1 and init_eta_or_default > 0
        else scalar_math.divide(lr * rbar, scalar_math.sqrt(G))
        for rbar, G in zip(rbar_numbers, G_numbers, strict=True)
    ]
    # param = param - eta * grad
    for param, grad, eta in zip(params, grads, etas, strict=True):
        param.add_(grad, alpha=fitting(-eta, params[0].dtype))
