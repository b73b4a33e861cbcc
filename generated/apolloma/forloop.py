# Generated from specs/apollo_ma.yaml by thetac 0.1.0; do not edit.
"""ApolloMa for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, both, divide, fitting, largest, maximum, sqrt, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avg_grads: Sequence[Tensor],
    approx_hessians: Sequence[Tensor],
    directions: Sequence[Tensor],
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
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, exp_avg_grad, approx_hessian, direction in zip(
        params, grads, steps, exp_avg_grads, approx_hessians, directions, strict=True
    ):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            if (
                weight_decay_type_is_L2
                or rebound_is_constant and not weight_decay_type_is_decoupled and not weight_decay_type_is_stable
            ):
                # weight decay: grad = grad + weight_decay * param
                grad = grad.add(param, alpha=weight_decay)
        init_lr_or_default = -1 if init_lr_is_none else init_lr
        initial_rate = start_lr / 1000 if init_lr_or_default < 0 else init_lr_or_default
        rate = (
            scalar_math.divide((start_lr - initial_rate) * (step - 1), warmup) + initial_rate
            if step - 1 < warmup and lr != 0
            else lr
        )
        alpha = (1 - beta) / (1 - beta**step)
        # delta_grad = grad - exp_avg_grad
        delta_grad = grad.sub(exp_avg_grad)
        # exp_avg_grad = exp_avg_grad + alpha * delta_grad
        exp_avg_grad.add_(delta_grad, alpha=alpha)
        # sum_direction_squared_squared = sum(direction * direction * (direction * direction))
        sum_direction_squared_squared = direction.mul(direction).mul(direction.mul(direction)).sum().item()
        fourth_norm = scalar_math.sqrt(scalar_math.sqrt(sum_direction_squared_squared))
        if rebound_is_belief:
            last_denom = fourth_norm + eps
        else:
            last_denom = fourth_norm + eps / 0.01
        # unit = direction / last_denom
        unit = direction.div(last_denom)
        # unit_squared = unit * unit
        unit_squared = unit.mul(unit)
        # delta_part = sum(delta_grad / last_denom * unit)
        delta_part = delta_grad.div(last_denom).mul(unit).sum().item()
        # delta_part_2 = sum(approx_hessian * unit_squared)
        delta_part_2 = approx_hessian.mul(unit_squared).sum().item()
        delta = -alpha * delta_part - delta_part_2
        # approx_hessian = approx_hessian + delta * unit_squared
        approx_hessian.add_(unit_squared, alpha=fitting(delta, param.dtype))
        if rebound_is_belief:
            # max_abs_delta_grad = max(abs(delta_grad))
            max_abs_delta_grad = largest(delta_grad.abs()).item()
            # denom = maximum(abs(approx_hessian), max_abs_delta_grad) + eps / alpha
            denom = approx_hessian.abs().clamp_(min=fitting(max_abs_delta_grad, param.dtype)).add_(
                scalar_math.divide(eps, alpha)
            )
        else:
            # denom = maximum(abs(approx_hessian), 0.01)
            denom = approx_hessian.abs().clamp_(min=0.01)
        # direction = exp_avg_grad / denom
        direction.copy_(exp_avg_grad.div(denom))
        if weight_decay != 0 and weight_decay_type_is_stable:
            # mean_denom = mean(denom)
            mean_denom = denom.mean().item()
            # direction = direction + weight_decay / mean_denom * param
            direction.add_(param, alpha=fitting(scalar_math.divide(weight_decay, mean_denom), param.dtype))
        elif (
            weight_decay != 0 and (weight_decay_type_is_decoupled or not weight_decay_type_is_L2 and rebound_is_belief)
        ):
            # direction = direction + weight_decay * param
            direction.add_(param, alpha=weight_decay)
        # param = param - rate * direction
        param.add_(direction, alpha=fitting(-rate, param.dtype))


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avg_grads: Sequence[Tensor],
    approx_hessians: Sequence[Tensor],
    directions: Sequence[Tensor],
    lr: float | Tensor,
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
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, exp_avg_grad_out, approx_hessian_out, direction_out in zip(
        params, grads, steps, exp_avg_grads, approx_hessians, directions, strict=True
    ):
        param = param_out
        exp_avg_grad = exp_avg_grad_out
        approx_hessian = approx_hessian_out
        direction = direction_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg_grad = exp_avg_grad_out.clone()
            approx_hessian = approx_hessian_out.clone()
            direction = direction_out.clone()
        step_t += 1
        step = step_t if capturable else step_t.item()
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            if (
                weight_decay_type_is_L2
                or rebound_is_constant and not weight_decay_type_is_decoupled and not weight_decay_type_is_stable
            ):
                # weight decay
                grad = grad + weight_decay * param
        # what None stands for
        init_lr_or_default = where(init_lr_is_none, -1, init_lr)
        initial_rate = where(init_lr_or_default < 0, start_lr / 1000, init_lr_or_default)
        # rate = where(step - 1 < warmup and lr != 0, (start_lr - initial_rate) * (step - 1) / warmup + initial_rate,
        #   lr)
        rate = where(
            both(step - 1 < warmup, lr != 0), divide((start_lr - initial_rate) * (step - 1), warmup) + initial_rate, lr
        )
        alpha = (1 - beta) / (1 - beta**step)
        delta_grad = grad - exp_avg_grad
        exp_avg_grad = exp_avg_grad + alpha * delta_grad
        # sum_direction_squared_squared = sum(direction * direction * (direction * direction))
        sum_direction_squared_squared = (direction * direction * (direction * direction)).sum()
        fourth_norm = sqrt(sqrt(sum_direction_squared_squared))
        if rebound_is_belief:
            last_denom: Scalar = fourth_norm + eps
        else:
            last_denom = fourth_norm + eps / 0.01
        unit = direction / last_denom
        unit_squared = unit * unit
        # delta_part = sum(delta_grad / last_denom * unit)
        delta_part = (delta_grad / last_denom * unit).sum()
        # delta_part_2 = sum(approx_hessian * unit_squared)
        delta_part_2 = (approx_hessian * unit_squared).sum()
        delta = -alpha * delta_part - delta_part_2
        approx_hessian = approx_hessian + delta * unit_squared
        if rebound_is_belief:
            # max_abs_delta_grad = max(abs(delta_grad))
            max_abs_delta_grad = largest(abs(delta_grad))
            # denom = maximum(abs(approx_hessian), max_abs_delta_grad) + eps / alpha
            denom = maximum(abs(approx_hessian), max_abs_delta_grad) + divide(eps, alpha)
        else:
            denom = maximum(abs(approx_hessian), 0.01)
        direction = exp_avg_grad / denom
        if weight_decay != 0 and weight_decay_type_is_stable:
            # mean_denom = mean(denom)
            mean_denom = denom.mean()
            direction = direction + weight_decay / mean_denom * param
        elif (
            weight_decay != 0 and (weight_decay_type_is_decoupled or not weight_decay_type_is_L2 and rebound_is_belief)
        ):
            direction = direction + weight_decay * param
        param = param - rate * direction
        store(param_out, param)
        store(exp_avg_grad_out, exp_avg_grad)
        store(approx_hessian_out, approx_hessian)
        store(direction_out, direction)
