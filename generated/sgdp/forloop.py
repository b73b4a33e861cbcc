# Generated from specs/sgdp.yaml by thetac 0.1.0; do not edit.
"""SGDP for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, divide, largest, maximum, sqrt, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    momentum_buffers: Sequence[Tensor],
    ranks_of_params: Sequence[float],
    sizes_of_params: Sequence[float],
    rows_of_params: Sequence[float],
    columns_of_params: Sequence[float],
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    eps: float,
    delta: float,
    wd_ratio: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, momentum_buffer, param_rank, param_size, param_rows, param_columns in zip(
        params,
        grads,
        momentum_buffers,
        ranks_of_params,
        sizes_of_params,
        rows_of_params,
        columns_of_params,
        strict=True,
    ):
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        # momentum_buffer = momentum * momentum_buffer + (1 - dampening) * grad
        momentum_buffer.mul_(momentum).add_(grad, alpha=1 - dampening)
        perturb = momentum_buffer
        if nesterov:
            # perturb = grad + momentum * momentum_buffer
            perturb = grad.add(momentum_buffer, alpha=momentum)
        if param_rank > 1:
            # sum_grad_times_param = sum(grad * param)
            sum_grad_times_param = grad.mul(param).sum().item()
            # norm_grad = norm(grad)
            norm_grad = grad.norm().item()
            # norm_param = norm(param)
            norm_param = param.norm().item()
            cosine = scalar_math.divide(
                abs(sum_grad_times_param), scalar_math.maximum(norm_grad, eps) * scalar_math.maximum(norm_param, eps)
            )
            # unit = param / (norm_param + eps)
            unit = param.div(norm_param + eps)
            # sum_unit_times_perturb = sum(unit * perturb)
            sum_unit_times_perturb = unit.mul(perturb).sum().item()
            # tangent = perturb - unit * sum_unit_times_perturb
            tangent = perturb.sub(unit.mul(sum_unit_times_perturb))
            is_flat = cosine < scalar_math.divide(delta, param_size**0.5)
            # projected = where(is_flat, tangent, perturb)
            projected = (tangent if is_flat else perturb).clone()
            ratio = wd_ratio if is_flat else 1
            if param_rank == 2:
                # row_sum_grad_times_param = sum(grad * param, axis=-1)
                row_sum_grad_times_param = grad.mul(param).sum(-1, keepdim=True)
                # row_norm_grad = norm(grad, axis=-1)
                row_norm_grad = grad.norm(dim=-1, keepdim=True)
                # row_norm_param = norm(param, axis=-1)
                row_norm_param = param.norm(dim=-1, keepdim=True)
                # row_cosine = abs(row_sum_grad_times_param) / (maximum(row_norm_grad, eps) * maximum(row_norm_param,
                #   eps))
                row_cosine = row_sum_grad_times_param.abs().div_(
                    row_norm_grad.clamp(min=eps).mul_(row_norm_param.clamp(min=eps))
                )
                # row_unit = param / (row_norm_param + eps)
                row_unit = param.div(row_norm_param.add(eps))
                # row_sum_row_unit_times_perturb = sum(row_unit * perturb, axis=-1)
                row_sum_row_unit_times_perturb = row_unit.mul(perturb).sum(-1, keepdim=True)
                # row_tangent = perturb - row_unit * row_sum_row_unit_times_perturb
                row_tangent = perturb.addcmul(row_unit, row_sum_row_unit_times_perturb, value=-1)
                # max_row_cosine = max(row_cosine)
                max_row_cosine = largest(row_cosine).item()
                is_row_flat = max_row_cosine < scalar_math.divide(delta, param_columns**0.5)
                # projected = where(is_row_flat, row_tangent, projected)
                projected = (row_tangent if is_row_flat else projected).clone()
                ratio = wd_ratio if is_row_flat else ratio
            if param_rank == 3:
                # row_sum_grad_squared = sum(grad * grad, axis=-1)
                row_sum_grad_squared = grad.mul(grad).sum(-1, keepdim=True)
                # column_sum_row_sum_grad_squared = sum(row_sum_grad_squared, axis=-2)
                column_sum_row_sum_grad_squared = row_sum_grad_squared.sum(-2, keepdim=True)
                # grad_length = sqrt(column_sum_row_sum_grad_squared)
                grad_length = column_sum_row_sum_grad_squared.sqrt()
                # row_sum_param_squared = sum(param * param, axis=-1)
                row_sum_param_squared = param.mul(param).sum(-1, keepdim=True)
                # column_sum_row_sum_param_squared = sum(row_sum_param_squared, axis=-2)
                column_sum_row_sum_param_squared = row_sum_param_squared.sum(-2, keepdim=True)
                # length = sqrt(column_sum_row_sum_param_squared)
                length = column_sum_row_sum_param_squared.sqrt()
                # slice_cosine_part = sum(grad * param, axis=-1)
                slice_cosine_part = grad.mul(param).sum(-1, keepdim=True)
                # column_sum_row_sum_grad_times_param = sum(slice_cosine_part, axis=-2)
                column_sum_row_sum_grad_times_param = slice_cosine_part.sum(-2, keepdim=True)
                # slice_cosine = abs(column_sum_row_sum_grad_times_param) / (maximum(grad_length, eps) * maximum(length,
                #   eps))
                slice_cosine = column_sum_row_sum_grad_times_param.abs().div_(
                    grad_length.clamp(min=eps).mul_(length.clamp(min=eps))
                )
                # slice_unit = param / (length + eps)
                slice_unit = param.div(length.add(eps))
                # row_sum_slice_unit_times_perturb = sum(slice_unit * perturb, axis=-1)
                row_sum_slice_unit_times_perturb = slice_unit.mul(perturb).sum(-1, keepdim=True)
                # slice_tangent_part = sum(row_sum_slice_unit_times_perturb, axis=-2)
                slice_tangent_part = row_sum_slice_unit_times_perturb.sum(-2, keepdim=True)
                # slice_tangent = perturb - slice_unit * slice_tangent_part
                slice_tangent = perturb.addcmul(slice_unit, slice_tangent_part, value=-1)
                # max_slice_cosine = max(slice_cosine)
                max_slice_cosine = largest(slice_cosine).item()
                is_slice_flat = max_slice_cosine < scalar_math.divide(delta, (param_rows * param_columns) ** 0.5)
                # projected = where(is_slice_flat, slice_tangent, projected)
                projected = (slice_tangent if is_slice_flat else projected).clone()
                ratio = wd_ratio if is_slice_flat else ratio
            perturb = projected
            if weight_decay > 0:
                # param = param * (1 - lr * weight_decay * ratio / (1 - momentum))
                param.mul_(1 - lr * weight_decay * ratio / (1 - momentum))
        elif weight_decay > 0:
            # param = param * (1 - lr * weight_decay / (1 - momentum))
            param.mul_(1 - lr * weight_decay / (1 - momentum))
        # param = param - lr * perturb
        param.add_(perturb, alpha=-lr)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    momentum_buffers: Sequence[Tensor],
    ranks_of_params: Sequence[float],
    sizes_of_params: Sequence[float],
    rows_of_params: Sequence[float],
    columns_of_params: Sequence[float],
    lr: float | Tensor,
    momentum: float,
    dampening: float,
    weight_decay: float,
    eps: float,
    delta: float,
    wd_ratio: float,
    nesterov: bool,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, momentum_buffer_out, param_rank, param_size, param_rows, param_columns in zip(
        params,
        grads,
        momentum_buffers,
        ranks_of_params,
        sizes_of_params,
        rows_of_params,
        columns_of_params,
        strict=True,
    ):
        param = param_out
        momentum_buffer = momentum_buffer_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            momentum_buffer = momentum_buffer_out.clone()
        if maximize:
            # maximize
            grad = -grad
        momentum_buffer = momentum * momentum_buffer + (1 - dampening) * grad
        perturb = momentum_buffer
        if nesterov:
            perturb = grad + momentum * momentum_buffer
        if param_rank > 1:
            # sum_grad_times_param = sum(grad * param)
            sum_grad_times_param = (grad * param).sum()
            # norm_grad = norm(grad)
            norm_grad = grad.norm()
            # norm_param = norm(param)
            norm_param = param.norm()
            cosine = abs(sum_grad_times_param) / (maximum(norm_grad, eps) * maximum(norm_param, eps))
            unit = param / (norm_param + eps)
            # sum_unit_times_perturb = sum(unit * perturb)
            sum_unit_times_perturb = (unit * perturb).sum()
            tangent = perturb - unit * sum_unit_times_perturb
            # is_flat = cosine < delta / sqrt(param_size)
            is_flat = cosine < divide(delta, sqrt(param_size))
            projected = where(is_flat, tangent, perturb)
            ratio: Scalar = where(is_flat, wd_ratio, 1)
            if param_rank == 2:
                # row_sum_grad_times_param = sum(grad * param, axis=-1)
                row_sum_grad_times_param = (grad * param).sum(-1, keepdim=True)
                # row_norm_grad = norm(grad, axis=-1)
                row_norm_grad = grad.norm(dim=-1, keepdim=True)
                # row_norm_param = norm(param, axis=-1)
                row_norm_param = param.norm(dim=-1, keepdim=True)
                row_cosine = (
                    abs(row_sum_grad_times_param) / (maximum(row_norm_grad, eps) * maximum(row_norm_param, eps))
                )
                row_unit = param / (row_norm_param + eps)
                # row_sum_row_unit_times_perturb = sum(row_unit * perturb, axis=-1)
                row_sum_row_unit_times_perturb = (row_unit * perturb).sum(-1, keepdim=True)
                row_tangent = perturb - row_unit * row_sum_row_unit_times_perturb
                # max_row_cosine = max(row_cosine)
                max_row_cosine = largest(row_cosine)
                # is_row_flat = max_row_cosine < delta / sqrt(param_columns)
                is_row_flat = max_row_cosine < divide(delta, sqrt(param_columns))
                projected = where(is_row_flat, row_tangent, projected)
                ratio = where(is_row_flat, wd_ratio, ratio)
            if param_rank == 3:
                # row_sum_grad_squared = sum(grad * grad, axis=-1)
                row_sum_grad_squared = (grad * grad).sum(-1, keepdim=True)
                # column_sum_row_sum_grad_squared = sum(row_sum_grad_squared, axis=-2)
                column_sum_row_sum_grad_squared = row_sum_grad_squared.sum(-2, keepdim=True)
                grad_length = sqrt(column_sum_row_sum_grad_squared)
                # row_sum_param_squared = sum(param * param, axis=-1)
                row_sum_param_squared = (param * param).sum(-1, keepdim=True)
                # column_sum_row_sum_param_squared = sum(row_sum_param_squared, axis=-2)
                column_sum_row_sum_param_squared = row_sum_param_squared.sum(-2, keepdim=True)
                length = sqrt(column_sum_row_sum_param_squared)
                # slice_cosine_part = sum(grad * param, axis=-1)
                slice_cosine_part = (grad * param).sum(-1, keepdim=True)
                # column_sum_row_sum_grad_times_param = sum(slice_cosine_part, axis=-2)
                column_sum_row_sum_grad_times_param = slice_cosine_part.sum(-2, keepdim=True)
                slice_cosine = (
                    abs(column_sum_row_sum_grad_times_param) / (maximum(grad_length, eps) * maximum(length, eps))
                )
                slice_unit = param / (length + eps)
                # row_sum_slice_unit_times_perturb = sum(slice_unit * perturb, axis=-1)
                row_sum_slice_unit_times_perturb = (slice_unit * perturb).sum(-1, keepdim=True)
                # slice_tangent_part = sum(row_sum_slice_unit_times_perturb, axis=-2)
                slice_tangent_part = row_sum_slice_unit_times_perturb.sum(-2, keepdim=True)
                slice_tangent = perturb - slice_unit * slice_tangent_part
                # max_slice_cosine = max(slice_cosine)
                max_slice_cosine = largest(slice_cosine)
                # is_slice_flat = max_slice_cosine < delta / sqrt(param_rows * param_columns)
                is_slice_flat = max_slice_cosine < divide(delta, sqrt(param_rows * param_columns))
                projected = where(is_slice_flat, slice_tangent, projected)
                ratio = where(is_slice_flat, wd_ratio, ratio)
            perturb = projected
            if weight_decay > 0:
                param = param * (1 - lr * weight_decay * ratio / (1 - momentum))
        elif weight_decay > 0:
            param = param * (1 - lr * weight_decay / (1 - momentum))
        param = param - lr * perturb
        store(param_out, param)
        store(momentum_buffer_out, momentum_buffer)
