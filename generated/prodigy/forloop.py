# Generated from specs/prodigy.yaml by thetac 0.1.0; do not edit.
"""Prodigy for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, as_pairs, divide, fitting, maximum, minimum, power, sqrt, store, where
from thetac.runtime.totals import Waiting, WaitingOnTensors, together, total


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    exp_avgs: Sequence[Tensor | None],
    exp_avg_sqs: Sequence[Tensor],
    ses: Sequence[Tensor],
    p0s: Sequence[Tensor],
    lr: float,
    beta1: float,
    beta2: float,
    beta3: float,
    eps: float,
    weight_decay: float,
    d0: float,
    d_coef: float,
    growth_rate: float,
    d: float,
    d_max: float,
    d_numerator: float,
    k: float,
    decouple: bool,
    use_bias_correction: bool,
    safeguard_warmup: bool,
    beta3_is_none: bool,
    maximize: bool,
) -> Waiting:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    return together(
        [
            _step_of_one(
                param,
                grad,
                exp_avg,
                exp_avg_sq,
                s,
                p0,
                lr=lr,
                beta1=beta1,
                beta2=beta2,
                beta3=beta3,
                eps=eps,
                weight_decay=weight_decay,
                d0=d0,
                d_coef=d_coef,
                growth_rate=growth_rate,
                d=d,
                d_max=d_max,
                d_numerator=d_numerator,
                k=k,
                decouple=decouple,
                use_bias_correction=use_bias_correction,
                safeguard_warmup=safeguard_warmup,
                beta3_is_none=beta3_is_none,
                maximize=maximize,
            )
            for param, grad, exp_avg, exp_avg_sq, s, p0 in zip(
                params, grads, exp_avgs, exp_avg_sqs, ses, p0s, strict=True
            )
        ]
    )


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    exp_avgs: Sequence[Tensor | None],
    exp_avg_sqs: Sequence[Tensor],
    ses: Sequence[Tensor],
    p0s: Sequence[Tensor],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    beta3: float,
    eps: float,
    weight_decay: float,
    d0: float,
    d_coef: float,
    growth_rate: float,
    d: Scalar,
    d_max: Scalar,
    d_numerator: Scalar,
    k: Scalar,
    decouple: bool,
    use_bias_correction: bool,
    safeguard_warmup: bool,
    beta3_is_none: bool,
    maximize: bool,
    differentiable: bool,
) -> WaitingOnTensors:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    return together(
        [
            _step_of_one_on_tensors(
                param_out,
                grad,
                exp_avg_out,
                exp_avg_sq_out,
                s_out,
                p0_out,
                lr=lr,
                beta1=beta1,
                beta2=beta2,
                beta3=beta3,
                eps=eps,
                weight_decay=weight_decay,
                d0=d0,
                d_coef=d_coef,
                growth_rate=growth_rate,
                d=d,
                d_max=d_max,
                d_numerator=d_numerator,
                k=k,
                decouple=decouple,
                use_bias_correction=use_bias_correction,
                safeguard_warmup=safeguard_warmup,
                beta3_is_none=beta3_is_none,
                maximize=maximize,
                differentiable=differentiable,
            )
            for param_out, grad, exp_avg_out, exp_avg_sq_out, s_out, p0_out in zip(
                params, grads, exp_avgs, exp_avg_sqs, ses, p0s, strict=True
            )
        ]
    )


def _step_of_one(
    param: Tensor,
    grad: Tensor,
    exp_avg: Tensor | None,
    exp_avg_sq: Tensor,
    s: Tensor,
    p0: Tensor,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    beta3: float,
    eps: float,
    weight_decay: float,
    d0: float,
    d_coef: float,
    growth_rate: float,
    d: float,
    d_max: float,
    d_numerator: float,
    k: float,
    decouple: bool,
    use_bias_correction: bool,
    safeguard_warmup: bool,
    beta3_is_none: bool,
    maximize: bool,
) -> Waiting:
    """The step of one parameter, which waits for the others at each total."""
    if maximize:
        # maximize: grad = -grad
        grad = grad.neg()
    if torch.is_complex(param):
        param, grad, exp_avg_sq, s, p0 = as_pairs(param, grad, exp_avg_sq, s, p0)
        (exp_avg,) = as_pairs(exp_avg)
    beta3_or_default = scalar_math.sqrt(beta2) if beta3_is_none else beta3
    t = k + 1
    direction = grad
    if weight_decay != 0 and not decouple:
        # direction = grad + weight_decay * param
        direction = grad.add(param, alpha=weight_decay)
    rate = d * lr
    if use_bias_correction:
        rate = scalar_math.divide(
            rate * scalar_math.sqrt(1 - scalar_math.power(beta2, t)), 1 - scalar_math.power(beta1, t)
        )
    gain = d / d0 * rate
    if safeguard_warmup:
        gain = d / d0 * d
    # sum_direction_times_p0_minus_param = sum(direction * (p0 - param))
    sum_direction_times_p0_minus_param = direction.mul(p0.sub(param)).sum().item()
    numerator_term = d / d0 * rate * sum_direction_times_p0_minus_param
    del grad
    # total_numerator_term = total(numerator_term)
    total_numerator_term = yield total(numerator_term)
    numerator = beta3_or_default * d_numerator + total_numerator_term
    if beta1 > 0:
        assert exp_avg is not None
        # exp_avg = beta1 * exp_avg + d * (1 - beta1) * direction
        exp_avg.mul_(beta1).add_(direction, alpha=fitting(d * (1 - beta1), param.dtype))
    # exp_avg_sq = beta2 * exp_avg_sq + d * d * (1 - beta2) * direction * direction
    exp_avg_sq.mul_(beta2).addcmul_(direction, direction, value=fitting(d * d * (1 - beta2), param.dtype))
    # s = beta3_or_default * s + gain * direction
    s.mul_(beta3_or_default).add_(direction, alpha=fitting(gain, param.dtype))
    # sum_abs_s = sum(abs(s))
    sum_abs_s = s.abs().sum().item()
    # denominator = total(sum_abs_s)
    denominator = yield total(sum_abs_s)
    # no gradient so far: nothing moves, and nothing is learnt
    still = denominator == 0
    d_numerator = d_numerator if still else numerator
    estimate = d if still else scalar_math.divide(d_coef * numerator, denominator)
    start = scalar_math.maximum(d, estimate) if d == d0 else d
    d_max = scalar_math.maximum(d_max, estimate)
    d = d if still else scalar_math.minimum(d_max, start * growth_rate)
    k = k if still else t
    if weight_decay != 0 and decouple:
        # param = param - where(still, 0, weight_decay * rate) * param
        param.add_(param, alpha=fitting(-(0 if still else weight_decay * rate), param.dtype))
    # root = sqrt(exp_avg_sq) + d * eps
    root = exp_avg_sq.sqrt().add_(d * eps)
    if beta1 > 0:
        assert exp_avg is not None
        # param = param - rate * exp_avg / root
        param.addcdiv_(exp_avg, root, value=fitting(-rate, param.dtype))
    else:
        # param = param - rate * d * direction / root
        param.addcdiv_(direction, root, value=fitting(-rate * d, param.dtype))
    return {"d": d, "d_max": d_max, "d_numerator": d_numerator, "k": k}


def _step_of_one_on_tensors(
    param_out: Tensor,
    grad: Tensor,
    exp_avg_out: Tensor | None,
    exp_avg_sq_out: Tensor,
    s_out: Tensor,
    p0_out: Tensor,
    *,
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    beta3: float,
    eps: float,
    weight_decay: float,
    d0: float,
    d_coef: float,
    growth_rate: float,
    d: Scalar,
    d_max: Scalar,
    d_numerator: Scalar,
    k: Scalar,
    decouple: bool,
    use_bias_correction: bool,
    safeguard_warmup: bool,
    beta3_is_none: bool,
    maximize: bool,
    differentiable: bool,
) -> WaitingOnTensors:
    """The step of one parameter, which waits for the others at each total."""
    if torch.is_complex(param_out):
        param_out, grad, exp_avg_sq_out, s_out, p0_out = as_pairs(
            param_out, grad, exp_avg_sq_out, s_out, p0_out
        )
        (exp_avg_out,) = as_pairs(exp_avg_out)
    param = param_out
    exp_avg = exp_avg_out
    exp_avg_sq = exp_avg_sq_out
    s = s_out
    p0 = p0_out
    if differentiable:  # autograd may keep these; what is stored at the end must not change them
        param = param_out.clone()
        exp_avg = exp_avg_out.clone() if exp_avg_out is not None else None
        exp_avg_sq = exp_avg_sq_out.clone()
        s = s_out.clone()
        p0 = p0_out.clone()
    if maximize:
        # maximize
        grad = -grad
    # what None stands for
    beta3_or_default = where(beta3_is_none, sqrt(beta2), beta3)
    t = k + 1
    direction = grad
    if weight_decay != 0 and not decouple:
        direction = grad + weight_decay * param
    rate: Scalar = d * lr
    if use_bias_correction:
        # rate = rate * sqrt(1 - beta2 ** t) / (1 - beta1 ** t)
        rate = divide(rate * sqrt(1 - power(beta2, t)), 1 - power(beta1, t))
    gain: Scalar = d / d0 * rate
    if safeguard_warmup:
        gain = d / d0 * d
    # sum_direction_times_p0_minus_param = sum(direction * (p0 - param))
    sum_direction_times_p0_minus_param = (direction * (p0 - param)).sum()
    numerator_term = d / d0 * rate * sum_direction_times_p0_minus_param
    del grad, p0
    # total_numerator_term = total(numerator_term)
    total_numerator_term = yield total(numerator_term)
    numerator = beta3_or_default * d_numerator + total_numerator_term
    if beta1 > 0:
        assert exp_avg is not None
        exp_avg = beta1 * exp_avg + d * (1 - beta1) * direction
    exp_avg_sq = beta2 * exp_avg_sq + d * d * (1 - beta2) * direction * direction
    s = beta3_or_default * s + gain * direction
    # sum_abs_s = sum(abs(s))
    sum_abs_s = abs(s).sum()
    # denominator = total(sum_abs_s)
    denominator = yield total(sum_abs_s)
    # no gradient so far: nothing moves, and nothing is learnt
    still = denominator == 0
    d_numerator = where(still, d_numerator, numerator)
    # estimate = where(still, d, d_coef * numerator / denominator)
    estimate = where(still, d, divide(d_coef * numerator, denominator))
    start = where(d == d0, maximum(d, estimate), d)
    d_max = maximum(d_max, estimate)
    d = where(still, d, minimum(d_max, start * growth_rate))
    k = where(still, k, t)
    if weight_decay != 0 and decouple:
        param = param - where(still, 0, weight_decay * rate) * param
    root = sqrt(exp_avg_sq) + d * eps
    if beta1 > 0:
        assert exp_avg is not None
        param = param - rate * exp_avg / root
    else:
        param = param - rate * d * direction / root
    store(param_out, param)
    store(exp_avg_out, exp_avg)
    store(exp_avg_sq_out, exp_avg_sq)
    store(s_out, s)
    return {"d": d, "d_max": d_max, "d_numerator": d_numerator, "k": k}
