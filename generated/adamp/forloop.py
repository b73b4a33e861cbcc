# Generated from specs/adamp.yaml by thetac 0.1.0; do not edit.
"""AdamP for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, divide, largest, maximum, norm_of_rest, sqrt, store, sum_of_rest, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    ranks_of_params: Sequence[float],
    sizes_of_params: Sequence[float],
    matrix_columns_of_params: Sequence[float],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    delta: float,
    wd_ratio: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, exp_avg, exp_avg_sq, param_rank, param_size, param_matrix_columns in zip(
        params,
        grads,
        steps,
        exp_avgs,
        exp_avg_sqs,
        ranks_of_params,
        sizes_of_params,
        matrix_columns_of_params,
        strict=True,
    ):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        # exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg.mul_(beta1).add_(grad, alpha=1 - beta1)
        # exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        # denom = sqrt(exp_avg_sq) / sqrt(1 - beta2 ** step) + eps
        denom = exp_avg_sq.sqrt().div_(scalar_math.sqrt(1 - beta2**step)).add_(eps)
        if nesterov:
            # perturb = (beta1 * exp_avg + (1 - beta1) * grad) / denom
            perturb = exp_avg.mul(beta1).add_(grad, alpha=1 - beta1).div_(denom)
        else:
            # perturb = exp_avg / denom
            perturb = exp_avg.div(denom)
        rate = lr / (1 - beta1**step)
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
            if weight_decay > 0:
                # param = param * (1 - lr * weight_decay * ratio)
                param.mul_(1 - lr * weight_decay * ratio)
        elif weight_decay > 0:
            # param = param * (1 - lr * weight_decay)
            param.mul_(1 - lr * weight_decay)
        # param = param - rate * perturb
        param.add_(perturb, alpha=-rate)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    exp_avgs: Sequence[Tensor],
    exp_avg_sqs: Sequence[Tensor],
    ranks_of_params: Sequence[float],
    sizes_of_params: Sequence[float],
    matrix_columns_of_params: Sequence[float],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    delta: float,
    wd_ratio: float,
    nesterov: bool,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, exp_avg_out, exp_avg_sq_out, param_rank, param_size, param_matrix_columns in zip(
        params,
        grads,
        steps,
        exp_avgs,
        exp_avg_sqs,
        ranks_of_params,
        sizes_of_params,
        matrix_columns_of_params,
        strict=True,
    ):
        param = param_out
        exp_avg = exp_avg_out
        exp_avg_sq = exp_avg_sq_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            exp_avg = exp_avg_out.clone()
            exp_avg_sq = exp_avg_sq_out.clone()
        step_t += 1
        step = step_t if capturable else step_t.item()
        if maximize:
            # maximize
            grad = -grad
        exp_avg = beta1 * exp_avg + (1 - beta1) * grad
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
        denom = sqrt(exp_avg_sq) / sqrt(1 - beta2**step) + eps
        if nesterov:
            perturb = (beta1 * exp_avg + (1 - beta1) * grad) / denom
        else:
            perturb = exp_avg / denom
        rate = lr / (1 - beta1**step)
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
            if weight_decay > 0:
                param = param * (1 - lr * weight_decay * ratio)
        elif weight_decay > 0:
            param = param * (1 - lr * weight_decay)
        param = param - rate * perturb
        store(param_out, param)
        store(exp_avg_out, exp_avg)
        store(exp_avg_sq_out, exp_avg_sq)
