# Generated from specs/adopt.yaml by thetac 0.1.0; do not edit.
"""ADOPT for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, fitting, increment, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    exp_avgs: TensorList,
    exp_avg_sqs: TensorList,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    clip_exponent: float,
    decouple: bool,
    clip: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        if not decouple:
            # weight decay: grad = grad + weight_decay * param
            grads = torch._foreach_add(grads, params, alpha=weight_decay)
    if torch.is_complex(params[0]):
        params, grads, exp_avgs, exp_avg_sqs = as_lists_of_pairs(params, grads, exp_avgs, exp_avg_sqs)
    if step == 1:
        # exp_avg_sq = grad * grad
        products = torch._foreach_mul(grads, grads)
        torch._foreach_copy_(exp_avg_sqs, products)
    else:
        if decouple and weight_decay != 0:
            # param = param - lr * weight_decay * param
            torch._foreach_add_(params, params, alpha=-lr * weight_decay)
        # normed_grad = grad / maximum(sqrt(exp_avg_sq), eps)
        roots = torch._foreach_sqrt(exp_avg_sqs)
        torch._foreach_clamp_min_(roots, eps)
        normed_grads = torch._foreach_div(grads, roots)
        if clip:
            bound = scalar_math.power(step - 1, clip_exponent)
            # normed_grad = clamp(normed_grad, -bound, bound)
            torch._foreach_clamp_min_(normed_grads, fitting(-bound, params[0].dtype))
            torch._foreach_clamp_max_(normed_grads, fitting(bound, params[0].dtype))
        # exp_avg = lerp(exp_avg, normed_grad, 1 - beta1)
        torch._foreach_lerp_(exp_avgs, normed_grads, 1 - beta1)
        # param = param - lr * exp_avg
        torch._foreach_add_(params, exp_avgs, alpha=-lr)
        # for the next step: exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        scale_(exp_avg_sqs, beta2)
        torch._foreach_addcmul_(exp_avg_sqs, grads, grads, value=1 - beta2)
