# Generated from specs/adan.yaml by thetac 0.1.0; do not edit.
"""Adan for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import as_pairs, copied, sqrt, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_diffs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    pre_grads: Sequence[Tensor],
    first_pre_grad: Sequence[bool],
    lr: float,
    beta1: float,
    beta2: float,
    beta3: float,
    eps: float,
    weight_decay: float,
    no_prox: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, exp_avg, exp_avg_diff, exp_avg_sq, pre_grad, is_first_pre_grad in zip(
        params, grads, steps, exp_avgs, exp_avg_diffs, exp_avg_sqs, pre_grads, first_pre_grad, strict=True
    ):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            if no_prox:
                # weight decay: param = param * (1 - lr * weight_decay)
                param.mul_(1 - lr * weight_decay)
        if torch.is_complex(param):
            param, grad, exp_avg, exp_avg_diff, exp_avg_sq, pre_grad = as_pairs(
                param, grad, exp_avg, exp_avg_diff, exp_avg_sq, pre_grad
            )
        # first value
        if is_first_pre_grad:
            # first value: pre_grad = grad
            pre_grad.copy_(grad)
        # change = grad - pre_grad
        change = grad.sub(pre_grad)
        # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg.mul_(beta1).add_(grad, alpha=1 - beta1)
        # exp_avg_diff = beta2 * exp_avg_diff + (1 - beta2) * change
        exp_avg_diff.mul_(beta2).add_(change, alpha=1 - beta2)
        # the gradient at the look-ahead point: ahead = grad + beta2 * change
        ahead = grad.add(change, alpha=beta2)
        # exp_avg_sq = beta3 * exp_avg_sq + (1 - beta3) * ahead * ahead
        exp_avg_sq.mul_(beta3).addcmul_(ahead, ahead, value=1 - beta3)
        # denom = sqrt(exp_avg_sq) / sqrt(1 - beta3 ** step) + eps
        denom = exp_avg_sq.sqrt().div_(scalar_math.sqrt(1 - beta3**step)).add_(eps)
        # param = param - lr / (1 - beta1 ** step) * exp_avg / denom
        param.addcdiv_(exp_avg, denom, value=-lr / (1 - beta1**step))
        # param = param - lr * beta2 / (1 - beta2 ** step) * exp_avg_diff / denom
        param.addcdiv_(exp_avg_diff, denom, value=-lr * beta2 / (1 - beta2**step))
        if weight_decay != 0 and not no_prox:
            # proximal decay: param = param / (1 + lr * weight_decay)
            param.div_(1 + lr * weight_decay)
        # pre_grad = grad
        pre_grad.copy_(grad)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_diffs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    pre_grads: Sequence[Tensor],
    first_pre_grad: Sequence[bool],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    beta3: float,
    eps: float,
    weight_decay: float,
    no_prox: bool,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, exp_avg_out, exp_avg_diff_out, exp_avg_sq_out, pre_grad_out, is_first_pre_grad in zip(
        params, grads, steps, exp_avgs, exp_avg_diffs, exp_avg_sqs, pre_grads, first_pre_grad, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, exp_avg_out, exp_avg_diff_out, exp_avg_sq_out, pre_grad_out = as_pairs(
                param_out, grad, exp_avg_out, exp_avg_diff_out, exp_avg_sq_out, pre_grad_out
            )
        param = param_out
        exp_avg = exp_avg_out
        exp_avg_diff = exp_avg_diff_out
        exp_avg_sq = exp_avg_sq_out
        pre_grad = pre_grad_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg = exp_avg_out.clone()
            exp_avg_diff = exp_avg_diff_out.clone()
            exp_avg_sq = exp_avg_sq_out.clone()
            pre_grad = pre_grad_out.clone()
        step_t += 1
        step = step_t if capturable else step_t.item()
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            if no_prox:
                # weight decay
                param = param * (1 - lr * weight_decay)
        if is_first_pre_grad:
            # first value: pre_grad = grad
            pre_grad = copied(grad)
        change = grad - pre_grad
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg_diff = beta2 * exp_avg_diff + (1 - beta2) * change
        # the gradient at the look-ahead point
        ahead = grad + beta2 * change
        exp_avg_sq = beta3 * exp_avg_sq + (1 - beta3) * ahead * ahead
        denom = sqrt(exp_avg_sq) / sqrt(1 - beta3**step) + eps
        param = param - lr / (1 - beta1**step) * exp_avg / denom
        param = param - lr * beta2 / (1 - beta2**step) * exp_avg_diff / denom
        if weight_decay != 0 and not no_prox:
            # proximal decay
            param = param / (1 + lr * weight_decay)
        # pre_grad = grad
        pre_grad = copied(grad)
        store(param_out, param)
        store(exp_avg_out, exp_avg)
        store(exp_avg_diff_out, exp_avg_diff)
        store(exp_avg_sq_out, exp_avg_sq)
        store(pre_grad_out, pre_grad)
