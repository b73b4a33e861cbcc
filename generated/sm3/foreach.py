# Generated from specs/sm3.yaml by thetac 0.1.0; do not edit.
"""SM3 for many tensors at once, in torch's list operations, with the bits of the for-loop."""

from __future__ import annotations

import torch
from torch import Tensor

from thetac.runtime.tensors import TensorList, largest, scale_


def step(
    params: TensorList,
    grads: TensorList,
    *,
    rows: TensorList,
    columns: TensorList,
    accumulators: TensorList,
    momentum_buffers: TensorList,
    param_rank: float,
    lr: float,
    momentum: float,
    maximize: bool,
) -> None:
    """One step of tensors that agree in device, dtypes, counters and scalar states. Gradients are not written."""
    if maximize:
        # maximize: grad = -grad
        grads = torch._foreach_neg(grads)
    if param_rank > 1:
        # bound = minimum(row, column) + grad * grad
        bounds: TensorList = torch._foreach_minimum(rows, columns)
        torch._foreach_addcmul_(bounds, grads, grads, value=1)
        # row = max(bound, axis=-1)
        # tensor by tensor: torch has no list operation for `max along`
        for row, bound in zip(rows, bounds, strict=True):
            row.copy_(largest(bound, -1))
        # column = max(bound, axis=-2)
        # tensor by tensor: torch has no list operation for `max along`
        for column, bound in zip(columns, bounds, strict=True):
            column.copy_(largest(bound, -2))
    else:
        # accumulator = accumulator + grad * grad
        torch._foreach_addcmul_(accumulators, grads, grads, value=1)
        # bound = accumulator
        bounds = accumulators
    # scaled = (1 - momentum) * (grad * rsqrt(bound + 1e-30))
    sums = torch._foreach_add(bounds, 1e-30)
    torch._foreach_rsqrt_(sums)
    scaleds = torch._foreach_mul(grads, sums)
    scale_(scaleds, 1 - momentum)
    # direction = scaled
    directions: TensorList = scaleds
    if momentum > 0:
        # momentum_buffer = momentum_buffer + (momentum_buffer * (momentum - 1) + scaled)
        products = torch._foreach_mul(momentum_buffers, momentum - 1)
        torch._foreach_add_(products, scaleds)
        torch._foreach_add_(momentum_buffers, products)
        # direction = momentum_buffer
        directions = momentum_buffers
    # param = param - lr * direction
    torch._foreach_add_(params, directions, alpha=-lr)
