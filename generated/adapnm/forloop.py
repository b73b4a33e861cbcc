# Generated from specs/adapnm.yaml by thetac 0.1.0; do not edit.
"""AdaPNM for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import as_pairs, divide, maximum, power, sqrt, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    neg_exp_avgs: Sequence[Tensor],
    max_exp_avg_sqs: Sequence[Tensor | None],
    lr: float,
    beta1: float,
    beta2: float,
    beta3: float,
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    decoupled: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, exp_avg, exp_avg_sq, neg_exp_avg, max_exp_avg_sq in zip(
        params, grads, steps, exp_avgs, exp_avg_sqs, neg_exp_avgs, max_exp_avg_sqs, strict=True
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
            param, grad, exp_avg, exp_avg_sq, neg_exp_avg = as_pairs(
                param, grad, exp_avg, exp_avg_sq, neg_exp_avg
            )
            (max_exp_avg_sq,) = as_pairs(max_exp_avg_sq)
        if step % 2 == 1:
            # exp_avg = beta1 ** 2 * exp_avg + (1 - beta1 ** 2) * grad
            exp_avg.mul_(beta1**2).add_(grad, alpha=1 - beta1**2)
            # momentum = (1 + beta3) * exp_avg - beta3 * neg_exp_avg
            momentum = exp_avg.mul(1 + beta3).add_(neg_exp_avg, alpha=-beta3)
        else:
            # neg_exp_avg = beta1 ** 2 * neg_exp_avg + (1 - beta1 ** 2) * grad
            neg_exp_avg.mul_(beta1**2).add_(grad, alpha=1 - beta1**2)
            # momentum = (1 + beta3) * neg_exp_avg - beta3 * exp_avg
            momentum = neg_exp_avg.mul(1 + beta3).add_(exp_avg, alpha=-beta3)
        noise_norm = scalar_math.sqrt(scalar_math.power(1 + beta3, 2) + scalar_math.power(beta3, 2))
        # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        second = exp_avg_sq
        if amsgrad:
            assert max_exp_avg_sq is not None
            # max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
            torch.maximum(max_exp_avg_sq, exp_avg_sq, out=max_exp_avg_sq)
            second = max_exp_avg_sq
        # denom = sqrt(second) / sqrt(1 - beta2 ** step) + eps
        denom = second.sqrt().div_(scalar_math.sqrt(1 - beta2**step)).add_(eps)
        # param = param - lr / (1 - beta1 ** step) * (1 / noise_norm * momentum) / denom
        param.addcdiv_(momentum.mul(scalar_math.divide(1, noise_norm)), denom, value=-lr / (1 - beta1**step))


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    neg_exp_avgs: Sequence[Tensor],
    max_exp_avg_sqs: Sequence[Tensor | None],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    beta3: float,
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    decoupled: bool,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, exp_avg_out, exp_avg_sq_out, neg_exp_avg_out, max_exp_avg_sq_out in zip(
        params, grads, steps, exp_avgs, exp_avg_sqs, neg_exp_avgs, max_exp_avg_sqs, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, exp_avg_out, exp_avg_sq_out, neg_exp_avg_out = as_pairs(
                param_out, grad, exp_avg_out, exp_avg_sq_out, neg_exp_avg_out
            )
            (max_exp_avg_sq_out,) = as_pairs(max_exp_avg_sq_out)
        param = param_out
        exp_avg = exp_avg_out
        exp_avg_sq = exp_avg_sq_out
        neg_exp_avg = neg_exp_avg_out
        max_exp_avg_sq = max_exp_avg_sq_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg = exp_avg_out.clone()
            exp_avg_sq = exp_avg_sq_out.clone()
            neg_exp_avg = neg_exp_avg_out.clone()
            max_exp_avg_sq = max_exp_avg_sq_out.clone() if max_exp_avg_sq_out is not None else None
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
            exp_avg_if_so = beta1**2 * exp_avg + (1 - beta1**2) * grad
            momentum_if_so = (1 + beta3) * exp_avg_if_so - beta3 * neg_exp_avg
            neg_exp_avg_if_not = beta1**2 * neg_exp_avg + (1 - beta1**2) * grad
            momentum_if_not = (1 + beta3) * neg_exp_avg_if_not - beta3 * exp_avg
            exp_avg = where(step_mod_two_equal_to_one, exp_avg_if_so, exp_avg)
            momentum = where(step_mod_two_equal_to_one, momentum_if_so, momentum_if_not)
            neg_exp_avg = where(step_mod_two_equal_to_one, neg_exp_avg, neg_exp_avg_if_not)
        elif step % 2 == 1:
            exp_avg = beta1**2 * exp_avg + (1 - beta1**2) * grad
            momentum = (1 + beta3) * exp_avg - beta3 * neg_exp_avg
        else:
            neg_exp_avg = beta1**2 * neg_exp_avg + (1 - beta1**2) * grad
            momentum = (1 + beta3) * neg_exp_avg - beta3 * exp_avg
        # noise_norm = sqrt((1 + beta3) ** 2 + beta3 ** 2)
        noise_norm = sqrt(power(1 + beta3, 2) + power(beta3, 2))
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        second = exp_avg_sq
        if amsgrad:
            assert max_exp_avg_sq is not None
            max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
            second = max_exp_avg_sq
        denom = sqrt(second) / sqrt(1 - beta2**step) + eps
        # param = param - lr / (1 - beta1 ** step) * (1 / noise_norm * momentum) / denom
        param = param - lr / (1 - beta1**step) * (divide(1, noise_norm) * momentum) / denom
        store(param_out, param)
        store(exp_avg_out, exp_avg)
        store(exp_avg_sq_out, exp_avg_sq)
        store(neg_exp_avg_out, neg_exp_avg)
        store(max_exp_avg_sq_out, max_exp_avg_sq)
