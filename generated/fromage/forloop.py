# Generated from specs/fromage.yaml by thetac 0.1.0; do not edit.
"""Fromage for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import Scalar, as_pairs, both, copied, power, sqrt, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    max_norms: Sequence[Tensor | None],
    first_max_norm: Sequence[bool],
    lr: float,
    p_bound: float,
    p_bound_is_none: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, max_norm_t, is_first_max_norm in zip(params, grads, max_norms, first_max_norm, strict=True):
        if (float("inf") if p_bound_is_none else p_bound) < float("inf"):
            assert max_norm_t is not None
            max_norm = max_norm_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if torch.is_complex(param):
            param, grad = as_pairs(param, grad)
        p_bound_or_default = float("inf") if p_bound_is_none else p_bound
        if (float("inf") if p_bound_is_none else p_bound) < float("inf"):
            if is_first_max_norm:
                # norm_param = norm(param)
                norm_param = param.norm().item()
                assert max_norm_t is not None
                # max_norm = p_bound_or_default * norm_param
                store(max_norm_t, p_bound_or_default * norm_param)
                max_norm = max_norm_t.item()
        # ratio_part = norm(param)
        ratio_part = param.norm().item()
        # norm_grad = norm(grad)
        norm_grad = grad.norm().item()
        ratio = scalar_math.divide(ratio_part, norm_grad) if ratio_part > 0 and norm_grad > 0 else 1
        # param = (param - lr * (grad * ratio)) / sqrt(1 + lr ** 2)
        param.add_(grad.mul(ratio), alpha=-lr).div_(scalar_math.sqrt(1 + scalar_math.power(lr, 2)))
        if (float("inf") if p_bound_is_none else p_bound) < float("inf"):
            # param_part = norm(param)
            param_part = param.norm().item()
            # param = where(param_part > max_norm, param * (max_norm / param_part), param)
            param.copy_(
                (param.mul(scalar_math.divide(max_norm, param_part)) if (param_part > max_norm) else param).clone()
            )


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    max_norms: Sequence[Tensor | None],
    first_max_norm: Sequence[bool],
    lr: float | Tensor,
    p_bound: float,
    p_bound_is_none: bool,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, max_norm_out, is_first_max_norm in zip(
        params, grads, max_norms, first_max_norm, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad = as_pairs(param_out, grad)
        param = param_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
        max_norm: Scalar | None = None
        if (float("inf") if p_bound_is_none else p_bound) < float("inf"):
            assert max_norm_out is not None
            max_norm = max_norm_out.clone() if differentiable else max_norm_out
        if maximize:
            # maximize
            grad = -grad
        # what None stands for: p_bound_or_default = where(p_bound_is_none, inf, p_bound)
        p_bound_or_default = where(p_bound_is_none, float("inf"), p_bound)
        if (float("inf") if p_bound_is_none else p_bound) < float("inf"):
            if is_first_max_norm:
                # norm_param = norm(param)
                norm_param = param.norm()
                max_norm = p_bound_or_default * norm_param
        # ratio_part = norm(param)
        ratio_part = param.norm()
        # norm_grad = norm(grad)
        norm_grad = grad.norm()
        # ratio = where(ratio_part > 0 and norm_grad > 0, ratio_part / norm_grad, 1)
        ratio = where(both(ratio_part > 0, norm_grad > 0), ratio_part / norm_grad, 1)
        # param = (param - lr * (grad * ratio)) / sqrt(1 + lr ** 2)
        param = (param - lr * (grad * ratio)) / sqrt(1 + power(lr, 2))
        if (float("inf") if p_bound_is_none else p_bound) < float("inf"):
            # param_part = norm(param)
            param_part = param.norm()
            assert max_norm is not None
            # param = where(param_part > max_norm, param * (max_norm / param_part), param)
            param = copied(where(param_part > max_norm, param * (max_norm / param_part), param))
        store(param_out, param)
        store(max_norm_out, max_norm)
