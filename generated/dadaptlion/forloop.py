# Generated from specs/dadapt_lion.yaml by thetac 0.1.0; do not edit.
"""DAdaptLion for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, as_pairs, divide, fitting, maximum, sign, sqrt, store, where
from thetac.runtime.totals import Waiting, WaitingOnTensors, together, total


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    exp_avgs: Sequence[Tensor],
    ses: Sequence[Tensor],
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    d: float,
    numerator_weighted: float,
    maximize: bool,
) -> Waiting:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    return together(
        [
            _step_of_one(
                param,
                grad,
                exp_avg,
                s,
                lr=lr,
                beta1=beta1,
                beta2=beta2,
                weight_decay=weight_decay,
                d=d,
                numerator_weighted=numerator_weighted,
                maximize=maximize,
            )
            for param, grad, exp_avg, s in zip(params, grads, exp_avgs, ses, strict=True)
        ]
    )


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    exp_avgs: Sequence[Tensor],
    ses: Sequence[Tensor],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    weight_decay: float,
    d: Scalar,
    numerator_weighted: Scalar,
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
                s_out,
                lr=lr,
                beta1=beta1,
                beta2=beta2,
                weight_decay=weight_decay,
                d=d,
                numerator_weighted=numerator_weighted,
                maximize=maximize,
                differentiable=differentiable,
            )
            for param_out, grad, exp_avg_out, s_out in zip(params, grads, exp_avgs, ses, strict=True)
        ]
    )


def _step_of_one(
    param: Tensor,
    grad: Tensor,
    exp_avg: Tensor,
    s: Tensor,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    d: float,
    numerator_weighted: float,
    maximize: bool,
) -> Waiting:
    """The step of one parameter, which waits for the others at each total."""
    if maximize:
        # maximize: grad = -grad
        grad = grad.neg()
    if torch.is_complex(param):
        param, grad, exp_avg, s = as_pairs(param, grad, exp_avg, s)
    rate = d * lr
    root = scalar_math.sqrt(beta2)
    # param = param * (1 - rate * weight_decay)
    param.mul_(1 - rate * weight_decay)
    # direction = sign(beta1 * exp_avg + (1 - beta1) * grad)
    direction = exp_avg.mul(beta1).add_(grad, alpha=1 - beta1).sign_()
    # param = param - rate * direction
    param.add_(direction, alpha=fitting(-rate, param.dtype))
    # exp_avg = beta2 * exp_avg + (1 - beta2) * rate * grad
    exp_avg.mul_(beta2).add_(grad, alpha=fitting((1 - beta2) * rate, param.dtype))
    # sum_direction_times_s = sum(direction * s)
    sum_direction_times_s = direction.mul(s).sum().item()
    rate_times_sum_direction_times_s = rate * sum_direction_times_s
    del grad
    # gain = total(rate_times_sum_direction_times_s)
    gain = yield total(rate_times_sum_direction_times_s)
    # s = root * s + (1 - root) * rate * direction
    s.mul_(root).add_(direction, alpha=fitting((1 - root) * rate, param.dtype))
    # sum_abs_s = sum(abs(s))
    sum_abs_s = s.abs().sum().item()
    del direction
    # size_of_s = total(sum_abs_s)
    size_of_s = yield total(sum_abs_s)
    # no gradient so far: nothing is learnt
    still = size_of_s == 0
    numerator = root * numerator_weighted + (1 - root) * gain
    bound = scalar_math.divide(numerator, (1 - root) * size_of_s)
    numerator_weighted = numerator_weighted if still else numerator
    d = d if still else scalar_math.maximum(d, bound)
    return {"d": d, "numerator_weighted": numerator_weighted}


def _step_of_one_on_tensors(
    param_out: Tensor,
    grad: Tensor,
    exp_avg_out: Tensor,
    s_out: Tensor,
    *,
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    weight_decay: float,
    d: Scalar,
    numerator_weighted: Scalar,
    maximize: bool,
    differentiable: bool,
) -> WaitingOnTensors:
    """The step of one parameter, which waits for the others at each total."""
    if torch.is_complex(param_out):
        param_out, grad, exp_avg_out, s_out = as_pairs(param_out, grad, exp_avg_out, s_out)
    param = param_out
    exp_avg = exp_avg_out
    s = s_out
    if differentiable:  # autograd may keep these; what is stored at the end must not change them
        param = param_out.clone()
        exp_avg = exp_avg_out.clone()
        s = s_out.clone()
    if maximize:
        # maximize
        grad = -grad
    rate = d * lr
    root = sqrt(beta2)
    param = param * (1 - rate * weight_decay)
    direction = sign(beta1 * exp_avg + (1 - beta1) * grad)
    param = param - rate * direction
    exp_avg = beta2 * exp_avg + (1 - beta2) * rate * grad
    # sum_direction_times_s = sum(direction * s)
    sum_direction_times_s = (direction * s).sum()
    rate_times_sum_direction_times_s = rate * sum_direction_times_s
    del grad
    # gain = total(rate_times_sum_direction_times_s)
    gain = yield total(rate_times_sum_direction_times_s)
    s = root * s + (1 - root) * rate * direction
    # sum_abs_s = sum(abs(s))
    sum_abs_s = abs(s).sum()
    del direction
    # size_of_s = total(sum_abs_s)
    size_of_s = yield total(sum_abs_s)
    # no gradient so far: nothing is learnt
    still = size_of_s == 0
    numerator = root * numerator_weighted + (1 - root) * gain
    # bound = numerator / ((1 - root) * size_of_s)
    bound = divide(numerator, (1 - root) * size_of_s)
    numerator_weighted = where(still, numerator_weighted, numerator)
    d = where(still, d, maximum(d, bound))
    store(param_out, param)
    store(exp_avg_out, exp_avg)
    store(s_out, s)
    return {"d": d, "numerator_weighted": numerator_weighted}
