# Generated from specs/dadapt_sgd.yaml by thetac 0.1.0; do not edit.
"""DAdaptSGD for many tensors at once, in torch's list operations, with the bits of the for-loop."""

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
    ses: TensorList,
    x0s: TensorList,
    lr: float,
    momentum: float,
    weight_decay: float,
    growth_rate: float,
    d: float,
    numerator_weighted: float,
    g0_norm: float,
    maximize: bool,
) -> Waiting:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if torch.is_complex(params[0]):
        params, grads, ses, x0s = as_lists_of_pairs(params, grads, ses, x0s)
    # sum_grad_squared = sum(grad * grad)
    sum_grad_squared_tensors = [
        grad.mul(grad).sum()
        for grad in grads
    ]
    (sum_grad_squareds,) = read_numbers(sum_grad_squared_tensors)
    # total_sum_grad_squared = total(sum_grad_squared)
    total_sum_grad_squared = yield total(*sum_grad_squareds)
    g0_norm = scalar_math.sqrt(total_sum_grad_squared) if g0_norm == 0 else g0_norm
    rate = 0 if g0_norm == 0 else scalar_math.divide(d * lr, g0_norm)
    # direction = grad
    directions: TensorList = grads
    if weight_decay != 0:
        # direction = grad + weight_decay * param
        directions = torch._foreach_add(grads, params, alpha=weight_decay)
    # sum_direction_times_s = sum(direction * s)
    sum_direction_times_s_tensors = [
        direction.mul(s).sum()
        for direction, s in zip(directions, ses, strict=True)
    ]
    (sum_direction_times_ses,) = read_numbers(sum_direction_times_s_tensors)
    # rate_times_sum_direction_times_s = rate * sum_direction_times_s
    rate_times_sum_direction_times_ses = [
        rate * sum_direction_times_s
        for sum_direction_times_s in sum_direction_times_ses
    ]
    del grads
    # numerator_total = total(rate_times_sum_direction_times_s)
    numerator_total = yield total(*rate_times_sum_direction_times_ses)
    numerator = numerator_weighted + numerator_total
    # s = s + rate * direction
    torch._foreach_add_(ses, directions, alpha=fitting(rate, params[0].dtype))
    # sum_s_squared = sum(s * s)
    sum_s_squared_tensors = [
        s.mul(s).sum()
        for s in ses
    ]
    (sum_s_squareds,) = read_numbers(sum_s_squared_tensors)
    del directions
    # total_sum_s_squared = total(sum_s_squared)
    total_sum_s_squared = yield total(*sum_s_squareds)
    size_of_s = scalar_math.sqrt(total_sum_s_squared)
    # no gradient so far: nothing moves, and nothing is learnt
    still = size_of_s == 0
    bound = scalar_math.divide(2 * numerator, size_of_s)
    numerator_weighted = numerator_weighted if still else numerator
    d = d if still else scalar_math.maximum(d, scalar_math.minimum(bound, d * growth_rate))
    # z = x0 - s
    zs = torch._foreach_sub(x0s, ses)
    # param = where(still, 1, momentum) * param + where(still, 0, 1 - momentum) * z
    scale_(params, 1 if still else momentum)
    torch._foreach_add_(params, zs, alpha=0 if still else 1 - momentum)
    return {"d": d, "numerator_weighted": numerator_weighted, "g0_norm": g0_norm}
