# Generated from specs/laprop.yaml by thetac 0.1.0; do not edit.
"""LaProp for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import (
    Scalar, as_pairs, both, divide, either, fitting, maximum, negation, sqrt, store, where
)


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_lr_1s: Sequence[Tensor],
    exp_avg_lr_2s: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    exp_mean_avg_beta2s: Sequence[Tensor | None],
    max_exp_avg_sqs: Sequence[Tensor | None],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    centered: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for (
        param,
        grad,
        step_t,
        exp_avg,
        exp_avg_lr_1_t,
        exp_avg_lr_2_t,
        exp_avg_sq,
        exp_mean_avg_beta2,
        max_exp_avg_sq,
    ) in zip(
        params,
        grads,
        steps,
        exp_avgs,
        exp_avg_lr_1s,
        exp_avg_lr_2s,
        exp_avg_sqs,
        exp_mean_avg_beta2s,
        max_exp_avg_sqs,
        strict=True,
    ):
        step_t += 1
        step = step_t.item()
        exp_avg_lr_1 = exp_avg_lr_1_t.item()
        exp_avg_lr_2 = exp_avg_lr_2_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if torch.is_complex(param):
            param, grad, exp_avg, exp_avg_sq = as_pairs(param, grad, exp_avg, exp_avg_sq)
            exp_mean_avg_beta2, max_exp_avg_sq = as_pairs(exp_mean_avg_beta2, max_exp_avg_sq)
        # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        # exp_avg_lr_1 = exp_avg_lr_1 * beta1 + (1 - beta1) * lr
        store(exp_avg_lr_1_t, exp_avg_lr_1 * beta1 + (1 - beta1) * lr)
        exp_avg_lr_1 = exp_avg_lr_1_t.item()
        # exp_avg_lr_2 = exp_avg_lr_2 * beta2 + (1 - beta2)
        store(exp_avg_lr_2_t, exp_avg_lr_2 * beta2 + (1 - beta2))
        exp_avg_lr_2 = exp_avg_lr_2_t.item()
        bias_correction1 = 1.0
        if lr != 0:
            bias_correction1 = scalar_math.divide(exp_avg_lr_1, lr)
        second = exp_avg_sq
        if centered:
            assert exp_mean_avg_beta2 is not None
            # exp_mean_avg_beta2 = beta2 * exp_mean_avg_beta2 + (1 - beta2) * grad
            exp_mean_avg_beta2.mul_(beta2).add_(grad, alpha=1 - beta2)
            if step > 10:
                # second = exp_avg_sq - exp_mean_avg_beta2 * exp_mean_avg_beta2
                second = exp_avg_sq.addcmul(exp_mean_avg_beta2, exp_mean_avg_beta2, value=-1)
        if amsgrad:
            if not centered or step > 10:
                assert max_exp_avg_sq is not None
                # max_exp_avg_sq = maximum(max_exp_avg_sq, second)
                torch.maximum(max_exp_avg_sq, second, out=max_exp_avg_sq)
                second = max_exp_avg_sq
        # denom = sqrt(second / exp_avg_lr_2) + eps
        denom = second.div(exp_avg_lr_2).sqrt_().add_(eps)
        # the mean of the steps: exp_avg = beta1 * exp_avg + (1 - beta1) * lr * (grad / denom)
        exp_avg.mul_(beta1).add_(grad.div(denom), alpha=(1 - beta1) * lr)
        # param = param - 1 / bias_correction1 * exp_avg
        param.add_(exp_avg, alpha=fitting(scalar_math.divide(-1, bias_correction1), param.dtype))
        if weight_decay != 0 and lr != 0:
            # param = param - weight_decay * param
            param.add_(param, alpha=-weight_decay)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_lr_1s: Sequence[Tensor],
    exp_avg_lr_2s: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    exp_mean_avg_beta2s: Sequence[Tensor | None],
    max_exp_avg_sqs: Sequence[Tensor | None],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    centered: bool,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for (
        param_out,
        grad,
        step_t,
        exp_avg_out,
        exp_avg_lr_1_out,
        exp_avg_lr_2_out,
        exp_avg_sq_out,
        exp_mean_avg_beta2_out,
        max_exp_avg_sq_out,
    ) in zip(
        params,
        grads,
        steps,
        exp_avgs,
        exp_avg_lr_1s,
        exp_avg_lr_2s,
        exp_avg_sqs,
        exp_mean_avg_beta2s,
        max_exp_avg_sqs,
        strict=True,
    ):
        if torch.is_complex(param_out):
            param_out, grad, exp_avg_out, exp_avg_sq_out = as_pairs(
                param_out, grad, exp_avg_out, exp_avg_sq_out
            )
            exp_mean_avg_beta2_out, max_exp_avg_sq_out = as_pairs(
                exp_mean_avg_beta2_out, max_exp_avg_sq_out
            )
        param = param_out
        exp_avg = exp_avg_out
        exp_avg_sq = exp_avg_sq_out
        exp_mean_avg_beta2 = exp_mean_avg_beta2_out
        max_exp_avg_sq = max_exp_avg_sq_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg = exp_avg_out.clone()
            exp_avg_sq = exp_avg_sq_out.clone()
            exp_mean_avg_beta2 = exp_mean_avg_beta2_out.clone() if exp_mean_avg_beta2_out is not None else None
            max_exp_avg_sq = max_exp_avg_sq_out.clone() if max_exp_avg_sq_out is not None else None
        step_t += 1
        step = step_t if capturable else step_t.item()
        exp_avg_lr_1: Scalar = exp_avg_lr_1_out.clone() if differentiable else exp_avg_lr_1_out
        exp_avg_lr_2: Scalar = exp_avg_lr_2_out.clone() if differentiable else exp_avg_lr_2_out
        if maximize:
            # maximize
            grad = -grad
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        exp_avg_lr_1 = exp_avg_lr_1 * beta1 + (1 - beta1) * lr
        exp_avg_lr_2 = exp_avg_lr_2 * beta2 + (1 - beta2)
        bias_correction1: Scalar = 1.0
        if capturable:
            bias_correction1_if_so = divide(exp_avg_lr_1, lr)
            bias_correction1 = where(lr != 0, bias_correction1_if_so, bias_correction1)
        elif lr != 0:
            # bias_correction1 = exp_avg_lr_1 / lr
            bias_correction1 = divide(exp_avg_lr_1, lr)
        second = exp_avg_sq
        if centered:
            assert exp_mean_avg_beta2 is not None
            exp_mean_avg_beta2 = beta2 * exp_mean_avg_beta2 + (1 - beta2) * grad
            if capturable:
                second_if_so = exp_avg_sq - exp_mean_avg_beta2 * exp_mean_avg_beta2
                second = where(step > 10, second_if_so, second)
            elif step > 10:
                second = exp_avg_sq - exp_mean_avg_beta2 * exp_mean_avg_beta2
        if amsgrad:
            if capturable:
                not_centered_or_step_above_ten = either(negation(centered), step > 10)
                assert max_exp_avg_sq is not None
                max_exp_avg_sq_if_so = maximum(max_exp_avg_sq, second)
                second_if_so = max_exp_avg_sq_if_so
                if amsgrad:
                    max_exp_avg_sq = where(not_centered_or_step_above_ten, max_exp_avg_sq_if_so, max_exp_avg_sq)
                second = where(not_centered_or_step_above_ten, second_if_so, second)
            elif either(negation(centered), step > 10):
                assert max_exp_avg_sq is not None
                max_exp_avg_sq = maximum(max_exp_avg_sq, second)
                second = max_exp_avg_sq
        denom = sqrt(second / exp_avg_lr_2) + eps
        # the mean of the steps
        exp_avg = beta1 * exp_avg + (1 - beta1) * lr * (grad / denom)
        # param = param - 1 / bias_correction1 * exp_avg
        param = param - divide(1, bias_correction1) * exp_avg
        if capturable:
            param_if_so = param - weight_decay * param
            param = where(both(weight_decay != 0, lr != 0), param_if_so, param)
        elif both(weight_decay != 0, lr != 0):
            param = param - weight_decay * param
        store(param_out, param)
        store(exp_avg_out, exp_avg)
        store(exp_avg_lr_1_out, exp_avg_lr_1)
        store(exp_avg_lr_2_out, exp_avg_lr_2)
        store(exp_avg_sq_out, exp_avg_sq)
        store(exp_mean_avg_beta2_out, exp_mean_avg_beta2)
        store(max_exp_avg_sq_out, max_exp_avg_sq)
