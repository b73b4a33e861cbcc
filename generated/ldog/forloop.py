# Generated from specs/ldog.yaml by thetac 0.1.0; do not edit.
"""LDoG for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, as_pairs, both, fitting, maximum, sqrt, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    init_buffers: Sequence[Tensor],
    rbars: Sequence[Tensor],
    Gs: Sequence[Tensor],
    reps_rel: float,
    lr: float,
    weight_decay: float,
    init_eta: float,
    init_eta_is_none: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, init_buffer, rbar_t, G_t in zip(
        params, grads, steps, init_buffers, rbars, Gs, strict=True
    ):
        step_t += 1
        step = step_t.item()
        rbar = rbar_t.item()
        G = G_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            # weight decay: grad = grad + weight_decay * param
            grad = grad.add(param, alpha=weight_decay)
        if torch.is_complex(param):
            param, grad, init_buffer = as_pairs(param, grad, init_buffer)
        init_eta_or_default = 0 if init_eta_is_none else init_eta
        # norm_param = norm(param)
        norm_param = param.norm().item()
        initial = (0 if init_eta_or_default > 0 else reps_rel) * (1 + norm_param)
        # norm_param_minus_init_buffer = norm(param - init_buffer)
        norm_param_minus_init_buffer = param.sub(init_buffer).norm().item()
        # rbar = where(step == 1, initial, maximum(rbar, norm_param_minus_init_buffer))
        store(rbar_t, initial if step == 1 else scalar_math.maximum(rbar, norm_param_minus_init_buffer))
        rbar = rbar_t.item()
        # sum_grad_squared = sum(grad * grad)
        sum_grad_squared = grad.mul(grad).sum().item()
        # G = G + sum_grad_squared
        store(G_t, G + sum_grad_squared)
        G = G_t.item()
        eta = (
            init_eta_or_default
            if step == 1 and init_eta_or_default > 0
            else scalar_math.divide(lr * rbar, scalar_math.sqrt(G))
        )
        # param = param - eta * grad
        param.add_(grad, alpha=fitting(-eta, param.dtype))


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    init_buffers: Sequence[Tensor],
    rbars: Sequence[Tensor],
    Gs: Sequence[Tensor],
    reps_rel: float,
    lr: float | Tensor,
    weight_decay: float,
    init_eta: float,
    init_eta_is_none: bool,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, init_buffer_out, rbar_out, G_out in zip(
        params, grads, steps, init_buffers, rbars, Gs, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, init_buffer_out = as_pairs(param_out, grad, init_buffer_out)
        param = param_out
        init_buffer = init_buffer_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            init_buffer = init_buffer_out.clone()
        step_t += 1
        step = step_t if capturable else step_t.item()
        rbar: Scalar = rbar_out.clone() if differentiable else rbar_out
        G: Scalar = G_out.clone() if differentiable else G_out
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            # weight decay
            grad = grad + weight_decay * param
        # what None stands for
        init_eta_or_default = where(init_eta_is_none, 0, init_eta)
        # norm_param = norm(param)
        norm_param = param.norm()
        initial = where(init_eta_or_default > 0, 0, reps_rel) * (1 + norm_param)
        # norm_param_minus_init_buffer = norm(param - init_buffer)
        norm_param_minus_init_buffer = (param - init_buffer).norm()
        rbar = where(step == 1, initial, maximum(rbar, norm_param_minus_init_buffer))
        # sum_grad_squared = sum(grad * grad)
        sum_grad_squared = (grad * grad).sum()
        G = G + sum_grad_squared
        # eta = where(step == 1 and init_eta_or_default > 0, init_eta_or_default, lr * rbar / sqrt(G))
        eta = where(both(step == 1, init_eta_or_default > 0), init_eta_or_default, lr * rbar / sqrt(G))
        param = param - eta * grad
        store(param_out, param)
        store(rbar_out, rbar)
        store(G_out, G)
