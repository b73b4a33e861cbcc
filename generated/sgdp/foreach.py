# Generated from specs/sgdp.yaml by thetac 0.1.0; do not edit.
"""SGDP for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, largest, norm_of_rest, read_numbers, scale_, sum_of_rest


def step(
    params: TensorList,
    grads: TensorList,
    *,
    momentum_buffers: TensorList,
    param_rank: float,
    param_size: float,
    param_matrix_columns: float,
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
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    # momentum_buffer = momentum * momentum_buffer + (1 - dampening) * grad
    scale_(momentum_buffers, momentum)
    torch._foreach_add_(momentum_buffers, grads, alpha=1 - dampening)
    # perturb = momentum_buffer
    # tensor by tensor: torch has no list operation for `clone`
    perturbs: TensorList = [
        momentum_buffer.clone()
        for momentum_buffer in momentum_buffers
    ]
    if nesterov:
        # perturb = grad + momentum * momentum_buffer
        perturbs = torch._foreach_add(grads, momentum_buffers, alpha=momentum)
    if param_rank > 1:
        # sum_grad_times_param = sum(grad * param)
        sum_grad_times_param_tensors = [
            grad.mul(param).sum()
            for grad, param in zip(grads, params, strict=True)
        ]
        # norm_grad = norm(grad)
        norm_grad_tensors = torch._foreach_norm(grads)
        # norm_param = norm(param)
        norm_param_tensors = torch._foreach_norm(params)
        sum_grad_times_params, norm_grads, norm_params = read_numbers(
            sum_grad_times_param_tensors, norm_grad_tensors, norm_param_tensors
        )
        # cosine = abs(sum_grad_times_param) / (maximum(norm_grad, eps) * maximum(norm_param, eps))
        cosines = [
            scalar_math.divide(
                abs(sum_grad_times_param), scalar_math.maximum(norm_grad, eps) * scalar_math.maximum(norm_param, eps)
            )
            for sum_grad_times_param, norm_grad, norm_param in zip(
                sum_grad_times_params, norm_grads, norm_params, strict=True
            )
        ]
        # unit = param / (norm_param + eps)
        units = [
            param.div(norm_param + eps)
            for param, norm_param in zip(params, norm_params, strict=True)
        ]
        # sum_unit_times_perturb = sum(unit * perturb)
        sum_unit_times_perturb_tensors = [
            unit.mul(perturb).sum()
            for unit, perturb in zip(units, perturbs, strict=True)
        ]
        (sum_unit_times_perturbs,) = read_numbers(sum_unit_times_perturb_tensors)
        # tangent = perturb - unit * sum_unit_times_perturb
        tangents = [
            perturb.sub(unit.mul(sum_unit_times_perturb))
            for perturb, unit, sum_unit_times_perturb in zip(perturbs, units, sum_unit_times_perturbs, strict=True)
        ]
        # is_flat = cosine < delta / sqrt(param_size)
        is_flats = [
            cosine < scalar_math.divide(delta, scalar_math.sqrt(param_size))
            for cosine in cosines
        ]
        # projected = where(is_flat, tangent, perturb)
        # tensor by tensor: torch has no list operation for `clone` or `choose`
        projecteds: TensorList = [
            (tangent if is_flat else perturb).clone()
            for tangent, perturb, is_flat in zip(tangents, perturbs, is_flats, strict=True)
        ]
        # ratio = where(is_flat, wd_ratio, 1)
        ratios: list[float] = [
            wd_ratio if is_flat else 1
            for is_flat in is_flats
        ]
        # row_sum_grad_times_param = sum(grad * param, axis=-1)
        # tensor by tensor: torch has no list operation for `sum along`
        row_sum_grad_times_params = [
            sum_of_rest(grad.mul(param))
            for grad, param in zip(grads, params, strict=True)
        ]
        # row_norm_grad = norm(grad, axis=-1)
        # tensor by tensor: torch has no list operation for `norm along`
        row_norm_grads = [
            norm_of_rest(grad)
            for grad in grads
        ]
        # row_norm_param = norm(param, axis=-1)
        # tensor by tensor: torch has no list operation for `norm along`
        row_norm_params = [
            norm_of_rest(param)
            for param in params
        ]
        # row_cosine = abs(row_sum_grad_times_param) / (maximum(row_norm_grad, eps) * maximum(row_norm_param, eps))
        row_cosines = torch._foreach_abs(row_sum_grad_times_params)
        maxima = torch._foreach_clamp_min(row_norm_grads, eps)
        torch._foreach_mul_(maxima, torch._foreach_clamp_min(row_norm_params, eps))
        torch._foreach_div_(row_cosines, maxima)
        # row_unit = param / (row_norm_param + eps)
        row_units = torch._foreach_div(params, torch._foreach_add(row_norm_params, eps))
        # row_sum_row_unit_times_perturb = sum(row_unit * perturb, axis=-1)
        # tensor by tensor: torch has no list operation for `sum along`
        row_sum_row_unit_times_perturbs = [
            sum_of_rest(row_unit.mul(perturb))
            for row_unit, perturb in zip(row_units, perturbs, strict=True)
        ]
        # row_tangent = perturb - row_unit * row_sum_row_unit_times_perturb
        row_tangents = torch._foreach_addcmul(perturbs, row_units, row_sum_row_unit_times_perturbs, value=-1)
        # max_row_cosine = max(row_cosine)
        max_row_cosine_tensors = [
            largest(row_cosine)
            for row_cosine in row_cosines
        ]
        (max_row_cosines,) = read_numbers(max_row_cosine_tensors)
        # is_row_flat = max_row_cosine < delta / sqrt(param_matrix_columns)
        is_row_flats = [
            max_row_cosine < scalar_math.divide(delta, scalar_math.sqrt(param_matrix_columns))
            for max_row_cosine in max_row_cosines
        ]
        # projected = where(is_row_flat, row_tangent, projected)
        # tensor by tensor: torch has no list operation for `clone` or `choose`
        projecteds = [
            (row_tangent if is_row_flat else projected).clone()
            for row_tangent, projected, is_row_flat in zip(row_tangents, projecteds, is_row_flats, strict=True)
        ]
        # ratio = where(is_row_flat, wd_ratio, ratio)
        ratios = [
            wd_ratio if is_row_flat else ratio
            for is_row_flat, ratio in zip(is_row_flats, ratios, strict=True)
        ]
        # perturb = projected
        perturbs = projecteds
        if not nesterov:
            # momentum_buffer = projected
            torch._foreach_copy_(momentum_buffers, projecteds)
        if weight_decay > 0:
            # param = param * (1 - lr * weight_decay * ratio / (1 - momentum))
            for param, ratio in zip(params, ratios, strict=True):
                param.mul_(1 - lr * weight_decay * ratio / (1 - momentum))
    elif weight_decay > 0:
        # param = param * (1 - lr * weight_decay / (1 - momentum))
        scale_(params, 1 - lr * weight_decay / (1 - momentum))
    # param = param - lr * perturb
    torch._foreach_add_(params, perturbs, alpha=-lr)
