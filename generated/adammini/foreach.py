# Generated from specs/adam_mini.yaml by thetac 0.1.0; do not edit.
"""AdamMini for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, increment, mean_of_blocks, mean_of_rest, read_numbers, scale_, store


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    ms: TensorList,
    vs: TensorList,
    v_rows: TensorList,
    vmeans: TensorList,
    param_rank: float,
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
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if blocks_is_tensor or blocks_is_row and param_rank <= 1:
        (vmean_numbers,) = read_numbers(vmeans)
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        # weight decay: param = param * (1 - lr * weight_decay)
        scale_(params, 1 - lr * weight_decay)
    # m = lerp(m, grad, 1 - beta1)
    torch._foreach_lerp_(ms, grads, 1 - beta1)
    rate = lr / (1 - beta1**step)
    correction = scalar_math.sqrt(1 - beta2**step)
    if blocks_is_element:
        # v = beta2 * v + (1 - beta2) * grad * grad
        scale_(vs, beta2)
        torch._foreach_addcmul_(vs, grads, grads, value=1 - beta2)
        # param = param - rate * m / (sqrt(v) / correction + eps)
        roots = torch._foreach_sqrt(vs)
        torch._foreach_div_(roots, correction)
        torch._foreach_add_(roots, eps)
        torch._foreach_addcdiv_(params, ms, roots, value=-rate)
    if (blocks_is_row or blocks_is_head) and param_rank > 1:
        # square = mean(grad * grad, axis=-1)
        # tensor by tensor: torch has no list operation for `mean along`
        squares: TensorList = [
            mean_of_rest(grad.mul(grad))
            for grad in grads
        ]
        if blocks_is_head:
            # square = mean_of_blocks(square, n_heads)
            # tensor by tensor: torch has no list operation for `mean_of_blocks`
            squares = [
                mean_of_blocks(square, n_heads)
                for square in squares
            ]
        # v_row = beta2 * v_row + (1 - beta2) * square
        scale_(v_rows, beta2)
        torch._foreach_add_(v_rows, squares, alpha=1 - beta2)
        # param = param - m * (rate / (sqrt(v_row) / correction + eps))
        roots_ = torch._foreach_sqrt(v_rows)
        torch._foreach_div_(roots_, correction)
        torch._foreach_add_(roots_, eps)
        torch._foreach_reciprocal_(roots_)
        scale_(roots_, rate)
        torch._foreach_addcmul_(params, ms, roots_, value=-1)
    if blocks_is_tensor or blocks_is_row and param_rank <= 1:
        # mean_grad_squared = mean(grad * grad)
        mean_grad_squared_tensors = [
            grad.mul(grad).mean()
            for grad in grads
        ]
        (mean_grad_squareds,) = read_numbers(mean_grad_squared_tensors)
        # vmean = beta2 * vmean + (1 - beta2) * mean_grad_squared
        for vmean_t, vmean, mean_grad_squared in zip(vmeans, vmean_numbers, mean_grad_squareds, strict=True):
            store(vmean_t, beta2 * vmean + (1 - beta2) * mean_grad_squared)
        (vmean_numbers,) = read_numbers(vmeans)
        # param = param - m * (rate / (sqrt(vmean) / correction + eps))
        for param, m, vmean in zip(params, ms, vmean_numbers, strict=True):
            param.sub_(m.mul(scalar_math.divide(rate, scalar_math.sqrt(vmean) / correction + eps)))
