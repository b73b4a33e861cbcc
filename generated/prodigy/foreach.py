# Generated from specs/prodigy.yaml by thetac 0.1.0; do not edit.
"""Prodigy for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, fitting, read_numbers, scale_
from thetac.runtime.totals import Waiting, total


def step(
    params: TensorList,
    grads: TensorList,
    *,
    exp_avgs: TensorList,
    exp_avg_sqs: TensorList,
    ses: TensorList,
    p0s: TensorList,
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
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if torch.is_complex(params[0]):
        params, grads, exp_avgs, exp_avg_sqs, ses, p0s = as_lists_of_pairs(
            params, grads, exp_avgs, exp_avg_sqs, ses, p0s
        )
    beta3_or_default = scalar_math.sqrt(beta2) if beta3_is_none else beta3
    t = k + 1
    # direction = grad
    directions: TensorList = grads
    if weight_decay != 0 and not decouple:
        # direction = grad + weight_decay * param
        directions = torch._foreach_add(grads, params, alpha=weight_decay)
    rate = d * lr
    if use_bias_correction:
        rate = scalar_math.divide(
            rate * scalar_math.sqrt(1 - scalar_math.power(beta2, t)), 1 - scalar_math.power(beta1, t)
        )
    gain = d / d0 * rate
    if safeguard_warmup:
        gain = d / d0 * d
    # sum_direction_times_p0_minus_param = sum(direction * (p0 - param))
    sum_direction_times_p0_minus_param_tensors = [
        direction.mul(p0.sub(param)).sum()
        for direction, p0, param in zip(directions, p0s, params, strict=True)
    ]
    (sum_direction_times_p0_minus_params,) = read_numbers(
        sum_direction_times_p0_minus_param_tensors
    )
    # numerator_term = d / d0 * rate * sum_direction_times_p0_minus_param
    numerator_terms = [
        d / d0 * rate * sum_direction_times_p0_minus_param
        for sum_direction_times_p0_minus_param in sum_direction_times_p0_minus_params
    ]
    del grads
    # total_numerator_term = total(numerator_term)
    total_numerator_term = yield total(*numerator_terms)
    numerator = beta3_or_default * d_numerator + total_numerator_term
    if beta1 > 0:
        # exp_avg = beta1 * exp_avg + d * (1 - beta1) * direction
        scale_(exp_avgs, beta1)
        torch._foreach_add_(exp_avgs, directions, alpha=fitting(d * (1 - beta1), params[0].dtype))
    # exp_avg_sq = beta2 * exp_avg_sq + d * d * (1 - beta2) * direction * direction
    scale_(exp_avg_sqs, beta2)
    torch._foreach_addcmul_(exp_avg_sqs, directions, directions, value=fitting(d * d * (1 - beta2), params[0].dtype))
    # s = beta3_or_default * s + gain * direction
    scale_(ses, beta3_or_default)
    torch._foreach_add_(ses, directions, alpha=fitting(gain, params[0].dtype))
    # sum_abs_s = sum(abs(s))
    sum_abs_s_tensors = [
        s.abs().sum()
        for s in ses
    ]
    (sum_abs_ses,) = read_numbers(sum_abs_s_tensors)
    # denominator = total(sum_abs_s)
    denominator = yield total(*sum_abs_ses)
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
        torch._foreach_add_(params, params, alpha=fitting(-(0 if still else weight_decay * rate), params[0].dtype))
    # root = sqrt(exp_avg_sq) + d * eps
    roots = torch._foreach_sqrt(exp_avg_sqs)
    torch._foreach_add_(roots, d * eps)
    if beta1 > 0:
        # param = param - rate * exp_avg / root
        torch._foreach_addcdiv_(params, exp_avgs, roots, value=fitting(-rate, params[0].dtype))
    else:
        # param = param - rate * d * direction / root
        torch._foreach_addcdiv_(params, directions, roots, value=fitting(-rate * d, params[0].dtype))
    return {"d": d, "d_max": d_max, "d_numerator": d_numerator, "k": k}
