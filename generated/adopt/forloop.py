# Generated from specs/adopt.yaml by thetac 0.1.0; do not edit.
"""ADOPT for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import as_pairs, fitting, maximum, minimum, power, sqrt, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    clip_exponent: float,
    decouple: bool,
    clip: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, exp_avg, exp_avg_sq in zip(params, grads, steps, exp_avgs, exp_avg_sqs, strict=True):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            if not decouple:
                # weight decay: grad = grad + weight_decay * param
                grad = grad.add(param, alpha=weight_decay)
        if torch.is_complex(param):
            param, grad, exp_avg, exp_avg_sq = as_pairs(param, grad, exp_avg, exp_avg_sq)
        if step == 1:
            # exp_avg_sq = grad * grad
            exp_avg_sq.copy_(grad.mul(grad))
        else:
            if decouple and weight_decay != 0:
                # param = param - lr * weight_decay * param
                param.add_(param, alpha=-lr * weight_decay)
            # normed_grad = grad / maximum(sqrt(exp_avg_sq), eps)
            normed_grad = grad.div(exp_avg_sq.sqrt().clamp_(min=eps))
            if clip:
                bound = scalar_math.power(step - 1, clip_exponent)
                # normed_grad = clamp(normed_grad, -bound, bound)
                normed_grad.clamp_(fitting(-bound, param.dtype), fitting(bound, param.dtype))
            # exp_avg = lerp(exp_avg, normed_grad, 1 - beta1)
            exp_avg.lerp_(normed_grad, 1 - beta1)
            # param = param - lr * exp_avg
            param.add_(exp_avg, alpha=-lr)
            # for the next step: exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
            exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    clip_exponent: float,
    decouple: bool,
    clip: bool,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, exp_avg_out, exp_avg_sq_out in zip(
        params, grads, steps, exp_avgs, exp_avg_sqs, strict=True
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
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            if not decouple:
                # weight decay
                grad = grad + weight_decay * param
        if capturable:
            step_equal_to_one = step == 1
            exp_avg_sq_if_so = grad * grad
            param_if_not = param
            if decouple and weight_decay != 0:
                param_if_not = param_if_not - lr * weight_decay * param_if_not
            normed_grad_if_not = grad / maximum(sqrt(exp_avg_sq), eps)
            if clip:
                bound_if_not = power(step - 1, clip_exponent)
                normed_grad_if_not = minimum(maximum(normed_grad_if_not, -bound_if_not), bound_if_not)
            exp_avg_if_not = exp_avg + (1 - beta1) * (normed_grad_if_not - exp_avg)
            param_if_not = param_if_not - lr * exp_avg_if_not
            exp_avg_sq_if_not = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
            exp_avg_sq = where(step_equal_to_one, exp_avg_sq_if_so, exp_avg_sq_if_not)
            param = where(step_equal_to_one, param, param_if_not)
            exp_avg = where(step_equal_to_one, exp_avg, exp_avg_if_not)
        elif step == 1:
            exp_avg_sq = grad * grad
        else:
            if decouple and weight_decay != 0:
                param = param - lr * weight_decay * param
            normed_grad = grad / maximum(sqrt(exp_avg_sq), eps)
            if clip:
                # bound = (step - 1) ** clip_exponent
                bound = power(step - 1, clip_exponent)
                # normed_grad = clamp(normed_grad, -bound, bound)
                normed_grad = minimum(maximum(normed_grad, -bound), bound)
            # exp_avg = lerp(exp_avg, normed_grad, 1 - beta1)
            exp_avg = exp_avg + (1 - beta1) * (normed_grad - exp_avg)
            param = param - lr * exp_avg
            # for the next step
            exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        store(param_out, param)
        store(exp_avg_out, exp_avg)
        store(exp_avg_sq_out, exp_avg_sq)
