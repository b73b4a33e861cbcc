# Generated from specs/madgrad.yaml by thetac 0.1.0; do not edit.
"""MADGRAD for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, cube_roots, increment


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    grad_sum_sqs: TensorList,
    ses: TensorList,
    x0s: TensorList,
    lr: float,
    momentum: float,
    weight_decay: float,
    eps: float,
    decouple_decay: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    step = steps[0].item()
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if weight_decay != 0:
        if not decouple_decay:
            # weight decay: grad = grad + weight_decay * param
            grads = torch._foreach_add(grads, params, alpha=weight_decay)
    if torch.is_complex(params[0]):
        params, grads, grad_sum_sqs, ses, x0s = as_lists_of_pairs(params, grads, grad_sum_sqs, ses, x0s)
    rate = lr + eps if lr != 0 else lr
    weight = rate * scalar_math.sqrt(step)
    # before = param
    # tensor by tensor: torch has no list operation for `clone`
    befores = [
        param.clone()
        for param in params
    ]
    if momentum != 0:
        # start = x0
        starts: TensorList = x0s
    else:
        # last_root = cbrt(grad_sum_sq) + eps
        last_roots: TensorList = cube_roots(grad_sum_sqs)
        torch._foreach_add_(last_roots, eps)
        if eps == 0:
            # last_root = where(last_root == 0, inf, last_root)
            # tensor by tensor: torch has no list operation for `where` or `eq`
            last_roots = [
                torch.where(last_root == 0, float("inf"), last_root)
                for last_root in last_roots
            ]
        # start = param + s / last_root
        starts = torch._foreach_addcdiv(params, ses, last_roots, value=1)
    # grad_sum_sq = grad_sum_sq + weight * grad * grad
    torch._foreach_addcmul_(grad_sum_sqs, grads, grads, value=weight)
    # root = cbrt(grad_sum_sq) + eps
    roots: TensorList = cube_roots(grad_sum_sqs)
    torch._foreach_add_(roots, eps)
    if eps == 0:
        # root = where(root == 0, inf, root)
        # tensor by tensor: torch has no list operation for `where` or `eq`
        roots = [
            torch.where(root == 0, float("inf"), root)
            for root in roots
        ]
    # s = s + weight * grad
    torch._foreach_add_(ses, grads, alpha=weight)
    # dual averaging: z = start - s / root
    zs = torch._foreach_addcdiv(starts, ses, roots, value=-1)
    # param = lerp(param, z, 1 - momentum)
    torch._foreach_lerp_(params, zs, 1 - momentum)
    if decouple_decay and weight_decay != 0:
        # param = param - rate * weight_decay * before
        torch._foreach_add_(params, befores, alpha=-rate * weight_decay)
