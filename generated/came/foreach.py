# Generated from specs/came.yaml by thetac 0.1.0; do not edit.
"""CAME for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, read_numbers, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    exp_avgs: TensorList,
    exp_avg_sq_rows: TensorList,
    exp_avg_sq_cols: TensorList,
    exp_avg_res_rows: TensorList,
    exp_avg_res_cols: TensorList,
    exp_avg_sqs: TensorList,
    param_rank: float,
    lr: float,
    eps1: float,
    eps2: float,
    clip_threshold: float,
    beta1: float,
    beta2: float,
    beta3: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        # weight decay: param = param * (1 - lr * weight_decay)
        scale_(params, 1 - lr * weight_decay)
    # square = grad * grad + eps1
    squares = torch._foreach_mul(grads, grads)
    torch._foreach_add_(squares, eps1)
    if param_rank > 1:
        # row_mean_square = mean(square, axis=-1)
        # tensor by tensor: torch has no list operation for `mean along`
        row_mean_squares = [
            square.mean(-1, keepdim=True)
            for square in squares
        ]
        # exp_avg_sq_row = beta2 * exp_avg_sq_row + (1 - beta2) * row_mean_square
        scale_(exp_avg_sq_rows, beta2)
        torch._foreach_add_(exp_avg_sq_rows, row_mean_squares, alpha=1 - beta2)
        # column_mean_square = mean(square, axis=-2)
        # tensor by tensor: torch has no list operation for `mean along`
        column_mean_squares = [
            square.mean(-2, keepdim=True)
            for square in squares
        ]
        # exp_avg_sq_col = beta2 * exp_avg_sq_col + (1 - beta2) * column_mean_square
        scale_(exp_avg_sq_cols, beta2)
        torch._foreach_add_(exp_avg_sq_cols, column_mean_squares, alpha=1 - beta2)
        # column_mean_exp_avg_sq_row = mean(exp_avg_sq_row, axis=-2)
        # tensor by tensor: torch has no list operation for `mean along`
        column_mean_exp_avg_sq_rows = [
            exp_avg_sq_row.mean(-2, keepdim=True)
            for exp_avg_sq_row in exp_avg_sq_rows
        ]
        # scaled = grad * (rsqrt(exp_avg_sq_row / column_mean_exp_avg_sq_row) * rsqrt(exp_avg_sq_col))
        quotients: TensorList = torch._foreach_div(exp_avg_sq_rows, column_mean_exp_avg_sq_rows)
        torch._foreach_rsqrt_(quotients)
        quotients = torch._foreach_mul(quotients, torch._foreach_rsqrt(exp_avg_sq_cols))
        scaleds: TensorList = torch._foreach_mul(grads, quotients)
    else:
        # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * square
        scale_(exp_avg_sqs, beta2)
        torch._foreach_add_(exp_avg_sqs, squares, alpha=1 - beta2)
        # scaled = grad * rsqrt(exp_avg_sq)
        scaleds = torch._foreach_mul(grads, torch._foreach_rsqrt(exp_avg_sqs))
    # mean_scaled_squared = mean(scaled * scaled)
    mean_scaled_squared_tensors = [
        scaled.mul(scaled).mean()
        for scaled in scaleds
    ]
    (mean_scaled_squareds,) = read_numbers(mean_scaled_squared_tensors)
    # scaled = scaled / maximum(sqrt(mean_scaled_squared) / clip_threshold, 1)
    for scaled, mean_scaled_squared in zip(scaleds, mean_scaled_squareds, strict=True):
        scaled.div_(scalar_math.maximum(scalar_math.sqrt(mean_scaled_squared) / clip_threshold, 1))
    # exp_avg = beta1 * exp_avg + (1 - beta1) * scaled
    scale_(exp_avgs, beta1)
    torch._foreach_add_(exp_avgs, scaleds, alpha=1 - beta1)
    # direction = exp_avg
    directions: TensorList = exp_avgs
    if param_rank > 1:
        # instability = (scaled - exp_avg) * (scaled - exp_avg) + eps2
        instabilitys = torch._foreach_sub(scaleds, exp_avgs)
        torch._foreach_mul_(instabilitys, torch._foreach_sub(scaleds, exp_avgs))
        torch._foreach_add_(instabilitys, eps2)
        # row_mean_instability = mean(instability, axis=-1)
        # tensor by tensor: torch has no list operation for `mean along`
        row_mean_instabilitys = [
            instability.mean(-1, keepdim=True)
            for instability in instabilitys
        ]
        # exp_avg_res_row = beta3 * exp_avg_res_row + (1 - beta3) * row_mean_instability
        scale_(exp_avg_res_rows, beta3)
        torch._foreach_add_(exp_avg_res_rows, row_mean_instabilitys, alpha=1 - beta3)
        # column_mean_instability = mean(instability, axis=-2)
        # tensor by tensor: torch has no list operation for `mean along`
        column_mean_instabilitys = [
            instability.mean(-2, keepdim=True)
            for instability in instabilitys
        ]
        # exp_avg_res_col = beta3 * exp_avg_res_col + (1 - beta3) * column_mean_instability
        scale_(exp_avg_res_cols, beta3)
        torch._foreach_add_(exp_avg_res_cols, column_mean_instabilitys, alpha=1 - beta3)
        # column_mean_exp_avg_res_row = mean(exp_avg_res_row, axis=-2)
        # tensor by tensor: torch has no list operation for `mean along`
        column_mean_exp_avg_res_rows = [
            exp_avg_res_row.mean(-2, keepdim=True)
            for exp_avg_res_row in exp_avg_res_rows
        ]
        # direction = exp_avg * (rsqrt(exp_avg_res_row / column_mean_exp_avg_res_row) * rsqrt(exp_avg_res_col))
        quotients_: TensorList = torch._foreach_div(exp_avg_res_rows, column_mean_exp_avg_res_rows)
        torch._foreach_rsqrt_(quotients_)
        quotients_ = torch._foreach_mul(quotients_, torch._foreach_rsqrt(exp_avg_res_cols))
        directions = torch._foreach_mul(exp_avgs, quotients_)
    # param = param - lr * direction
    torch._foreach_add_(params, directions, alpha=-lr)
