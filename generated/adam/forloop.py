# Generated from specs/adam.yaml by thetac 0.1.0; do not edit.
"""Adam for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensors import as_pairs, maximum, sqrt, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    max_exp_avg_sqs: Sequence[Tensor | None],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, exp_avg, exp_avg_sq, max_exp_avg_sq in zip(
        params, grads, steps, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, strict=True
    ):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            if decoupled_weight_decay:
                # weight decay: param = param * (1 - lr * weight_decay)
                param.mul_(1 - lr * weight_decay)
            else:
                # weight decay: grad = grad + weight_decay * param
                grad = grad.add(param, alpha=weight_decay)
        if torch.is_complex(param):
            param, grad, exp_avg, exp_avg_sq = as_pairs(param, grad, exp_avg, exp_avg_sq)
            (max_exp_avg_sq,) = as_pairs(max_exp_avg_sq)
        # first moment: exp_avg = lerp(exp_avg, grad, 1 - beta1)
        exp_avg.lerp_(grad, 1 - beta1)
        # second moment: exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        second_moment = exp_avg_sq
        if amsgrad:
            assert max_exp_avg_sq is not None
            # max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
            torch.maximum(max_exp_avg_sq, exp_avg_sq, out=max_exp_avg_sq)
            second_moment = max_exp_avg_sq
        # denom = sqrt(second_moment) / (1 - beta2 ** step) ** 0.5 + eps
        denom = second_moment.sqrt().div_((1 - beta2**step) ** 0.5).add_(eps)
        # param = param - lr / (1 - beta1 ** step) * exp_avg / denom
        param.addcdiv_(exp_avg, denom, value=-lr / (1 - beta1**step))


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    max_exp_avg_sqs: Sequence[Tensor | None],
    lr: float | Tensor,
    beta1: float | Tensor,
    beta2: float | Tensor,
    eps: float,
    weight_decay: float | Tensor,
    amsgrad: bool,
    decoupled_weight_decay: bool,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, exp_avg_out, exp_avg_sq_out, max_exp_avg_sq_out in zip(
        params, grads, steps, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, exp_avg_out, exp_avg_sq_out = as_pairs(
                param_out, grad, exp_avg_out, exp_avg_sq_out
            )
            (max_exp_avg_sq_out,) = as_pairs(max_exp_avg_sq_out)
        param = param_out
        exp_avg = exp_avg_out
        exp_avg_sq = exp_avg_sq_out
        max_exp_avg_sq = max_exp_avg_sq_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg = exp_avg_out.clone()
            exp_avg_sq = exp_avg_sq_out.clone()
            max_exp_avg_sq = max_exp_avg_sq_out.clone() if max_exp_avg_sq_out is not None else None
        step_t += 1
        step = step_t if capturable else step_t.item()
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
        # first moment: exp_avg = lerp(exp_avg, grad, 1 - beta1)
        exp_avg = exp_avg + (1 - beta1) * (grad - exp_avg)
        # second moment
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        second_moment = exp_avg_sq
        if amsgrad:
            assert max_exp_avg_sq is not None
            max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
            second_moment = max_exp_avg_sq
        denom = sqrt(second_moment) / (1 - beta2**step) ** 0.5 + eps
        param = param - lr / (1 - beta1**step) * exp_avg / denom
        store(param_out, param)
        store(exp_avg_out, exp_avg)
        store(exp_avg_sq_out, exp_avg_sq)
        store(max_exp_avg_sq_out, max_exp_avg_sq)
