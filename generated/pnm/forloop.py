# Generated from specs/pnm.yaml by thetac 0.1.0; do not edit.
"""PNM for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import as_pairs, divide, power, sqrt, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    pos_momentums: Sequence[Tensor],
    neg_momentums: Sequence[Tensor],
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, pos_momentum, neg_momentum in zip(
        params, grads, steps, pos_momentums, neg_momentums, strict=True
    ):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            if decoupled:
                # weight decay: param = param * (1 - lr * weight_decay)
                param.mul_(1 - lr * weight_decay)
            else:
                # weight decay: grad = grad + weight_decay * param
                grad = grad.add(param, alpha=weight_decay)
        if torch.is_complex(param):
            param, grad, pos_momentum, neg_momentum = as_pairs(param, grad, pos_momentum, neg_momentum)
        if step % 2 == 1:
            # pos_momentum = beta1 ** 2 * pos_momentum + (1 - beta1 ** 2) * grad
            pos_momentum.mul_(beta1**2).add_(grad, alpha=1 - beta1**2)
            # direction = (1 + beta2) * pos_momentum - beta2 * neg_momentum
            direction = pos_momentum.mul(1 + beta2).add_(neg_momentum, alpha=-beta2)
        else:
            # neg_momentum = beta1 ** 2 * neg_momentum + (1 - beta1 ** 2) * grad
            neg_momentum.mul_(beta1**2).add_(grad, alpha=1 - beta1**2)
            # direction = (1 + beta2) * neg_momentum - beta2 * pos_momentum
            direction = neg_momentum.mul(1 + beta2).add_(pos_momentum, alpha=-beta2)
        noise_norm = scalar_math.sqrt(scalar_math.power(1 + beta2, 2) + scalar_math.power(beta2, 2))
        # param = param - lr / noise_norm * direction
        param.add_(direction, alpha=scalar_math.divide(-lr, noise_norm))


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    pos_momentums: Sequence[Tensor],
    neg_momentums: Sequence[Tensor],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, pos_momentum_out, neg_momentum_out in zip(
        params, grads, steps, pos_momentums, neg_momentums, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, pos_momentum_out, neg_momentum_out = as_pairs(
                param_out, grad, pos_momentum_out, neg_momentum_out
            )
        param = param_out
        pos_momentum = pos_momentum_out
        neg_momentum = neg_momentum_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            pos_momentum = pos_momentum_out.clone()
            neg_momentum = neg_momentum_out.clone()
        step_t += 1
        step = step_t if capturable else step_t.item()
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            if decoupled:
                # weight decay
                param = param * (1 - lr * weight_decay)
            else:
                # weight decay
                grad = grad + weight_decay * param
        if capturable:
            step_mod_two_equal_to_one = step % 2 == 1
            pos_momentum_if_so = beta1**2 * pos_momentum + (1 - beta1**2) * grad
            direction_if_so = (1 + beta2) * pos_momentum_if_so - beta2 * neg_momentum
            neg_momentum_if_not = beta1**2 * neg_momentum + (1 - beta1**2) * grad
            direction_if_not = (1 + beta2) * neg_momentum_if_not - beta2 * pos_momentum
            pos_momentum = where(step_mod_two_equal_to_one, pos_momentum_if_so, pos_momentum)
            direction = where(step_mod_two_equal_to_one, direction_if_so, direction_if_not)
            neg_momentum = where(step_mod_two_equal_to_one, neg_momentum, neg_momentum_if_not)
        elif step % 2 == 1:
            pos_momentum = beta1**2 * pos_momentum + (1 - beta1**2) * grad
            direction = (1 + beta2) * pos_momentum - beta2 * neg_momentum
        else:
            neg_momentum = beta1**2 * neg_momentum + (1 - beta1**2) * grad
            direction = (1 + beta2) * neg_momentum - beta2 * pos_momentum
        # noise_norm = sqrt((1 + beta2) ** 2 + beta2 ** 2)
        noise_norm = sqrt(power(1 + beta2, 2) + power(beta2, 2))
        # param = param - lr / noise_norm * direction
        param = param - divide(lr, noise_norm) * direction
        store(param_out, param)
        store(pos_momentum_out, pos_momentum)
        store(neg_momentum_out, neg_momentum)
