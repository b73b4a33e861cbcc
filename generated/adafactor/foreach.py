# Generated from specs/adafactor.yaml by thetac 0.1.0; do not edit.
"""Adafactor for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, fitting, increment, read_numbers, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    row_vars: TensorList,
    col_vars: TensorList,
    variances: TensorList,
    param_rank: float,
    param_size: float,
    param_rows: float,
    param_columns: float,
    param_epsilon: float,
    lr: float,
    beta2_decay: float,
    eps1: float,
    eps2: float,
    d: float,
    weight_decay: float,
    eps1_is_none: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    eps1_or_default = param_epsilon if eps1_is_none else eps1
    weight = scalar_math.power(step, beta2_decay)
    relative = scalar_math.divide(1, scalar_math.power(step, 0.5))
    rho = relative if relative < lr else lr
    # norm_param = norm(param)
    norm_param_tensors = torch._foreach_norm(params)
    (norm_params,) = read_numbers(norm_param_tensors)
    # scale = norm_param / param_size ** 0.5
    scales = [
        scalar_math.divide(norm_param, scalar_math.power(param_size, 0.5))
        for norm_param in norm_params
    ]
    # alpha = where(scale > eps2, scale, eps2) * rho
    alphas = [
        (scale if scale > eps2 else eps2) * rho
        for scale in scales
    ]
    if weight_decay != 0:
        # param = param * (1 - lr * weight_decay)
        scale_(params, 1 - lr * weight_decay)
    if param_rank > 1:
        # row_norm_grad = norm(grad, axis=-1)
        # tensor by tensor: torch has no list operation for `norm along`
        row_norm_grads = [
            grad.norm(dim=-1, keepdim=True)
            for grad in grads
        ]
        # row_var = lerp(row_var, row_norm_grad * row_norm_grad / param_columns, weight)
        products = torch._foreach_mul(row_norm_grads, row_norm_grads)
        torch._foreach_div_(products, param_columns)
        torch._foreach_lerp_(row_vars, products, fitting(weight, params[0].dtype))
        # column_norm_grad = norm(grad, axis=-2)
        # tensor by tensor: torch has no list operation for `norm along`
        column_norm_grads = [
            grad.norm(dim=-2, keepdim=True)
            for grad in grads
        ]
        # col_var = lerp(col_var, column_norm_grad * column_norm_grad / param_rows, weight)
        products_ = torch._foreach_mul(column_norm_grads, column_norm_grads)
        torch._foreach_div_(products_, param_rows)
        torch._foreach_lerp_(col_vars, products_, fitting(weight, params[0].dtype))
        # column_mean_row_var = mean(row_var, axis=-2)
        # tensor by tensor: torch has no list operation for `mean along`
        column_mean_row_vars = [
            row_var.mean(-2, keepdim=True)
            for row_var in row_vars
        ]
        # estimate = row_var * col_var / maximum(column_mean_row_var, eps1_or_default)
        estimates: TensorList = torch._foreach_mul(row_vars, col_vars)
        torch._foreach_div_(
            estimates, torch._foreach_clamp_min(column_mean_row_vars, fitting(eps1_or_default, params[0].dtype))
        )
    else:
        # variance = lerp(variance, grad * grad, weight)
        torch._foreach_lerp_(variances, torch._foreach_mul(grads, grads), fitting(weight, params[0].dtype))
        # estimate = variance
        estimates = variances
    # change = rsqrt(maximum(estimate, eps1_or_default * eps1_or_default)) * grad
    changes = torch._foreach_clamp_min(estimates, fitting(eps1_or_default * eps1_or_default, params[0].dtype))
    torch._foreach_rsqrt_(changes)
    torch._foreach_mul_(changes, grads)
    # norm_change = norm(change)
    norm_change_tensors = torch._foreach_norm(changes)
    (norm_changes,) = read_numbers(norm_change_tensors)
    # ratio = norm_change / (param_size ** 0.5 * d)
    ratios = [
        scalar_math.divide(norm_change, scalar_math.power(param_size, 0.5) * d)
        for norm_change in norm_changes
    ]
    # denom = where(ratio > 1, ratio, 1)
    denoms = [
        ratio if ratio > 1 else 1
        for ratio in ratios
    ]
    # param = param - alpha / denom * change
    for param, change, alpha, denom in zip(params, changes, alphas, denoms, strict=True):
        param.add_(change, alpha=fitting(scalar_math.divide(-alpha, denom), params[0].dtype))
