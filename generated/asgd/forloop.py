# Generated from specs/asgd.yaml by thetac 0.1.0; do not edit.
"""ASGD for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, as_pairs, copied, divide, fitting, maximum, power, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    etas: Sequence[Tensor],
    mus: Sequence[Tensor],
    axs: Sequence[Tensor],
    lr: float,
    lambd: float,
    alpha: float,
    t0: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, eta_t, mu_t, ax in zip(params, grads, steps, etas, mus, axs, strict=True):
        step_t += 1
        step = step_t.item()
        eta = eta_t.item()
        mu = mu_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if torch.is_complex(param):
            param, grad, ax = as_pairs(param, grad, ax)
        if weight_decay != 0:
            # weight decay: grad = grad + weight_decay * param
            grad = grad.add(param, alpha=weight_decay)
        # param = param * (1 - lambd * eta)
        param.mul_(1 - lambd * eta)
        # param = param - eta * grad
        param.add_(grad, alpha=fitting(-eta, param.dtype))
        if mu != 1:
            # running average: ax = ax + (param - ax) * mu
            ax.add_(param.sub(ax).mul_(mu))
        else:
            # ax = param
            ax.copy_(param)
        # eta = lr / (1 + lambd * lr * step) ** alpha
        store(eta_t, scalar_math.divide(lr, scalar_math.power(1 + lambd * lr * step, alpha)))
        # mu = 1 / maximum(1, step - t0)
        store(mu_t, 1 / scalar_math.maximum(1, step - t0))


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    etas: Sequence[Tensor],
    mus: Sequence[Tensor],
    axs: Sequence[Tensor],
    lr: float | Tensor,
    lambd: float,
    alpha: float,
    t0: float,
    weight_decay: float,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, eta_out, mu_out, ax_out in zip(
        params, grads, steps, etas, mus, axs, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, ax_out = as_pairs(param_out, grad, ax_out)
        param = param_out
        ax = ax_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            ax = ax_out.clone()
        step_t += 1
        step = step_t if capturable else step_t.item()
        eta: Scalar = eta_out.clone() if differentiable else eta_out
        mu: Scalar = mu_out.clone() if differentiable else mu_out
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            # weight decay
            grad = grad + weight_decay * param
        param = param * (1 - lambd * eta)
        param = param - eta * grad
        if capturable:
            ax_if_so = ax + (param - ax) * mu
            ax_if_not = copied(param)
            ax = where(mu != 1, ax_if_so, ax_if_not)
        elif mu != 1:
            # running average
            ax = ax + (param - ax) * mu
        else:
            # ax = param
            ax = copied(param)
        # eta = lr / (1 + lambd * lr * step) ** alpha
        eta = divide(lr, power(1 + lambd * lr * step, alpha))
        mu = 1 / maximum(1, step - t0)
        store(param_out, param)
        store(eta_out, eta)
        store(mu_out, mu)
        store(ax_out, ax)
