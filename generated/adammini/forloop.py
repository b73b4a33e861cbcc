# Generated from specs/adam_mini.yaml by thetac 0.1.0; do not edit.
"""AdamMini for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, mean_of_blocks, mean_of_rest, sqrt, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    ms: Sequence[Tensor],
    vs: Sequence[Tensor | None],
    v_rows: Sequence[Tensor | None],
    vmeans: Sequence[Tensor | None],
    ranks_of_params: Sequence[float],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    n_heads: float,
    blocks_is_tensor: bool,
    blocks_is_row: bool,
    blocks_is_head: bool,
    blocks_is_element: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, m, v, v_row, vmean_t, param_rank in zip(
        params, grads, steps, ms, vs, v_rows, vmeans, ranks_of_params, strict=True
    ):
        step_t += 1
        step = step_t.item()
        if blocks_is_tensor or blocks_is_row and param_rank <= 1:
            assert vmean_t is not None
            vmean = vmean_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            # weight decay: param = param * (1 - lr * weight_decay)
            param.mul_(1 - lr * weight_decay)
        # m = lerp(m, grad, 1 - beta1)
        m.lerp_(grad, 1 - beta1)
        rate = lr / (1 - beta1**step)
        correction = scalar_math.sqrt(1 - beta2**step)
        if blocks_is_element:
            assert v is not None
            # v = beta2 * v + (1 - beta2) * grad * grad
            v.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
            # param = param - rate * m / (sqrt(v) / correction + eps)
            param.addcdiv_(m, v.sqrt().div_(correction).add_(eps), value=-rate)
        if (blocks_is_row or blocks_is_head) and param_rank > 1:
            # square = mean(grad * grad, axis=-1)
            square = mean_of_rest(grad.mul(grad))
            if blocks_is_head:
                square = mean_of_blocks(square, n_heads)
            assert v_row is not None
            # v_row = beta2 * v_row + (1 - beta2) * square
            v_row.mul_(beta2).add_(square, alpha=1 - beta2)
            # param = param - m * (rate / (sqrt(v_row) / correction + eps))
            param.addcmul_(m, v_row.sqrt().div_(correction).add_(eps).reciprocal_().mul_(rate), value=-1)
        if blocks_is_tensor or blocks_is_row and param_rank <= 1:
            # mean_grad_squared = mean(grad * grad)
            mean_grad_squared = grad.mul(grad).mean().item()
            assert vmean_t is not None
            # vmean = beta2 * vmean + (1 - beta2) * mean_grad_squared
            store(vmean_t, beta2 * vmean + (1 - beta2) * mean_grad_squared)
            vmean = vmean_t.item()
            # param = param - m * (rate / (sqrt(vmean) / correction + eps))
            param.sub_(m.mul(scalar_math.divide(rate, scalar_math.sqrt(vmean) / correction + eps)))


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    ms: Sequence[Tensor],
    vs: Sequence[Tensor | None],
    v_rows: Sequence[Tensor | None],
    vmeans: Sequence[Tensor | None],
    ranks_of_params: Sequence[float],
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    n_heads: float,
    blocks_is_tensor: bool,
    blocks_is_row: bool,
    blocks_is_head: bool,
    blocks_is_element: bool,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, m_out, v_out, v_row_out, vmean_out, param_rank in zip(
        params, grads, steps, ms, vs, v_rows, vmeans, ranks_of_params, strict=True
    ):
        param = param_out
        m = m_out
        v = v_out
        v_row = v_row_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            m = m_out.clone()
            v = v_out.clone() if v_out is not None else None
            v_row = v_row_out.clone() if v_row_out is not None else None
        vmean: Scalar | None = None
        step_t += 1
        step = step_t if capturable else step_t.item()
        if blocks_is_tensor or blocks_is_row and param_rank <= 1:
            assert vmean_out is not None
            vmean = vmean_out.clone() if differentiable else vmean_out
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            # weight decay
            param = param * (1 - lr * weight_decay)
        # m = lerp(m, grad, 1 - beta1)
        m = m + (1 - beta1) * (grad - m)
        rate = lr / (1 - beta1**step)
        correction = sqrt(1 - beta2**step)
        if blocks_is_element:
            assert v is not None
            v = beta2 * v + (1 - beta2) * grad * grad
            param = param - rate * m / (sqrt(v) / correction + eps)
        if (blocks_is_row or blocks_is_head) and param_rank > 1:
            # square = mean(grad * grad, axis=-1)
            square = mean_of_rest(grad * grad)
            if blocks_is_head:
                square = mean_of_blocks(square, n_heads)
            assert v_row is not None
            v_row = beta2 * v_row + (1 - beta2) * square
            param = param - m * (rate / (sqrt(v_row) / correction + eps))
        if blocks_is_tensor or blocks_is_row and param_rank <= 1:
            # mean_grad_squared = mean(grad * grad)
            mean_grad_squared = (grad * grad).mean()
            assert vmean is not None
            vmean = beta2 * vmean + (1 - beta2) * mean_grad_squared
            param = param - m * (rate / (sqrt(vmean) / correction + eps))
        store(param_out, param)
        store(m_out, m)
        store(v_out, v)
        store(v_row_out, v_row)
        store(vmean_out, vmean)
