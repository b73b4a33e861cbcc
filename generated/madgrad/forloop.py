# Generated from specs/madgrad.yaml by thetac 0.1.0; do not edit.
"""MADGRAD for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import as_pairs, cbrt, sqrt, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    grad_sum_sqs: Sequence[Tensor],
    ses: Sequence[Tensor],
    x0s: Sequence[Tensor | None],
    lr: float,
    momentum: float,
    weight_decay: float,
    eps: float,
    decouple_decay: bool,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, grad_sum_sq, s, x0 in zip(params, grads, steps, grad_sum_sqs, ses, x0s, strict=True):
        step_t += 1
        step = step_t.item()
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if weight_decay != 0:
            if not decouple_decay:
                # weight decay: grad = grad + weight_decay * param
                grad = grad.add(param, alpha=weight_decay)
        if torch.is_complex(param):
            param, grad, grad_sum_sq, s = as_pairs(param, grad, grad_sum_sq, s)
            (x0,) = as_pairs(x0)
        rate = lr + eps if lr != 0 else lr
        weight = rate * scalar_math.sqrt(step)
        # before = param
        before = param.clone()
        if momentum != 0:
            assert x0 is not None
            start = x0
        else:
            # last_root = cbrt(grad_sum_sq) + eps
            last_root = cbrt(grad_sum_sq).add_(eps)
            if eps == 0:
                # last_root = where(last_root == 0, inf, last_root)
                last_root = torch.where(last_root == 0, float("inf"), last_root)
            # start = param + s / last_root
            start = param.addcdiv(s, last_root, value=1)
        # grad_sum_sq = grad_sum_sq + weight * grad * grad
        grad_sum_sq.addcmul_(grad, grad, value=weight)
        # root = cbrt(grad_sum_sq) + eps
        root = cbrt(grad_sum_sq).add_(eps)
        if eps == 0:
            # root = where(root == 0, inf, root)
            root = torch.where(root == 0, float("inf"), root)
        # s = s + weight * grad
        s.add_(grad, alpha=weight)
        # dual averaging: z = start - s / root
        z = start.addcdiv(s, root, value=-1)
        # param = lerp(param, z, 1 - momentum)
        param.lerp_(z, 1 - momentum)
        if decouple_decay and weight_decay != 0:
            # param = param - rate * weight_decay * before
            param.add_(before, alpha=-rate * weight_decay)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    grad_sum_sqs: Sequence[Tensor],
    ses: Sequence[Tensor],
    x0s: Sequence[Tensor | None],
    lr: float | Tensor,
    momentum: float,
    weight_decay: float,
    eps: float,
    decouple_decay: bool,
    maximize: bool,
    capturable: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, grad_sum_sq_out, s_out, x0_out in zip(
        params, grads, steps, grad_sum_sqs, ses, x0s, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, grad_sum_sq_out, s_out = as_pairs(param_out, grad, grad_sum_sq_out, s_out)
            (x0_out,) = as_pairs(x0_out)
        param = param_out
        grad_sum_sq = grad_sum_sq_out
        s = s_out
        x0 = x0_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            grad_sum_sq = grad_sum_sq_out.clone()
            s = s_out.clone()
            x0 = x0_out.clone() if x0_out is not None else None
        step_t += 1
        step = step_t if capturable else step_t.item()
        if maximize:
            # maximize
            grad = -grad
        if weight_decay != 0:
            if not decouple_decay:
                # weight decay
                grad = grad + weight_decay * param
        rate = where(lr != 0, lr + eps, lr)
        weight = rate * sqrt(step)
        before = param
        if momentum != 0:
            assert x0 is not None
            start = x0
        else:
            last_root = cbrt(grad_sum_sq) + eps
            if eps == 0:
                # last_root = where(last_root == 0, inf, last_root)
                last_root = where(last_root == 0, float("inf"), last_root)
            start = param + s / last_root
        grad_sum_sq = grad_sum_sq + weight * grad * grad
        root = cbrt(grad_sum_sq) + eps
        if eps == 0:
            # root = where(root == 0, inf, root)
            root = where(root == 0, float("inf"), root)
        s = s + weight * grad
        # dual averaging
        z = start - s / root
        # param = lerp(param, z, 1 - momentum)
        param = param + (1 - momentum) * (z - param)
        if decouple_decay and weight_decay != 0:
            param = param - rate * weight_decay * before
        store(param_out, param)
        store(grad_sum_sq_out, grad_sum_sq)
        store(s_out, s)
