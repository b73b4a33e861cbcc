# Generated from specs/dadapt_lion.yaml by thetac 0.1.0; do not edit.
"""DAdaptLion for many tensors at once, in torch's list operations, with the bits of the for-loop."""

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
    ses: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    d: float,
    numerator_weighted: float,
    maximize: bool,
) -> Waiting:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if torch.is_complex(params[0]):
        params, grads, exp_avgs, ses = as_lists_of_pairs(params, grads, exp_avgs, ses)
    rate = d * lr
    root = scalar_math.sqrt(beta2)
    # param = param * (1 - rate * weight_decay)
    scale_(params, 1 - rate * weight_decay)
    # direction = sign(beta1 * exp_avg + (1 - beta1) * grad)
    directions = torch._foreach_mul(exp_avgs, beta1)
    torch._foreach_add_(directions, grads, alpha=1 - beta1)
    torch._foreach_sign_(directions)
    # param = param - rate * direction
    torch._foreach_add_(params, directions, alpha=fitting(-rate, params[0].dtype))
    # exp_avg = beta2 * exp_avg + (1 - beta2) * rate * grad
    scale_(exp_avgs, beta2)
    torch._foreach_add_(exp_avgs, grads, alpha=fitting((1 - beta2) * rate, params[0].dtype))
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
    # gain = total(rate_times_sum_direction_times_s)
    gain = yield total(*rate_times_sum_direction_times_ses)
    # s = root * s + (1 - root) * rate * direction
    scale_(ses, root)
    torch._foreach_add_(ses, directions, alpha=fitting((1 - root) * rate, params[0].dtype))
    # sum_abs_s = sum(abs(s))
    sum_abs_s_tensors = [
        s.abs().sum()
        for s in ses
    ]
    (sum_abs_ses,) = read_numbers(sum_abs_s_tensors)
    del directions
    # size_of_s = total(sum_abs_s)
    size_of_s = yield total(*sum_abs_ses)
    # no gradient so far: nothing is learnt
    still = size_of_s == 0
    numerator = root * numerator_weighted + (1 - root) * gain
    bound = scalar_math.divide(numerator, (1 - root) * size_of_s)
    numerator_weighted = numerator_weighted if still else numerator
    d = d if still else scalar_math.maximum(d, bound)
    return {"d": d, "numerator_weighted": numerator_weighted}
