# Generated from specs/dadapt_adam.yaml by thetac 0.1.0; do not edit.
"""DAdaptAdam for one parameter after the other, in plain torch operations: the readable reference."""

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
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    ses: Sequence[Tensor],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    growth_rate: float,
    layer_scale: float,
    d: float,
    numerator_weighted: float,
    k: float,
    decouple: bool,
    use_bias_correction: bool,
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
                lr=lr,
                beta1=beta1,
                beta2=beta2,
                eps=eps,
                weight_decay=weight_decay,
                growth_rate=growth_rate,
                layer_scale=layer_scale,
                d=d,
                numerator_weighted=numerator_weighted,
                k=k,
                decouple=decouple,
                use_bias_correction=use_bias_correction,
                maximize=maximize,
            )
            for param, grad, exp_avg, exp_avg_sq, s in zip(params, grads, exp_avgs, exp_avg_sqs, ses, strict=True)
        ]
    )


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    ses: Sequence[Tensor],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    growth_rate: float,
    layer_scale: float,
    d: Scalar,
    numerator_weighted: Scalar,
    k: Scalar,
    decouple: bool,
    use_bias_correction: bool,
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
                lr=lr,
                beta1=beta1,
                beta2=beta2,
                eps=eps,
                weight_decay=weight_decay,
                growth_rate=growth_rate,
                layer_scale=layer_scale,
                d=d,
                numerator_weighted=numerator_weighted,
                k=k,
                decouple=decouple,
                use_bias_correction=use_bias_correction,
                maximize=maximize,
                differentiable=differentiable,
            )
            for param_out, grad, exp_avg_out, exp_avg_sq_out, s_out in zip(
                params, grads, exp_avgs, exp_avg_sqs, ses, strict=True
            )
        ]
    )


def _step_of_one(
    param: Tensor,
    grad: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    s: Tensor,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    growth_rate: float,
    layer_scale: float,
    d: float,
    numerator_weighted: float,
    k: float,
    decouple: bool,
    use_bias_correction: bool,
    maximize: bool,
) -> Waiting:
    """The step of one parameter, which waits for the others at each total."""
    if maximize:
        # maximize: grad = -grad
        grad = grad.neg()
    if torch.is_complex(param):
        param, grad, exp_avg, exp_avg_sq, s = as_pairs(param, grad, exp_avg, exp_avg_sq, s)
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
    root = scalar_math.sqrt(beta2)
    # gain_term_part = sum(direction * (s / (sqrt(exp_avg_sq) + eps)))
    gain_term_part = direction.mul(s.div(exp_avg_sq.sqrt().add(eps))).sum().item()
    gain_term = layer_scale * rate * gain_term_part
    del grad
    # gain = total(gain_term)
    gain = yield total(gain_term)
    # exp_avg = beta1 * exp_avg + layer_scale * rate * (1 - beta1) * direction
    exp_avg.mul_(beta1).add_(direction, alpha=fitting(layer_scale * rate * (1 - beta1), param.dtype))
    # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * direction * direction
    exp_avg_sq.mul_(beta2).addcmul_(direction, direction, value=1 - beta2)
    # s = root * s + rate * (1 - root) * direction
    s.mul_(root).add_(direction, alpha=fitting(rate * (1 - root), param.dtype))
    # sum_abs_s = sum(abs(s))
    sum_abs_s = s.abs().sum().item()
    layer_scale_times_sum_abs_s = layer_scale * sum_abs_s
    del direction
    # size_of_s = total(layer_scale_times_sum_abs_s)
    size_of_s = yield total(layer_scale_times_sum_abs_s)
    # no gradient so far: nothing moves, and nothing is learnt
    still = size_of_s == 0
    numerator = root * numerator_weighted + (1 - root) * gain
    bound = scalar_math.divide(numerator, (1 - root) * size_of_s)
    numerator_weighted = numerator_weighted if still else numerator
    d = d if still else scalar_math.maximum(d, scalar_math.minimum(bound, d * growth_rate))
    k = k if still else t
    if weight_decay != 0 and decouple:
        # param = param - where(still, 0, weight_decay * rate) * param
        param.add_(param, alpha=fitting(-(0 if still else weight_decay * rate), param.dtype))
    # param = param - exp_avg / (sqrt(exp_avg_sq) + eps)
    param.addcdiv_(exp_avg, exp_avg_sq.sqrt().add_(eps), value=-1)
    return {"d": d, "numerator_weighted": numerator_weighted, "k": k}


def _step_of_one_on_tensors(
    param_out: Tensor,
    grad: Tensor,
    exp_avg_out: Tensor,
    exp_avg_sq_out: Tensor,
    s_out: Tensor,
    *,
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    growth_rate: float,
    layer_scale: float,
    d: Scalar,
    numerator_weighted: Scalar,
    k: Scalar,
    decouple: bool,
    use_bias_correction: bool,
    maximize: bool,
    differentiable: bool,
) -> WaitingOnTensors:
    """The step of one parameter, which waits for the others at each total."""
    if torch.is_complex(param_out):
        param_out, grad, exp_avg_out, exp_avg_sq_out, s_out = as_pairs(
            param_out, grad, exp_avg_out, exp_avg_sq_out, s_out
        )
    param = param_out
    exp_avg = exp_avg_out
    exp_avg_sq = exp_avg_sq_out
    s = s_out
    if differentiable:  # autograd may keep these; what is stored at the end must not change them
        param = param_out.clone()
        exp_avg = exp_avg_out.clone()
        exp_avg_sq = exp_avg_sq_out.clone()
        s = s_out.clone()
    if maximize:
        # maximize
        grad = -grad
    t = k + 1
    direction = grad
    if weight_decay != 0 and not decouple:
        direction = grad + weight_decay * param
    rate: Scalar = d * lr
    if use_bias_correction:
        # rate = rate * sqrt(1 - beta2 ** t) / (1 - beta1 ** t)
        rate = divide(rate * sqrt(1 - power(beta2, t)), 1 - power(beta1, t))
    root = sqrt(beta2)
    # gain_term_part = sum(direction * (s / (sqrt(exp_avg_sq) + eps)))
    gain_term_part = (direction * (s / (sqrt(exp_avg_sq) + eps))).sum()
    gain_term = layer_scale * rate * gain_term_part
    del grad
    # gain = total(gain_term)
    gain = yield total(gain_term)
    exp_avg = beta1 * exp_avg + layer_scale * rate * (1 - beta1) * direction
    exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * direction * direction
    s = root * s + rate * (1 - root) * direction
    # sum_abs_s = sum(abs(s))
    sum_abs_s = abs(s).sum()
    layer_scale_times_sum_abs_s = layer_scale * sum_abs_s
    del direction
    # size_of_s = total(layer_scale_times_sum_abs_s)
    size_of_s = yield total(layer_scale_times_sum_abs_s)
    # no gradient so far: nothing moves, and nothing is learnt
    still = size_of_s == 0
    numerator = root * numerator_weighted + (1 - root) * gain
    # bound = numerator / ((1 - root) * size_of_s)
    bound = divide(numerator, (1 - root) * size_of_s)
    numerator_weighted = where(still, numerator_weighted, numerator)
    d = where(still, d, maximum(d, minimum(bound, d * growth_rate)))
    k = where(still, k, t)
    if weight_decay != 0 and decouple:
        param = param - where(still, 0, weight_decay * rate) * param
    param = param - exp_avg / (sqrt(exp_avg_sq) + eps)
    store(param_out, param)
    store(exp_avg_out, exp_avg)
    store(exp_avg_sq_out, exp_avg_sq)
    store(s_out, s)
    return {"d": d, "numerator_weighted": numerator_weighted, "k": k}
