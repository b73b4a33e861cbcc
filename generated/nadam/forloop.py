# Generated from specs/nadam.yaml by thetac 0.1.0; do not edit.
"""NAdam for one parameter after the other, in plain torch operations: the readable reference."""

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
    steps: Sequence[Tensor],
    mu_products: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    momentum_decay: float,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, mu_product_t, exp_avg, exp_avg_sq in zip(
        params, grads, steps, mu_products, exp_avgs, exp_avg_sqs, strict=True
    ):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if torch.is_complex(param):
            param, grad, exp_avg, exp_avg_sq = as_pairs(param, grad, exp_avg, exp_avg_sq)
        if weight_decay != 0:
            if decoupled_weight_decay:
                # weight decay: param = param * (1 - lr * weight_decay)
                param.mul_(1 - lr * weight_decay)
            else:
                # weight decay: grad = grad + weight_decay * param
                grad = grad.add(param, alpha=weight_decay)
        # momentum of this step
        mu = beta1 * (1 - 0.5 * 0.96 ** (step * momentum_decay))
        # and of the next
        mu_next = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * momentum_decay))
        # mu_product = mu_product * mu
        mu_product_t.mul_(mu)
        mu_product = mu_product_t.item()
        # first moment: exp_avg = lerp(exp_avg, grad, 1 - beta1)
        exp_avg.lerp_(grad, 1 - beta1)
        # second moment: exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        # denom = sqrt(exp_avg_sq / (1 - beta2 ** step)) + eps
        denom = exp_avg_sq.div(1 - beta2**step).sqrt_().add_(eps)
        # param = param - lr * (1 - mu) / (1 - mu_product) * grad / denom
        param.addcdiv_(grad, denom, value=scalar_math.divide(-lr * (1 - mu), 1 - mu_product))
        # param = param - lr * mu_next / (1 - mu_product * mu_next) * exp_avg / denom
        param.addcdiv_(exp_avg, denom, value=scalar_math.divide(-lr * mu_next, 1 - mu_product * mu_next))


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    mu_products: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    momentum_decay: float,
    decoupled_weight_decay: bool,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, mu_product_out, exp_avg_out, exp_avg_sq_out in zip(
        params, grads, steps, mu_products, exp_avgs, exp_avg_sqs, strict=True
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
        step_t += 1
        step = step_t if capturable else step_t.item()
        mu_product: Scalar = mu_product_out.clone() if differentiable else mu_product_out
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            if decoupled_weight_decay:
                # weight decay
                param = param * (1 - lr * weight_decay)
            else:
                # weight decay
                grad = grad + weight_decay * param
        # momentum of this step
        mu = beta1 * (1 - 0.5 * 0.96 ** (step * momentum_decay))
        # and of the next
        mu_next = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * momentum_decay))
        mu_product = mu_product * mu
        # first moment: exp_avg = lerp(exp_avg, grad, 1 - beta1)
        exp_avg = exp_avg + (1 - beta1) * (grad - exp_avg)
        # second moment
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        denom = sqrt(exp_avg_sq / (1 - beta2**step)) + eps
        # param = param - lr * (1 - mu) / (1 - mu_product) * grad / denom
        param = param - divide(lr * (1 - mu), 1 - mu_product) * grad / denom
        # param = param - lr * mu_next / (1 - mu_product * mu_next) * exp_avg / denom
        param = param - divide(lr * mu_next, 1 - mu_product * mu_next) * exp_avg / denom
        store(param_out, param)
        store(mu_product_out, mu_product)
        store(exp_avg_out, exp_avg)
        store(exp_avg_sq_out, exp_avg_sq)
