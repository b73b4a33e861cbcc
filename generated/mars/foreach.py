# Generated from specs/mars.yaml by thetac 0.1.0; do not edit.
"""MARS for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, increment, read_numbers, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    exp_avgs: TensorList,
    exp_avg_sqs: TensorList,
    max_exp_avg_sqs: TensorList,
    last_grads: TensorList,
    param_rank: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    gamma: float,
    lr_1d: float,
    beta1_1d: float,
    beta2_1d: float,
    weight_decay_1d: float,
    start_lr: float,
    amsgrad: bool,
    optimize_1d: bool,
    mars_type_is_adamw: bool,
    mars_type_is_lion: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if torch.is_complex(params[0]):
        params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, last_grads = as_lists_of_pairs(
            params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, last_grads
        )
    decay = weight_decay
    rate = lr
    correction1 = 1 - beta1**step
    correction2 = scalar_math.sqrt(1 - beta2**step)
    if optimize_1d or param_rank == 2:
        # corrected = grad + gamma * beta1 / (1 - beta1) * (grad - last_grad)
        correcteds = torch._foreach_add(grads, torch._foreach_sub(grads, last_grads), alpha=gamma * beta1 / (1 - beta1))
        # norm_corrected = norm(corrected)
        norm_corrected_tensors = torch._foreach_norm(correcteds)
        (norm_correcteds,) = read_numbers(norm_corrected_tensors)
        # corrected = corrected / maximum(norm_corrected, 1)
        for corrected, norm_corrected in zip(correcteds, norm_correcteds, strict=True):
            corrected.div_(scalar_math.maximum(norm_corrected, 1))
        # exp_avg = beta1 * exp_avg + (1 - beta1) * corrected
        scale_(exp_avgs, beta1)
        torch._foreach_add_(exp_avgs, correcteds, alpha=1 - beta1)
        if mars_type_is_adamw:
            # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * corrected * corrected
            scale_(exp_avg_sqs, beta2)
            torch._foreach_addcmul_(exp_avg_sqs, correcteds, correcteds, value=1 - beta2)
        # last_grad = grad
        torch._foreach_copy_(last_grads, grads)
    if not (optimize_1d or param_rank == 2):
        # exp_avg = beta1_1d * exp_avg + (1 - beta1_1d) * grad
        scale_(exp_avgs, beta1_1d)
        torch._foreach_add_(exp_avgs, grads, alpha=1 - beta1_1d)
        # exp_avg_sq = beta2_1d * exp_avg_sq + (1 - beta2_1d) * grad * grad
        scale_(exp_avg_sqs, beta2_1d)
        torch._foreach_addcmul_(exp_avg_sqs, grads, grads, value=1 - beta2_1d)
        correction1 = 1 - beta1_1d**step
        correction2 = scalar_math.sqrt(1 - beta2_1d**step)
        rate = lr * (scalar_math.divide(lr_1d, start_lr) if start_lr != 0 else 1)
        decay = weight_decay_1d
    if mars_type_is_lion and (optimize_1d or param_rank == 2):
        # direction = sign(exp_avg)
        directions: TensorList = torch._foreach_sign(exp_avgs)
    else:
        # second_moment = exp_avg_sq
        second_moments = exp_avg_sqs
        if amsgrad:
            # max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)
            torch._foreach_maximum_(max_exp_avg_sqs, exp_avg_sqs)
            # second_moment = max_exp_avg_sq
            second_moments = max_exp_avg_sqs
        # direction = exp_avg / (sqrt(second_moment) * (correction1 / correction2) + correction1 * eps)
        roots = torch._foreach_sqrt(second_moments)
        scale_(roots, scalar_math.divide(correction1, correction2))
        torch._foreach_add_(roots, correction1 * eps)
        directions = torch._foreach_div(exp_avgs, roots)
    # param = param - rate * (decay * param + direction)
    products = torch._foreach_mul(params, decay)
    torch._foreach_add_(products, directions)
    torch._foreach_add_(params, products, alpha=-rate)
