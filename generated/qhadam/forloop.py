# Generated from specs/qhadam.yaml by thetac 0.1.0; do not edit.
"""QHAdam for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, as_pairs, divide, sqrt, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    beta1_weights: Sequence[Tensor],
    beta2_weights: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    lr: float,
    beta1: float,
    beta2: float,
    nu1: float,
    nu2: float,
    weight_decay: float,
    eps: float,
    decouple_weight_decay: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, beta1_weight_t, beta2_weight_t, exp_avg, exp_avg_sq in zip(
        params, grads, beta1_weights, beta2_weights, exp_avgs, exp_avg_sqs, strict=True
    ):
        beta1_weight = beta1_weight_t.item()
        beta2_weight = beta2_weight_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            if decouple_weight_decay:
                # weight decay: param = param * (1 - lr * weight_decay)
                param.mul_(1 - lr * weight_decay)
            else:
                # weight decay: grad = grad + weight_decay * param
                grad = grad.add(param, alpha=weight_decay)
        if torch.is_complex(param):
            param, grad, exp_avg, exp_avg_sq = as_pairs(param, grad, exp_avg, exp_avg_sq)
        # beta1_weight = 1 + beta1 * beta1_weight
        store(beta1_weight_t, 1 + beta1 * beta1_weight)
        beta1_weight = beta1_weight_t.item()
        # beta2_weight = 1 + beta2 * beta2_weight
        store(beta2_weight_t, 1 + beta2 * beta2_weight)
        beta2_weight = beta2_weight_t.item()
        # square = grad * grad
        square = grad.mul(grad)
        # exp_avg = (1 - 1 / beta1_weight) * exp_avg + 1 / beta1_weight * grad
        exp_avg.mul_(1 - scalar_math.divide(1, beta1_weight)).add_(grad, alpha=scalar_math.divide(1, beta1_weight))
        # exp_avg_sq = (1 - 1 / beta2_weight) * exp_avg_sq + 1 / beta2_weight * square
        exp_avg_sq.mul_(1 - scalar_math.divide(1, beta2_weight)).add_(square, alpha=scalar_math.divide(1, beta2_weight))
        # avg_grad = nu1 * exp_avg + (1 - nu1) * grad
        avg_grad = exp_avg.mul(nu1).add_(grad, alpha=1 - nu1)
        # avg_grad_rms = sqrt(nu2 * exp_avg_sq + (1 - nu2) * square) + eps
        avg_grad_rms = exp_avg_sq.mul(nu2).add_(square, alpha=1 - nu2).sqrt_().add_(eps)
        # param = param - lr * avg_grad / avg_grad_rms
        param.addcdiv_(avg_grad, avg_grad_rms, value=-lr)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    beta1_weights: Sequence[Tensor],
    beta2_weights: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    nu1: float,
    nu2: float,
    weight_decay: float,
    eps: float,
    decouple_weight_decay: bool,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, beta1_weight_out, beta2_weight_out, exp_avg_out, exp_avg_sq_out in zip(
        params, grads, beta1_weights, beta2_weights, exp_avgs, exp_avg_sqs, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, exp_avg_out, exp_avg_sq_out = as_pairs(
                param_out, grad, exp_avg_out, exp_avg_sq_out
            )
        param = param_out
        exp_avg = exp_avg_out
        exp_avg_sq = exp_avg_sq_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg = exp_avg_out.clone()
            exp_avg_sq = exp_avg_sq_out.clone()
        beta1_weight: Scalar = beta1_weight_out.clone() if differentiable else beta1_weight_out
        beta2_weight: Scalar = beta2_weight_out.clone() if differentiable else beta2_weight_out
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            if decouple_weight_decay:
                # weight decay
                param = param * (1 - lr * weight_decay)
            else:
                # weight decay
                grad = grad + weight_decay * param
        beta1_weight = 1 + beta1 * beta1_weight
        beta2_weight = 1 + beta2 * beta2_weight
        square = grad * grad
        # exp_avg = (1 - 1 / beta1_weight) * exp_avg + 1 / beta1_weight * grad
        exp_avg = (1 - divide(1, beta1_weight)) * exp_avg + divide(1, beta1_weight) * grad
        # exp_avg_sq = (1 - 1 / beta2_weight) * exp_avg_sq + 1 / beta2_weight * square
        exp_avg_sq = (1 - divide(1, beta2_weight)) * exp_avg_sq + divide(1, beta2_weight) * square
        avg_grad = nu1 * exp_avg + (1 - nu1) * grad
        avg_grad_rms = sqrt(nu2 * exp_avg_sq + (1 - nu2) * square) + eps
        param = param - lr * avg_grad / avg_grad_rms
        store(param_out, param)
        store(beta1_weight_out, beta1_weight)
        store(beta2_weight_out, beta2_weight)
        store(exp_avg_out, exp_avg)
        store(exp_avg_sq_out, exp_avg_sq)
