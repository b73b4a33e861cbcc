# Generated from specs/fromage.yaml by thetac 0.1.0; do not edit.
"""Fromage for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import TensorList, as_lists_of_pairs, read_numbers, store


def step(
    params: TensorList,
    grads: TensorList,
    *,
    max_norms: TensorList,
    first_max_norm: bool,
    lr: float,
    p_bound: float,
    p_bound_is_none: bool,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if (float("inf") if p_bound_is_none else p_bound) < float("inf"):
        (max_norm_numbers,) = read_numbers(max_norms)
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if torch.is_complex(params[0]):
        params, grads = as_lists_of_pairs(params, grads)
    p_bound_or_default = float("inf") if p_bound_is_none else p_bound
    if (float("inf") if p_bound_is_none else p_bound) < float("inf"):
        if first_max_norm:
            # norm_param = norm(param)
            norm_param_tensors = torch._foreach_norm(params)
            (norm_params,) = read_numbers(norm_param_tensors)
            # max_norm = p_bound_or_default * norm_param
            for max_norm_t, norm_param in zip(max_norms, norm_params, strict=True):
                store(max_norm_t, p_bound_or_default * norm_param)
            (max_norm_numbers,) = read_numbers(max_norms)
    # ratio_part = norm(param)
    ratio_part_tensors = torch._foreach_norm(params)
    # norm_grad = norm(grad)
    norm_grad_tensors = torch._foreach_norm(grads)
    ratio_parts, norm_grads = read_numbers(ratio_part_tensors, norm_grad_tensors)
    # ratio = where(ratio_part > 0 and norm_grad > 0, ratio_part / norm_grad, 1)
    ratios = [
        scalar_math.divide(ratio_part, norm_grad) if ratio_part > 0 and norm_grad > 0 else 1
        for ratio_part, norm_grad in zip(ratio_parts, norm_grads, strict=True)
    ]
    # param = (param - lr * (grad * ratio)) / sqrt(1 + lr ** 2)
    for param, grad, ratio in zip(params, grads, ratios, strict=True):
        param.add_(grad.mul(ratio), alpha=-lr).div_(scalar_math.sqrt(1 + scalar_math.power(lr, 2)))
    if (float("inf") if p_bound_is_none else p_bound) < float("inf"):
        # param_part = norm(param)
        param_part_tensors = torch._foreach_norm(params)
        (param_parts,) = read_numbers(param_part_tensors)
        # param = where(param_part > max_norm, param * (max_norm / param_part), param)
        # tensor by tensor: torch has no list operation for `clone` or `choose`
        for param, param_part, max_norm in zip(params, param_parts, max_norm_numbers, strict=True):
            param.copy_(
                (param.mul(scalar_math.divide(max_norm, param_part)) if (param_part > max_norm) else param).clone()
            )
