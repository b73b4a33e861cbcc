# Generated from specs/tiger.yaml by thetac 0.1.0; do not edit.
"""Tiger for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, copied, largest, sign, sqrt, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    ms: Sequence[Tensor],
    ranks_of_params: Sequence[float],
    lr: float,
    beta: float,
    weight_decay: float,
    grad_accum_steps: float,
    shrink_ratio: float,
    kind_is_matrix: bool,
    kind_is_embedding: bool,
    kind_is_gain: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, m, param_rank in zip(params, grads, steps, ms, ranks_of_params, strict=True):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        # broken_part = max(where(grad == grad, 0, 1))
        broken_part = largest(torch.where(grad == grad, 0, param.new_full((), 1))).item()
        # a NaN is not itself
        broken = broken_part > 0
        kept = 1.0
        if (step - 1) % grad_accum_steps == 0:
            kept = beta
        rate = 0.0
        if step % grad_accum_steps == 0:
            rate = lr
        # mean_grad = kept * m + (1 - beta) / grad_accum_steps * grad
        mean_grad = m.mul(kept).add_(grad, alpha=(1 - beta) / grad_accum_steps)
        # m = where(broken, m, mean_grad)
        m.copy_((m if broken else mean_grad).clone())
        center = 0.0
        if kind_is_gain:
            center = 1.0
        # change = sign(m)
        change = m.sign()
        if kind_is_embedding and param_rank > 1:
            # row_mean_param_squared = mean(param * param, axis=-1)
            row_mean_param_squared = param.mul(param).mean(-1, keepdim=True)
            # change = (change + weight_decay * param) * (rate * sqrt(row_mean_param_squared))
            change.add_(param, alpha=weight_decay).mul_(row_mean_param_squared.sqrt().mul_(rate))
        elif kind_is_matrix or kind_is_embedding:
            # mean_param_squared = mean(param * param)
            mean_param_squared = param.mul(param).mean().item()
            # change = (change + weight_decay * param) * (rate * sqrt(mean_param_squared))
            change.add_(param, alpha=weight_decay).mul_(rate * scalar_math.sqrt(mean_param_squared))
        else:
            # change = change * (rate * 0.5)
            change.mul_(rate * 0.5)
        # param = where(broken, (param - center) * shrink_ratio + center, param - change)
        param.copy_((param.sub(center).mul_(shrink_ratio).add_(center) if broken else param.sub(change)).clone())


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    ms: Sequence[Tensor],
    ranks_of_params: Sequence[float],
    lr: float | Tensor,
    beta: float,
    weight_decay: float,
    grad_accum_steps: float,
    shrink_ratio: float,
    kind_is_matrix: bool,
    kind_is_embedding: bool,
    kind_is_gain: bool,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, m_out, param_rank in zip(params, grads, steps, ms, ranks_of_params, strict=True):
        param = param_out
        m = m_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            m = m_out.clone()
        step_t += 1
        step = step_t if capturable else step_t.item()
        if maximize:
            # maximize
            grad = -grad
        # broken_part = max(where(grad == grad, 0, 1))
        broken_part = largest(where(grad == grad, 0, 1))
        # a NaN is not itself
        broken = broken_part > 0
        kept: Scalar = 1.0
        if capturable:
            kept_if_so = beta
            kept = where((step - 1) % grad_accum_steps == 0, kept_if_so, kept)
        elif (step - 1) % grad_accum_steps == 0:
            kept = beta
        rate: Scalar = 0.0
        if capturable:
            rate_if_so = lr
            rate = where(step % grad_accum_steps == 0, rate_if_so, rate)
        elif step % grad_accum_steps == 0:
            rate = lr
        mean_grad = kept * m + (1 - beta) / grad_accum_steps * grad
        # m = where(broken, m, mean_grad)
        m = copied(where(broken, m, mean_grad))
        center: Scalar = 0.0
        if kind_is_gain:
            center = 1.0
        change = sign(m)
        if kind_is_embedding and param_rank > 1:
            # row_mean_param_squared = mean(param * param, axis=-1)
            row_mean_param_squared = (param * param).mean(-1, keepdim=True)
            change = (change + weight_decay * param) * (rate * sqrt(row_mean_param_squared))
        elif kind_is_matrix or kind_is_embedding:
            # mean_param_squared = mean(param * param)
            mean_param_squared = (param * param).mean()
            change = (change + weight_decay * param) * (rate * sqrt(mean_param_squared))
        else:
            change = change * (rate * 0.5)
        # param = where(broken, (param - center) * shrink_ratio + center, param - change)
        param = copied(where(broken, (param - center) * shrink_ratio + center, param - change))
        store(param_out, param)
        store(m_out, m)
