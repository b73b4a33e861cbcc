# Generated from specs/sgdp.yaml by thetac 0.1.0; do not edit.
"""SGDP for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import (
    Scalar, copied, divide, largest, maximum, norm_of_rest, sqrt, store, sum_of_rest, where
)


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    momentum_buffers: Sequence[Tensor],
    ranks_of_params: Sequence[float],
    sizes_of_params: Sequence[float],
    matrix_columns_of_params: Sequence[float],
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
    for param, grad, momentum_buffer, param_rank, param_size, param_matrix_columns in zip(
        params, grads, momentum_buffers, ranks_of_params, sizes_of_params, matrix_columns_of_params, strict=True
    ):
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        # momentum_buffer = momentum * momentum_buffer + (1 - dampening) * grad
        momentum_buffer.mul_(momentum).add_(grad, alpha=1 - dampening)
        # perturb = momentum_buffer
        perturb = momentum_buffer.clone()
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
            is_flat = cosine < scalar_math.divide(delta, scalar_math.sqrt(param_size))
            # projected = where(is_flat, tangent, perturb)
            projected = (tangent if is_flat else perturb).clone()
            ratio = wd_ratio if is_flat else 1
            # row_sum_grad_times_param = sum(grad * param, axis=-1)
            row_sum_grad_times_param = sum_of_rest(grad.mul(param))
            # row_norm_grad = norm(grad, axis=-1)
            row_norm_grad = norm_of_rest(grad)
            # row_norm_param = norm(param, axis=-1)
            row_norm_param = norm_of_rest(param)
            # row_cosine = abs(row_sum_grad_times_param) / (maximum(row_norm_grad, eps) * maximum(row_norm_param, eps))
            row_cosine = row_sum_grad_times_param.abs().div_(
                row_norm_grad.clamp(min=eps).mul_(row_norm_param.clamp(min=eps))
            )
            # row_unit = param / (row_norm_param + eps)
            row_unit = param.div(row_norm_param.add(eps))
            # row_sum_row_unit_times_perturb = sum(row_unit * perturb, axis=-1)
            row_sum_row_unit_times_perturb = sum_of_rest(row_unit.mul(perturb))
            # row_tangent = perturb - row_unit * row_sum_row_unit_times_perturb
            row_tangent = perturb.addcmul(row_unit, row_sum_row_unit_times_perturb, value=-1)
            # max_row_cosine = max(row_cosine)
            max_row_cosine = largest(row_cosine).item()
            is_row_flat = max_row_cosine < scalar_math.divide(delta, scalar_math.sqrt(param_matrix_columns))
            # projected = where(is_row_flat, row_tangent, projected)
            projected = (row_tangent if is_row_flat else projected).clone()
            ratio = wd_ratio if is_row_flat else ratio
            perturb = projected
            if not nesterov:
                # momentum_buffer = projected
                momentum_buffer.copy_(projected)
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
    matrix_columns_of_params: Sequence[float],
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
    for param_out, grad, momentum_buffer_out, param_rank, param_size, param_matrix_columns in zip(
        params, grads, momentum_buffers, ranks_of_params, sizes_of_params, matrix_columns_of_params, strict=True
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
            # row_sum_grad_times_param = sum(grad * param, axis=-1)
            row_sum_grad_times_param = sum_of_rest(grad * param)
            # row_norm_grad = norm(grad, axis=-1)
            row_norm_grad = norm_of_rest(grad)
            # row_norm_param = norm(param, axis=-1)
            row_norm_param = norm_of_rest(param)
            row_cosine = abs(row_sum_grad_times_param) / (maximum(row_norm_grad, eps) * maximum(row_norm_param, eps))
            row_unit = param / (row_norm_param + eps)
            # row_sum_row_unit_times_perturb = sum(row_unit * perturb, axis=-1)
            row_sum_row_unit_times_perturb = sum_of_rest(row_unit * perturb)
            row_tangent = perturb - row_unit * row_sum_row_unit_times_perturb
            # max_row_cosine = max(row_cosine)
            max_row_cosine = largest(row_cosine)
            # is_row_flat = max_row_cosine < delta / sqrt(param_matrix_columns)
            is_row_flat = max_row_cosine < divide(delta, sqrt(param_matrix_columns))
            projected = where(is_row_flat, row_tangent, projected)
            ratio = where(is_row_flat, wd_ratio, ratio)
            perturb = projected
            if not nesterov:
                # momentum_buffer = projected
                momentum_buffer = copied(projected)
            if weight_decay > 0:
                param = param * (1 - lr * weight_decay * ratio / (1 - momentum))
        elif weight_decay > 0:
            param = param * (1 - lr * weight_decay / (1 - momentum))
        param = param - lr * perturb
        store(param_out, param)
        store(momentum_buffer_out, momentum_buffer)
