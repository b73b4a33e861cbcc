# Generated from specs/apollo_ma.yaml by thetac 0.1.0; do not edit.
"""ApolloMa for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, fitting, increment, largest, read_numbers


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    exp_avg_grads: TensorList,
    approx_hessians: TensorList,
    directions: TensorList,
    lr: float,
    beta: float,
    eps: float,
    warmup: float,
    init_lr: float,
    start_lr: float,
    weight_decay: float,
    rebound_is_constant: bool,
    rebound_is_belief: bool,
    weight_decay_type_is_L2: bool,
    weight_decay_type_is_decoupled: bool,
    weight_decay_type_is_stable: bool,
    init_lr_is_none: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        if (
            weight_decay_type_is_L2
            or rebound_is_constant and not weight_decay_type_is_decoupled and not weight_decay_type_is_stable
        ):
            # weight decay: grad = grad + weight_decay * param
            grads = torch._foreach_add(grads, params, alpha=weight_decay)
    init_lr_or_default = -1 if init_lr_is_none else init_lr
    initial_rate = start_lr / 1000 if init_lr_or_default < 0 else init_lr_or_default
    rate = (
        scalar_math.divide((start_lr - initial_rate) * (step - 1), warmup) + initial_rate
        if step - 1 < warmup and lr != 0
        else lr
    )
    alpha = (1 - beta) / (1 - beta**step)
    # delta_grad = grad - exp_avg_grad
    delta_grads = torch._foreach_sub(grads, exp_avg_grads)
    # exp_avg_grad = exp_avg_grad + alpha * delta_grad
    torch._foreach_add_(exp_avg_grads, delta_grads, alpha=alpha)
    # sum_direction_squared_squared = sum(direction * direction * (direction * direction))
    sum_direction_squared_squared_tensors = [
        direction.mul(direction).mul(direction.mul(direction)).sum()
        for direction in directions
    ]
    (sum_direction_squared_squareds,) = read_numbers(sum_direction_squared_squared_tensors)
    # fourth_norm = sqrt(sqrt(sum_direction_squared_squared))
    fourth_norms = [
        scalar_math.sqrt(scalar_math.sqrt(sum_direction_squared_squared))
        for sum_direction_squared_squared in sum_direction_squared_squareds
    ]
    if rebound_is_belief:
        # last_denom = fourth_norm + eps
        last_denoms: list[float] = [
            fourth_norm + eps
            for fourth_norm in fourth_norms
        ]
    else:
        # last_denom = fourth_norm + eps / 0.01
        last_denoms = [
            fourth_norm + eps / 0.01
            for fourth_norm in fourth_norms
        ]
    # unit = direction / last_denom
    units = [
        direction.div(last_denom)
        for direction, last_denom in zip(directions, last_denoms, strict=True)
    ]
    # unit_squared = unit * unit
    unit_squareds = torch._foreach_mul(units, units)
    # delta_part = sum(delta_grad / last_denom * unit)
    delta_part_tensors = [
        delta_grad.div(last_denom).mul(unit).sum()
        for delta_grad, unit, last_denom in zip(delta_grads, units, last_denoms, strict=True)
    ]
    # delta_part_2 = sum(approx_hessian * unit_squared)
    delta_part_2_tensors = [
        approx_hessian.mul(unit_squared).sum()
        for approx_hessian, unit_squared in zip(approx_hessians, unit_squareds, strict=True)
    ]
    delta_parts, delta_part_2s = read_numbers(delta_part_tensors, delta_part_2_tensors)
    # delta = -alpha * delta_part - delta_part_2
    deltas = [
        -alpha * delta_part - delta_part_2
        for delta_part, delta_part_2 in zip(delta_parts, delta_part_2s, strict=True)
    ]
    # approx_hessian = approx_hessian + delta * unit_squared
    for approx_hessian, unit_squared, delta in zip(approx_hessians, unit_squareds, deltas, strict=True):
        approx_hessian.add_(unit_squared, alpha=fitting(delta, params[0].dtype))
    if rebound_is_belief:
        # max_abs_delta_grad = max(abs(delta_grad))
        max_abs_delta_grad_tensors = [
            largest(delta_grad.abs())
            for delta_grad in delta_grads
        ]
        (max_abs_delta_grads,) = read_numbers(max_abs_delta_grad_tensors)
        # denom = maximum(abs(approx_hessian), max_abs_delta_grad) + eps / alpha
        denoms: TensorList = [
            approx_hessian.abs().clamp_(min=fitting(max_abs_delta_grad, params[0].dtype)).add_(
                scalar_math.divide(eps, alpha)
            )
            for approx_hessian, max_abs_delta_grad in zip(approx_hessians, max_abs_delta_grads, strict=True)
        ]
    else:
        # denom = maximum(abs(approx_hessian), 0.01)
        denoms = torch._foreach_abs(approx_hessians)
        torch._foreach_clamp_min_(denoms, 0.01)
    # direction = exp_avg_grad / denom
    quotients = torch._foreach_div(exp_avg_grads, denoms)
    torch._foreach_copy_(directions, quotients)
    if weight_decay != 0 and weight_decay_type_is_stable:
        # mean_denom = mean(denom)
        mean_denom_tensors = [
            denom.mean()
            for denom in denoms
        ]
        (mean_denoms,) = read_numbers(mean_denom_tensors)
        # direction = direction + weight_decay / mean_denom * param
        for direction, param, mean_denom in zip(directions, params, mean_denoms, strict=True):
            direction.add_(param, alpha=fitting(scalar_math.divide(weight_decay, mean_denom), params[0].dtype))
    elif weight_decay != 0 and (weight_decay_type_is_decoupled or not weight_decay_type_is_L2 and rebound_is_belief):
        # direction = direction + weight_decay * param
        torch._foreach_add_(directions, params, alpha=weight_decay)
    # param = param - rate * direction
    torch._foreach_add_(params, directions, alpha=fitting(-rate, params[0].dtype))
