# Generated from specs/dadapt_sgd.yaml by thetac 0.1.0; do not edit.
"""DAdaptSGD for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, as_pairs, divide, fitting, maximum, minimum, sqrt, store, where
from thetac.runtime.totals import Waiting, WaitingOnTensors, together, total


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    ses: Sequence[Tensor],
    x0s: Sequence[Tensor],
    lr: float,
    momentum: float,
    weight_decay: float,
    growth_rate: float,
    d: float,
    numerator_weighted: float,
    g0_norm: float,
    maximize: bool,
) -> Waiting:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    return together(
        [
            _step_of_one(
                param,
                grad,
                s,
                x0,
                lr=lr,
                momentum=momentum,
                weight_decay=weight_decay,
                growth_rate=growth_rate,
                d=d,
                numerator_weighted=numerator_weighted,
                g0_norm=g0_norm,
                maximize=maximize,
            )
            for param, grad, s, x0 in zip(params, grads, ses, x0s, strict=True)
        ]
    )


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    ses: Sequence[Tensor],
    x0s: Sequence[Tensor],
    lr: float | Tensor,
    momentum: float,
    weight_decay: float,
    growth_rate: float,
    d: Scalar,
    numerator_weighted: Scalar,
    g0_norm: Scalar,
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
                s_out,
                x0_out,
                lr=lr,
                momentum=momentum,
                weight_decay=weight_decay,
                growth_rate=growth_rate,
                d=d,
                numerator_weighted=numerator_weighted,
                g0_norm=g0_norm,
                maximize=maximize,
                differentiable=differentiable,
            )
            for param_out, grad, s_out, x0_out in zip(params, grads, ses, x0s, strict=True)
        ]
    )


def _step_of_one(
    param: Tensor,
    grad: Tensor,
    s: Tensor,
    x0: Tensor,
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    growth_rate: float,
    d: float,
    numerator_weighted: float,
    g0_norm: float,
    maximize: bool,
) -> Waiting:
    """The step of one parameter, which waits for the others at each total."""
    if maximize:
        # maximize: grad = -grad
        grad = grad.neg()
    if torch.is_complex(param):
        param, grad, s, x0 = as_pairs(param, grad, s, x0)
    # sum_grad_squared = sum(grad * grad)
    sum_grad_squared = grad.mul(grad).sum().item()
    # total_sum_grad_squared = total(sum_grad_squared)
    total_sum_grad_squared = yield total(sum_grad_squared)
    g0_norm = scalar_math.sqrt(total_sum_grad_squared) if g0_norm == 0 else g0_norm
    rate = 0 if g0_norm == 0 else scalar_math.divide(d * lr, g0_norm)
    direction = grad
    if weight_decay != 0:
        # direction = grad + weight_decay * param
        direction = grad.add(param, alpha=weight_decay)
    # sum_direction_times_s = sum(direction * s)
    sum_direction_times_s = direction.mul(s).sum().item()
    rate_times_sum_direction_times_s = rate * sum_direction_times_s
    del grad
    # numerator_total = total(rate_times_sum_direction_times_s)
    numerator_total = yield total(rate_times_sum_direction_times_s)
    numerator = numerator_weighted + numerator_total
    # s = s + rate * direction
    s.add_(direction, alpha=fitting(rate, param.dtype))
    # sum_s_squared = sum(s * s)
    sum_s_squared = s.mul(s).sum().item()
    del direction
    # total_sum_s_squared = total(sum_s_squared)
    total_sum_s_squared = yield total(sum_s_squared)
    size_of_s = scalar_math.sqrt(total_sum_s_squared)
    # no gradient so far: nothing moves, and nothing is learnt
    still = size_of_s == 0
    bound = scalar_math.divide(2 * numerator, size_of_s)
    numerator_weighted = numerator_weighted if still else numerator
    d = d if still else scalar_math.maximum(d, scalar_math.minimum(bound, d * growth_rate))
    # z = x0 - s
    z = x0.sub(s)
    # param = where(still, 1, momentum) * param + where(still, 0, 1 - momentum) * z
    param.mul_(1 if still else momentum).add_(z, alpha=0 if still else 1 - momentum)
    return {"d": d, "numerator_weighted": numerator_weighted, "g0_norm": g0_norm}


def _step_of_one_on_tensors(
    param_out: Tensor,
    grad: Tensor,
    s_out: Tensor,
    x0_out: Tensor,
    *,
    lr: float | Tensor,
    momentum: float,
    weight_decay: float,
    growth_rate: float,
    d: Scalar,
    numerator_weighted: Scalar,
    g0_norm: Scalar,
    maximize: bool,
    differentiable: bool,
) -> WaitingOnTensors:
    """The step of one parameter, which waits for the others at each total."""
    if torch.is_complex(param_out):
        param_out, grad, s_out, x0_out = as_pairs(param_out, grad, s_out, x0_out)
    param = param_out
    s = s_out
    x0 = x0_out
    if differentiable:  # autograd may keep these; what is stored at the end must not change them
        param = param_out.clone()
        s = s_out.clone()
        x0 = x0_out.clone()
    if maximize:
        # maximize
        grad = -grad
    # sum_grad_squared = sum(grad * grad)
    sum_grad_squared = (grad * grad).sum()
    # total_sum_grad_squared = total(sum_grad_squared)
    total_sum_grad_squared = yield total(sum_grad_squared)
    g0_norm = where(g0_norm == 0, sqrt(total_sum_grad_squared), g0_norm)
    # rate = where(g0_norm == 0, 0, d * lr / g0_norm)
    rate = where(g0_norm == 0, 0, divide(d * lr, g0_norm))
    direction = grad
    if weight_decay != 0:
        direction = grad + weight_decay * param
    # sum_direction_times_s = sum(direction * s)
    sum_direction_times_s = (direction * s).sum()
    rate_times_sum_direction_times_s = rate * sum_direction_times_s
    del grad
    # numerator_total = total(rate_times_sum_direction_times_s)
    numerator_total = yield total(rate_times_sum_direction_times_s)
    numerator = numerator_weighted + numerator_total
    s = s + rate * direction
    # sum_s_squared = sum(s * s)
    sum_s_squared = (s * s).sum()
    del direction
    # total_sum_s_squared = total(sum_s_squared)
    total_sum_s_squared = yield total(sum_s_squared)
    size_of_s = sqrt(total_sum_s_squared)
    # no gradient so far: nothing moves, and nothing is learnt
    still = size_of_s == 0
    # bound = 2 * numerator / size_of_s
    bound = divide(2 * numerator, size_of_s)
    numerator_weighted = where(still, numerator_weighted, numerator)
    d = where(still, d, maximum(d, minimum(bound, d * growth_rate)))
    z = x0 - s
    param = where(still, 1, momentum) * param + where(still, 0, 1 - momentum) * z
    store(param_out, param)
    store(s_out, s)
    return {"d": d, "numerator_weighted": numerator_weighted, "g0_norm": g0_norm}
