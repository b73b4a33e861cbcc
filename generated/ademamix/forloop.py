# Generated from specs/ademamix.yaml by thetac 0.1.0; do not edit.
"""AdEMAMix for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, as_pairs, divide, fitting, log, power, sqrt, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avg_fasts: Sequence[Tensor | None],
    exp_avg_slows: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    lr: float,
    beta1: float,
    beta2: float,
    beta3: float,
    alpha: float,
    beta3_warmup: float,
    alpha_warmup: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, exp_avg_fast, exp_avg_slow, exp_avg_sq in zip(
        params, grads, steps, exp_avg_fasts, exp_avg_slows, exp_avg_sqs, strict=True
    ):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            # weight decay: param = param * (1 - lr * weight_decay)
            param.mul_(1 - lr * weight_decay)
        if torch.is_complex(param):
            param, grad, exp_avg_slow, exp_avg_sq = as_pairs(param, grad, exp_avg_slow, exp_avg_sq)
            (exp_avg_fast,) = as_pairs(exp_avg_fast)
        slow_weight = alpha
        if step < alpha_warmup:
            slow_weight = scalar_math.divide(step, alpha_warmup) * alpha
        slow_decay = beta3
        if step < beta3_warmup:
            half_life_begin = scalar_math.divide(scalar_math.log(0.5), scalar_math.log(beta1 + 1e-08)) - 1
            half_life_end = scalar_math.divide(scalar_math.log(0.5), scalar_math.log(beta3 + 1e-08)) - 1
            half_life = (
                (1 - scalar_math.divide(step, beta3_warmup)) * half_life_begin
                + scalar_math.divide(step, beta3_warmup) * half_life_end
            )
            slow_decay = scalar_math.power(0.5, scalar_math.divide(1, half_life + 1))
        fast = grad
        if beta1 != 0:
            assert exp_avg_fast is not None
            # exp_avg_fast = beta1 * exp_avg_fast + (1 - beta1) * grad
            exp_avg_fast.mul_(beta1).add_(grad, alpha=1 - beta1)
            fast = exp_avg_fast
        # exp_avg_slow = slow_decay * exp_avg_slow + (1 - slow_decay) * grad
        exp_avg_slow.mul_(slow_decay).add_(grad, alpha=fitting(1 - slow_decay, param.dtype))
        # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        # denom = sqrt(exp_avg_sq) / sqrt(1 - beta2 ** step) + eps
        denom = exp_avg_sq.sqrt().div_(scalar_math.sqrt(1 - beta2**step)).add_(eps)
        # mix = fast / (1 - beta1 ** step) + slow_weight * exp_avg_slow
        mix = fast.div(1 - beta1**step).add_(exp_avg_slow, alpha=fitting(slow_weight, param.dtype))
        # param = param - lr * mix / denom
        param.addcdiv_(mix, denom, value=-lr)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avg_fasts: Sequence[Tensor | None],
    exp_avg_slows: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    beta3: float,
    alpha: float,
    beta3_warmup: float,
    alpha_warmup: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, exp_avg_fast_out, exp_avg_slow_out, exp_avg_sq_out in zip(
        params, grads, steps, exp_avg_fasts, exp_avg_slows, exp_avg_sqs, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, exp_avg_slow_out, exp_avg_sq_out = as_pairs(
                param_out, grad, exp_avg_slow_out, exp_avg_sq_out
            )
            (exp_avg_fast_out,) = as_pairs(exp_avg_fast_out)
        param = param_out
        exp_avg_fast = exp_avg_fast_out
        exp_avg_slow = exp_avg_slow_out
        exp_avg_sq = exp_avg_sq_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg_fast = exp_avg_fast_out.clone() if exp_avg_fast_out is not None else None
            exp_avg_slow = exp_avg_slow_out.clone()
            exp_avg_sq = exp_avg_sq_out.clone()
        step_t += 1
        step = step_t if capturable else step_t.item()
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            # weight decay
            param = param * (1 - lr * weight_decay)
        slow_weight: Scalar = alpha
        if capturable:
            slow_weight_if_so = divide(step, alpha_warmup) * alpha
            slow_weight = where(step < alpha_warmup, slow_weight_if_so, slow_weight)
        elif step < alpha_warmup:
            # slow_weight = step / alpha_warmup * alpha
            slow_weight = divide(step, alpha_warmup) * alpha
        slow_decay: Scalar = beta3
        if capturable:
            half_life_begin_if_so = divide(log(0.5), log(beta1 + 1e-08)) - 1
            half_life_end_if_so = divide(log(0.5), log(beta3 + 1e-08)) - 1
            half_life_if_so = (
                (1 - divide(step, beta3_warmup)) * half_life_begin_if_so
                + divide(step, beta3_warmup) * half_life_end_if_so
            )
            slow_decay_if_so = power(0.5, divide(1, half_life_if_so + 1))
            slow_decay = where(step < beta3_warmup, slow_decay_if_so, slow_decay)
        elif step < beta3_warmup:
            # half_life_begin = log(0.5) / log(beta1 + 1e-08) - 1
            half_life_begin = divide(log(0.5), log(beta1 + 1e-08)) - 1
            # half_life_end = log(0.5) / log(beta3 + 1e-08) - 1
            half_life_end = divide(log(0.5), log(beta3 + 1e-08)) - 1
            # half_life = (1 - step / beta3_warmup) * half_life_begin + step / beta3_warmup * half_life_end
            half_life = (1 - divide(step, beta3_warmup)) * half_life_begin + divide(step, beta3_warmup) * half_life_end
            # slow_decay = 0.5 ** (1 / (half_life + 1))
            slow_decay = power(0.5, divide(1, half_life + 1))
        fast = grad
        if beta1 != 0:
            assert exp_avg_fast is not None
            exp_avg_fast = beta1 * exp_avg_fast + (1 - beta1) * grad
            fast = exp_avg_fast
        exp_avg_slow = slow_decay * exp_avg_slow + (1 - slow_decay) * grad
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        denom = sqrt(exp_avg_sq) / sqrt(1 - beta2**step) + eps
        mix = fast / (1 - beta1**step) + slow_weight * exp_avg_slow
        param = param - lr * mix / denom
        store(param_out, param)
        store(exp_avg_fast_out, exp_avg_fast)
        store(exp_avg_slow_out, exp_avg_slow)
        store(exp_avg_sq_out, exp_avg_sq)
