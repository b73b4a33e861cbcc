# Generated from specs/dadapt_adam.yaml by thetac 0.1.0; do not edit.
"""DAdaptAdam for many tensors at once, in torch's list operations, with the bits of the for-loop."""

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
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if torch.is_complex(params[0]):
        params, grads, exp_avgs, exp_avg_sqs, ses = as_lists_of_pairs(
            params, grads, exp_avgs, exp_avg_sqs, ses
        )
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
    root = scalar_math.sqrt(beta2)
    # gain_term_part = sum(direction * (s / (sqrt(exp_avg_sq) + eps)))
    gain_term_part_tensors = [
        direction.mul(s.div(exp_avg_sq.sqrt().add(eps))).sum()
        for direction, s, exp_avg_sq in zip(directions, ses, exp_avg_sqs, strict=True)
    ]
    (gain_term_parts,) = read_numbers(gain_term_part_tensors)
    # gain_term = layer_scale * rate * gain_term_part
    gain_terms = [
        layer_scale * rate * gain_term_part
        for gain_term_part in gain_term_parts
    ]
    del grads
    # gain = total(gain_term)
    gain = yield total(*gain_terms)
    # exp_avg = beta1 * exp_avg + layer_scale * rate * (1 - beta1) * direction
    scale_(exp_avgs, beta1)
    torch._foreach_add_(exp_avgs, directions, alpha=fitting(layer_scale * rate * (1 - beta1), params[0].dtype))
    # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * direction * direction
    scale_(exp_avg_sqs, beta2)
    torch._foreach_addcmul_(exp_avg_sqs, directions, directions, value=1 - beta2)
    # s = root * s + rate * (1 - root) * direction
    scale_(ses, root)
    torch._foreach_add_(ses, directions, alpha=fitting(rate * (1 - root), params[0].dtype))
    # sum_abs_s = sum(abs(s))
    sum_abs_s_tensors = [
        s.abs().sum()
        for s in ses
    ]
    (sum_abs_ses,) = read_numbers(sum_abs_s_tensors)
    # layer_scale_times_sum_abs_s = layer_scale * sum_abs_s
    layer_scale_times_sum_abs_ses = [
        layer_scale * sum_abs_s
        for sum_abs_s in sum_abs_ses
    ]
    del directions
    # size_of_s = total(layer_scale_times_sum_abs_s)
    size_of_s = yield total(*layer_scale_times_sum_abs_ses)
    # no gradient so far: nothing moves, and nothing is learnt
    still = size_of_s == 0
    numerator = root * numerator_weighted + (1 - root) * gain
    bound = scalar_math.divide(numerator, (1 - root) * size_of_s)
    numerator_weighted = numerator_weighted if still else numerator
    d = d if still else scalar_math.maximum(d, scalar_math.minimum(bound, d * growth_rate))
    k = k if still else t
    if weight_decay != 0 and decouple:
        # param = param - where(still, 0, weight_decay * rate) * param
        torch._foreach_add_(params, params, alpha=fitting(-(0 if still else weight_decay * rate), params[0].dtype))
    # param = param - exp_avg / (sqrt(exp_avg_sq) + eps)
    roots_ = torch._foreach_sqrt(exp_avg_sqs)
    torch._foreach_add_(roots_, eps)
    torch._foreach_addcdiv_(params, exp_avgs, roots_, value=-1)
    return {"d": d, "numerator_weighted": numerator_weighted, "k": k}
