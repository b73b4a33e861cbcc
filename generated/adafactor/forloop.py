# Generated from specs/adafactor.yaml by thetac 0.1.0; do not edit.
"""Adafactor for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import divide, fitting, maximum, power, rsqrt, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    row_vars: Sequence[Tensor | None],
    col_vars: Sequence[Tensor | None],
    variances: Sequence[Tensor | None],
    ranks_of_params: Sequence[float],
    sizes_of_params: Sequence[float],
    rows_of_params: Sequence[float],
    columns_of_params: Sequence[float],
    epsilons_of_params: Sequence[float],
    lr: float,
    beta2_decay: float,
    eps1: float,
    eps2: float,
    d: float,
    weight_decay: float,
    eps1_is_none: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for (
        param,
        grad,
        step_t,
        row_var,
        col_var,
        variance,
        param_rank,
        param_size,
        param_rows,
        param_columns,
        param_epsilon,
    ) in zip(
        params,
        grads,
        steps,
        row_vars,
        col_vars,
        variances,
        ranks_of_params,
        sizes_of_params,
        rows_of_params,
        columns_of_params,
        epsilons_of_params,
        strict=True,
    ):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        eps1_or_default = param_epsilon if eps1_is_none else eps1
        weight = scalar_math.power(step, beta2_decay)
        relative = scalar_math.divide(1, scalar_math.power(step, 0.5))
        rho = relative if relative < lr else lr
        # norm_param = norm(param)
        norm_param = param.norm().item()
        scale = scalar_math.divide(norm_param, scalar_math.power(param_size, 0.5))
        alpha = (scale if scale > eps2 else eps2) * rho
        if weight_decay != 0:
            # param = param * (1 - lr * weight_decay)
            param.mul_(1 - lr * weight_decay)
        if param_rank > 1:
            # row_norm_grad = norm(grad, axis=-1)
            row_norm_grad = grad.norm(dim=-1, keepdim=True)
            assert row_var is not None
            # row_var = lerp(row_var, row_norm_grad * row_norm_grad / param_columns, weight)
            row_var.lerp_(row_norm_grad.mul(row_norm_grad).div_(param_columns), fitting(weight, param.dtype))
            # column_norm_grad = norm(grad, axis=-2)
            column_norm_grad = grad.norm(dim=-2, keepdim=True)
            assert col_var is not None
            # col_var = lerp(col_var, column_norm_grad * column_norm_grad / param_rows, weight)
            col_var.lerp_(column_norm_grad.mul(column_norm_grad).div_(param_rows), fitting(weight, param.dtype))
            # column_mean_row_var = mean(row_var, axis=-2)
            column_mean_row_var = row_var.mean(-2, keepdim=True)
            # estimate = row_var * col_var / maximum(column_mean_row_var, eps1_or_default)
            estimate = row_var.mul(col_var).div_(column_mean_row_var.clamp(min=fitting(eps1_or_default, param.dtype)))
        else:
            assert variance is not None
            # variance = lerp(variance, grad * grad, weight)
            variance.lerp_(grad.mul(grad), fitting(weight, param.dtype))
            estimate = variance
        # change = rsqrt(maximum(estimate, eps1_or_default * eps1_or_default)) * grad
        change = estimate.clamp(min=fitting(eps1_or_default * eps1_or_default, param.dtype)).rsqrt_().mul_(grad)
        # norm_change = norm(change)
        norm_change = change.norm().item()
        ratio = scalar_math.divide(norm_change, scalar_math.power(param_size, 0.5) * d)
        denom = ratio if ratio > 1 else 1
        # param = param - alpha / denom * change
        param.add_(change, alpha=fitting(scalar_math.divide(-alpha, denom), param.dtype))


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    row_vars: Sequence[Tensor | None],
    col_vars: Sequence[Tensor | None],
    variances: Sequence[Tensor | None],
    ranks_of_params: Sequence[float],
    sizes_of_params: Sequence[float],
    rows_of_params: Sequence[float],
    columns_of_params: Sequence[float],
    epsilons_of_params: Sequence[float],
    lr: float | Tensor,
    beta2_decay: float,
    eps1: float,
    eps2: float,
    d: float,
    weight_decay: float,
    eps1_is_none: bool,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for (
        param_out,
        grad,
        step_t,
        row_var_out,
        col_var_out,
        variance_out,
        param_rank,
        param_size,
        param_rows,
        param_columns,
        param_epsilon,
    ) in zip(
        params,
        grads,
        steps,
        row_vars,
        col_vars,
        variances,
        ranks_of_params,
        sizes_of_params,
        rows_of_params,
        columns_of_params,
        epsilons_of_params,
        strict=True,
    ):
        param = param_out
        row_var = row_var_out
        col_var = col_var_out
        variance = variance_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            row_var = row_var_out.clone() if row_var_out is not None else None
            col_var = col_var_out.clone() if col_var_out is not None else None
            variance = variance_out.clone() if variance_out is not None else None
        step_t += 1
        step = step_t if capturable else step_t.item()
        if maximize:
            # maximize
            grad = -grad
        # what None stands for
        eps1_or_default = where(eps1_is_none, param_epsilon, eps1)
        # weight = step ** beta2_decay
        weight = power(step, beta2_decay)
        # relative = 1 / step ** 0.5
        relative = divide(1, power(step, 0.5))
        rho = where(relative < lr, relative, lr)
        # norm_param = norm(param)
        norm_param = param.norm()
        # scale = norm_param / param_size ** 0.5
        scale = norm_param / power(param_size, 0.5)
        alpha = where(scale > eps2, scale, eps2) * rho
        if weight_decay != 0:
            param = param * (1 - lr * weight_decay)
        if param_rank > 1:
            # row_norm_grad = norm(grad, axis=-1)
            row_norm_grad = grad.norm(dim=-1, keepdim=True)
            assert row_var is not None
            # row_var = lerp(row_var, row_norm_grad * row_norm_grad / param_columns, weight)
            row_var = row_var + weight * (row_norm_grad * row_norm_grad / param_columns - row_var)
            # column_norm_grad = norm(grad, axis=-2)
            column_norm_grad = grad.norm(dim=-2, keepdim=True)
            assert col_var is not None
            # col_var = lerp(col_var, column_norm_grad * column_norm_grad / param_rows, weight)
            col_var = col_var + weight * (column_norm_grad * column_norm_grad / param_rows - col_var)
            # column_mean_row_var = mean(row_var, axis=-2)
            column_mean_row_var = row_var.mean(-2, keepdim=True)
            estimate = row_var * col_var / maximum(column_mean_row_var, eps1_or_default)
        else:
            assert variance is not None
            # variance = lerp(variance, grad * grad, weight)
            variance = variance + weight * (grad * grad - variance)
            estimate = variance
        change = rsqrt(maximum(estimate, eps1_or_default * eps1_or_default)) * grad
        # norm_change = norm(change)
        norm_change = change.norm()
        # ratio = norm_change / (param_size ** 0.5 * d)
        ratio = norm_change / (power(param_size, 0.5) * d)
        denom = where(ratio > 1, ratio, 1)
        param = param - alpha / denom * change
        store(param_out, param)
        store(row_var_out, row_var)
        store(col_var_out, col_var)
        store(variance_out, variance)
