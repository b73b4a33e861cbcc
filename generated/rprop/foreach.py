# Generated from specs/rprop.yaml by thetac 0.1.0; do not edit.
"""Rprop for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.tensors import TensorList, as_lists_of_pairs, increment


def step(
    params: TensorList,
    grads: TensorList,
    *,
    steps: TensorList,
    prevs: TensorList,
    step_sizes: TensorList,
    etaminus: float,
    etaplus: float,
    step_size_min: float,
    step_size_max: float,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    increment(steps)
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if torch.is_complex(params[0]):
        params, grads, prevs, step_sizes = as_lists_of_pairs(params, grads, prevs, step_sizes)
    # its sign is what counts: agreement = grad * prev
    agreements = torch._foreach_mul(grads, prevs)
    # factor = where(agreement > 0, etaplus, where(agreement < 0, etaminus, 1))
    # tensor by tensor: torch has no list operation for `where`, `gt` or `lt`
    factors = [
        torch.where(agreement > 0, etaplus, torch.where(agreement < 0, etaminus, param.new_full((), 1)))
        for agreement, param in zip(agreements, params, strict=True)
    ]
    # step_size = clamp(step_size * factor, step_size_min, step_size_max)
    torch._foreach_mul_(step_sizes, factors)
    torch._foreach_clamp_min_(step_sizes, step_size_min)
    torch._foreach_clamp_max_(step_sizes, step_size_max)
    # a changed sign takes no step: prev = where(agreement < 0, 0, grad)
    # tensor by tensor: torch has no list operation for `where` or `lt`
    for prev, agreement, grad in zip(prevs, agreements, grads, strict=True):
        prev.copy_(torch.where(agreement < 0, 0, grad))
    # param = param - sign(prev) * step_size
    torch._foreach_addcmul_(params, torch._foreach_sign(prevs), step_sizes, value=-1)
