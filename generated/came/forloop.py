# Generated from specs/came.yaml by thetac 0.1.0; do not edit.
"""CAME for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import maximum, rsqrt, sqrt, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    exp_avgs: Sequence[Tensor],
    exp_avg_sq_rows: Sequence[Tensor | None],
    exp_avg_sq_cols: Sequence[Tensor | None],
    exp_avg_res_rows: Sequence[Tensor | None],
    exp_avg_res_cols: Sequence[Tensor | None],
    exp_avg_sqs: Sequence[Tensor | None],
    ranks_of_params: Sequence[float],
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
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for (
        param,
        grad,
        exp_avg,
        exp_avg_sq_row,
        exp_avg_sq_col,
        exp_avg_res_row,
        exp_avg_res_col,
        exp_avg_sq,
        param_rank,
    ) in zip(
        params,
        grads,
        exp_avgs,
        exp_avg_sq_rows,
        exp_avg_sq_cols,
        exp_avg_res_rows,
        exp_avg_res_cols,
        exp_avg_sqs,
        ranks_of_params,
        strict=True,
    ):
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            # weight decay: param = param * (1 - lr * weight_decay)
            param.mul_(1 - lr * weight_decay)
        # square = grad * grad + eps1
        square = grad.mul(grad).add_(eps1)
        if param_rank > 1:
            # row_mean_square = mean(square, axis=-1)
            row_mean_square = square.mean(-1, keepdim=True)
            assert exp_avg_sq_row is not None
            # exp_avg_sq_row = beta2 * exp_avg_sq_row + (1 - beta2) * row_mean_square
            exp_avg_sq_row.mul_(beta2).add_(row_mean_square, alpha=1 - beta2)
            # column_mean_square = mean(square, axis=-2)
            column_mean_square = square.mean(-2, keepdim=True)
            assert exp_avg_sq_col is not None
            # exp_avg_sq_col = beta2 * exp_avg_sq_col + (1 - beta2) * column_mean_square
            exp_avg_sq_col.mul_(beta2).add_(column_mean_square, alpha=1 - beta2)
            # column_mean_exp_avg_sq_row = mean(exp_avg_sq_row, axis=-2)
            column_mean_exp_avg_sq_row = exp_avg_sq_row.mean(-2, keepdim=True)
            # scaled = grad * (rsqrt(exp_avg_sq_row / column_mean_exp_avg_sq_row) * rsqrt(exp_avg_sq_col))
            scaled = grad.mul(exp_avg_sq_row.div(column_mean_exp_avg_sq_row).rsqrt_().mul(exp_avg_sq_col.rsqrt()))
        else:
            assert exp_avg_sq is not None
            # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * square
            exp_avg_sq.mul_(beta2).add_(square, alpha=1 - beta2)
            # scaled = grad * rsqrt(exp_avg_sq)
            scaled = grad.mul(exp_avg_sq.rsqrt())
        # mean_scaled_squared = mean(scaled * scaled)
        mean_scaled_squared = scaled.mul(scaled).mean().item()
        # scaled = scaled / maximum(sqrt(mean_scaled_squared) / clip_threshold, 1)
        scaled.div_(scalar_math.maximum(scalar_math.sqrt(mean_scaled_squared) / clip_threshold, 1))
        # exp_avg = beta1 * exp_avg + (1 - beta1) * scaled
        exp_avg.mul_(beta1).add_(scaled, alpha=1 - beta1)
        direction = exp_avg
        if param_rank > 1:
            # instability = (scaled - exp_avg) * (scaled - exp_avg) + eps2
            instability = scaled.sub(exp_avg).mul_(scaled.sub(exp_avg)).add_(eps2)
            # row_mean_instability = mean(instability, axis=-1)
            row_mean_instability = instability.mean(-1, keepdim=True)
            assert exp_avg_res_row is not None
            # exp_avg_res_row = beta3 * exp_avg_res_row + (1 - beta3) * row_mean_instability
            exp_avg_res_row.mul_(beta3).add_(row_mean_instability, alpha=1 - beta3)
            # column_mean_instability = mean(instability, axis=-2)
            column_mean_instability = instability.mean(-2, keepdim=True)
            assert exp_avg_res_col is not None
            # exp_avg_res_col = beta3 * exp_avg_res_col + (1 - beta3) * column_mean_instability
            exp_avg_res_col.mul_(beta3).add_(column_mean_instability, alpha=1 - beta3)
            # column_mean_exp_avg_res_row = mean(exp_avg_res_row, axis=-2)
            column_mean_exp_avg_res_row = exp_avg_res_row.mean(-2, keepdim=True)
            # direction = exp_avg * (rsqrt(exp_avg_res_row / column_mean_exp_avg_res_row) * rsqrt(exp_avg_res_col))
            direction = exp_avg.mul(
                exp_avg_res_row.div(column_mean_exp_avg_res_row).rsqrt_().mul(exp_avg_res_col.rsqrt())
            )
        # param = param - lr * direction
        param.add_(direction, alpha=-lr)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    exp_avgs: Sequence[Tensor],
    exp_avg_sq_rows: Sequence[Tensor | None],
    exp_avg_sq_cols: Sequence[Tensor | None],
    exp_avg_res_rows: Sequence[Tensor | None],
    exp_avg_res_cols: Sequence[Tensor | None],
    exp_avg_sqs: Sequence[Tensor | None],
    ranks_of_params: Sequence[float],
    lr: float | Tensor,
    eps1: float,
    eps2: float,
    clip_threshold: float,
    beta1: float,
    beta2: float,
    beta3: float,
    weight_decay: float,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for (
        param_out,
        grad,
        exp_avg_out,
        exp_avg_sq_row_out,
        exp_avg_sq_col_out,
        exp_avg_res_row_out,
        exp_avg_res_col_out,
        exp_avg_sq_out,
        param_rank,
    ) in zip(
        params,
        grads,
        exp_avgs,
        exp_avg_sq_rows,
        exp_avg_sq_cols,
        exp_avg_res_rows,
        exp_avg_res_cols,
        exp_avg_sqs,
        ranks_of_params,
        strict=True,
    ):
        param = param_out
        exp_avg = exp_avg_out
        exp_avg_sq_row = exp_avg_sq_row_out
        exp_avg_sq_col = exp_avg_sq_col_out
        exp_avg_res_row = exp_avg_res_row_out
        exp_avg_res_col = exp_avg_res_col_out
        exp_avg_sq = exp_avg_sq_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg = exp_avg_out.clone()
            exp_avg_sq_row = exp_avg_sq_row_out.clone() if exp_avg_sq_row_out is not None else None
            exp_avg_sq_col = exp_avg_sq_col_out.clone() if exp_avg_sq_col_out is not None else None
            exp_avg_res_row = exp_avg_res_row_out.clone() if exp_avg_res_row_out is not None else None
            exp_avg_res_col = exp_avg_res_col_out.clone() if exp_avg_res_col_out is not None else None
            exp_avg_sq = exp_avg_sq_out.clone() if exp_avg_sq_out is not None else None
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            # weight decay
            param = param * (1 - lr * weight_decay)
        square = grad * grad + eps1
        if param_rank > 1:
            # row_mean_square = mean(square, axis=-1)
            row_mean_square = square.mean(-1, keepdim=True)
            assert exp_avg_sq_row is not None
            exp_avg_sq_row = beta2 * exp_avg_sq_row + (1 - beta2) * row_mean_square
            # column_mean_square = mean(square, axis=-2)
            column_mean_square = square.mean(-2, keepdim=True)
            assert exp_avg_sq_col is not None
            exp_avg_sq_col = beta2 * exp_avg_sq_col + (1 - beta2) * column_mean_square
            # column_mean_exp_avg_sq_row = mean(exp_avg_sq_row, axis=-2)
            column_mean_exp_avg_sq_row = exp_avg_sq_row.mean(-2, keepdim=True)
            scaled = grad * (rsqrt(exp_avg_sq_row / column_mean_exp_avg_sq_row) * rsqrt(exp_avg_sq_col))
        else:
            assert exp_avg_sq is not None
            exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * square
            scaled = grad * rsqrt(exp_avg_sq)
        # mean_scaled_squared = mean(scaled * scaled)
        mean_scaled_squared = (scaled * scaled).mean()
        scaled = scaled / maximum(sqrt(mean_scaled_squared) / clip_threshold, 1)
        exp_avg = beta1 * exp_avg + (1 - beta1) * scaled
        direction = exp_avg
        if param_rank > 1:
            instability = (scaled - exp_avg) * (scaled - exp_avg) + eps2
            # row_mean_instability = mean(instability, axis=-1)
            row_mean_instability = instability.mean(-1, keepdim=True)
            assert exp_avg_res_row is not None
            exp_avg_res_row = beta3 * exp_avg_res_row + (1 - beta3) * row_mean_instability
            # column_mean_instability = mean(instability, axis=-2)
            column_mean_instability = instability.mean(-2, keepdim=True)
            assert exp_avg_res_col is not None
            exp_avg_res_col = beta3 * exp_avg_res_col + (1 - beta3) * column_mean_instability
            # column_mean_exp_avg_res_row = mean(exp_avg_res_row, axis=-2)
            column_mean_exp_avg_res_row = exp_avg_res_row.mean(-2, keepdim=True)
            direction = exp_avg * (rsqrt(exp_avg_res_row / column_mean_exp_avg_res_row) * rsqrt(exp_avg_res_col))
        param = param - lr * direction
        store(param_out, param)
        store(exp_avg_out, exp_avg)
        store(exp_avg_sq_row_out, exp_avg_sq_row)
        store(exp_avg_sq_col_out, exp_avg_sq_col)
        store(exp_avg_res_row_out, exp_avg_res_row)
        store(exp_avg_res_col_out, exp_avg_res_col)
        store(exp_avg_sq_out, exp_avg_sq)
