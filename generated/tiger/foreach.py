# Generated from specs/tiger.yaml by thetac 0.1.0; do not edit.
"""Tiger for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, increment, largest, read_numbers, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    ms: TensorList,
    param_rank: float,
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
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    # broken_part = max(where(grad == grad, 0, 1))
    broken_part_tensors = [
        largest(torch.where(grad == grad, 0, param.new_full((), 1)))
        for grad, param in zip(grads, params, strict=True)
    ]
    (broken_parts,) = read_numbers(broken_part_tensors)
    # a NaN is not itself: broken = broken_part > 0
    brokens = [
        broken_part > 0
        for broken_part in broken_parts
    ]
    kept = 1.0
    if (step - 1) % grad_accum_steps == 0:
        kept = beta
    rate = 0.0
    if step % grad_accum_steps == 0:
        rate = lr
    # mean_grad = kept * m + (1 - beta) / grad_accum_steps * grad
    mean_grads = torch._foreach_mul(ms, kept)
    torch._foreach_add_(mean_grads, grads, alpha=(1 - beta) / grad_accum_steps)
    # m = where(broken, m, mean_grad)
    # tensor by tensor: torch has no list operation for `clone` or `choose`
    for m, mean_grad, broken in zip(ms, mean_grads, brokens, strict=True):
        m.copy_((m if broken else mean_grad).clone())
    center = 0.0
    if kind_is_gain:
        center = 1.0
    # change = sign(m)
    changes = torch._foreach_sign(ms)
    if kind_is_embedding and param_rank > 1:
        # row_mean_param_squared = mean(param * param, axis=-1)
        # tensor by tensor: torch has no list operation for `mean along`
        row_mean_param_squareds = [
            param.mul(param).mean(-1, keepdim=True)
            for param in params
        ]
        # change = (change + weight_decay * param) * (rate * sqrt(row_mean_param_squared))
        torch._foreach_add_(changes, params, alpha=weight_decay)
        roots = torch._foreach_sqrt(row_mean_param_squareds)
        scale_(roots, rate)
        torch._foreach_mul_(changes, roots)
    elif kind_is_matrix or kind_is_embedding:
        # mean_param_squared = mean(param * param)
        mean_param_squared_tensors = [
            param.mul(param).mean()
            for param in params
        ]
        (mean_param_squareds,) = read_numbers(mean_param_squared_tensors)
        # change = (change + weight_decay * param) * (rate * sqrt(mean_param_squared))
        for change, param, mean_param_squared in zip(changes, params, mean_param_squareds, strict=True):
            change.add_(param, alpha=weight_decay).mul_(rate * scalar_math.sqrt(mean_param_squared))
    else:
        # change = change * (rate * 0.5)
        scale_(changes, rate * 0.5)
    # param = where(broken, (param - center) * shrink_ratio + center, param - change)
    # tensor by tensor: torch has no list operation for `clone` or `choose`
    for param, change, broken in zip(params, changes, brokens, strict=True):
        param.copy_((param.sub(center).mul_(shrink_ratio).add_(center) if broken else param.sub(change)).clone())
