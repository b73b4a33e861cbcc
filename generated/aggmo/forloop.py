# Generated from specs/aggmo.yaml by thetac 0.1.0; do not edit.
"""AggMo for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensors import as_pairs, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    velocity1s: Sequence[Tensor],
    velocity2s: Sequence[Tensor],
    velocity3s: Sequence[Tensor],
    lr: float,
    beta1: float,
    beta2: float,
    beta3: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, velocity1, velocity2, velocity3 in zip(
        params, grads, velocity1s, velocity2s, velocity3s, strict=True
    ):
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            # weight decay: grad = grad + weight_decay * param
            grad = grad.add(param, alpha=weight_decay)
        if torch.is_complex(param):
            param, grad, velocity1, velocity2, velocity3 = as_pairs(
                param, grad, velocity1, velocity2, velocity3
            )
        # velocity1 = beta1 * velocity1 + grad
        velocity1.mul_(beta1).add_(grad)
        # param = param - lr / 3 * velocity1
        param.add_(velocity1, alpha=-lr / 3)
        # velocity2 = beta2 * velocity2 + grad
        velocity2.mul_(beta2).add_(grad)
        # param = param - lr / 3 * velocity2
        param.add_(velocity2, alpha=-lr / 3)
        # velocity3 = beta3 * velocity3 + grad
        velocity3.mul_(beta3).add_(grad)
        # param = param - lr / 3 * velocity3
        param.add_(velocity3, alpha=-lr / 3)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    velocity1s: Sequence[Tensor],
    velocity2s: Sequence[Tensor],
    velocity3s: Sequence[Tensor],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    beta3: float,
    weight_decay: float,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, velocity1_out, velocity2_out, velocity3_out in zip(
        params, grads, velocity1s, velocity2s, velocity3s, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, velocity1_out, velocity2_out, velocity3_out = as_pairs(
                param_out, grad, velocity1_out, velocity2_out, velocity3_out
            )
        param = param_out
        velocity1 = velocity1_out
        velocity2 = velocity2_out
        velocity3 = velocity3_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            velocity1 = velocity1_out.clone()
            velocity2 = velocity2_out.clone()
            velocity3 = velocity3_out.clone()
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            # weight decay
            grad = grad + weight_decay * param
        velocity1 = beta1 * velocity1 + grad
        param = param - lr / 3 * velocity1
        velocity2 = beta2 * velocity2 + grad
        param = param - lr / 3 * velocity2
        velocity3 = beta3 * velocity3 + grad
        param = param - lr / 3 * velocity3
        store(param_out, param)
        store(velocity1_out, velocity1)
        store(velocity2_out, velocity2)
        store(velocity3_out, velocity3)
