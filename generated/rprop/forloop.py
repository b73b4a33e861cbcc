# Generated from specs/rprop.yaml by thetac 0.1.0; do not edit.
"""Rprop for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensors import as_pairs, copied, maximum, minimum, sign, store, where


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    prevs: Sequence[Tensor],
    step_sizes: Sequence[Tensor],
    etaminus: float,
    etaplus: float,
    step_size_min: float,
    step_size_max: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, step_t, prev, step_size in zip(params, grads, steps, prevs, step_sizes, strict=True):
        step_t += 1
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if torch.is_complex(param):
            param, grad, prev, step_size = as_pairs(param, grad, prev, step_size)
        # its sign is what counts: agreement = grad * prev
        agreement = grad.mul(prev)
        # factor = where(agreement > 0, etaplus, where(agreement < 0, etaminus, 1))
        factor = torch.where(agreement > 0, etaplus, torch.where(agreement < 0, etaminus, param.new_full((), 1)))
        # step_size = clamp(step_size * factor, step_size_min, step_size_max)
        step_size.mul_(factor).clamp_(step_size_min, step_size_max)
        # a changed sign takes no step: prev = where(agreement < 0, 0, grad)
        prev.copy_(torch.where(agreement < 0, 0, grad))
        # param = param - sign(prev) * step_size
        param.addcmul_(prev.sign(), step_size, value=-1)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    steps: Sequence[Tensor],
    prevs: Sequence[Tensor],
    step_sizes: Sequence[Tensor],
    etaminus: float,
    etaplus: float,
    step_size_min: float,
    step_size_max: float,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, step_t, prev_out, step_size_out in zip(
        params, grads, steps, prevs, step_sizes, strict=True
    ):
        if torch.is_complex(param_out):
            param_out, grad, prev_out, step_size_out = as_pairs(param_out, grad, prev_out, step_size_out)
        param = param_out
        prev = prev_out
        step_size = step_size_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            prev = prev_out.clone()
            step_size = step_size_out.clone()
        step_t += 1
        if maximize:
            # maximize
            grad = -grad
        # its sign is what counts
        agreement = grad * prev
        factor = where(agreement > 0, etaplus, where(agreement < 0, etaminus, 1))
        # step_size = clamp(step_size * factor, step_size_min, step_size_max)
        step_size = minimum(maximum(step_size * factor, step_size_min), step_size_max)
        # a changed sign takes no step: prev = where(agreement < 0, 0, grad)
        prev = copied(where(agreement < 0, 0, grad))
        param = param - sign(prev) * step_size
        store(param_out, param)
        store(prev_out, prev)
        store(step_size_out, step_size)
