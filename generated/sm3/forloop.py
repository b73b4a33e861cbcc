# Generated from specs/sm3.yaml by thetac 0.1.0; do not edit.
"""SM3 for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensors import largest, minimum, rsqrt, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    rows: Sequence[Tensor | None],
    columns: Sequence[Tensor | None],
    accumulators: Sequence[Tensor | None],
    momentum_buffers: Sequence[Tensor | None],
    ranks_of_params: Sequence[float],
    lr: float,
    momentum: float,
    maximize: bool,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, row, column, accumulator, momentum_buffer, param_rank in zip(
        params, grads, rows, columns, accumulators, momentum_buffers, ranks_of_params, strict=True
    ):
        if maximize:
            # maximize: grad = -grad
            grad = grad.neg()
        if param_rank > 1:
            assert row is not None
            assert column is not None
            # bound = minimum(row, column) + grad * grad
            bound = torch.minimum(row, column).addcmul_(grad, grad, value=1)
            # row = max(bound, axis=-1)
            row.copy_(largest(bound, -1))
            # column = max(bound, axis=-2)
            column.copy_(largest(bound, -2))
        else:
            assert accumulator is not None
            # accumulator = accumulator + grad * grad
            accumulator.addcmul_(grad, grad, value=1)
            bound = accumulator
        # scaled = (1 - momentum) * (grad * rsqrt(bound + 1e-30))
        scaled = grad.mul(bound.add(1e-30).rsqrt_()).mul_(1 - momentum)
        direction = scaled
        if momentum > 0:
            assert momentum_buffer is not None
            # momentum_buffer = momentum_buffer + (momentum_buffer * (momentum - 1) + scaled)
            momentum_buffer.add_(momentum_buffer.mul(momentum - 1).add_(scaled))
            direction = momentum_buffer
        # param = param - lr * direction
        param.add_(direction, alpha=-lr)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    rows: Sequence[Tensor | None],
    columns: Sequence[Tensor | None],
    accumulators: Sequence[Tensor | None],
    momentum_buffers: Sequence[Tensor | None],
    ranks_of_params: Sequence[float],
    lr: float | Tensor,
    momentum: float,
    maximize: bool,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, row_out, column_out, accumulator_out, momentum_buffer_out, param_rank in zip(
        params, grads, rows, columns, accumulators, momentum_buffers, ranks_of_params, strict=True
    ):
        param = param_out
        row = row_out
        column = column_out
        accumulator = accumulator_out
        momentum_buffer = momentum_buffer_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            row = row_out.clone() if row_out is not None else None
            column = column_out.clone() if column_out is not None else None
            accumulator = accumulator_out.clone() if accumulator_out is not None else None
            momentum_buffer = momentum_buffer_out.clone() if momentum_buffer_out is not None else None
        if maximize:
            # maximize
            grad = -grad
        if param_rank > 1:
            assert row is not None
            assert column is not None
            bound = minimum(row, column) + grad * grad
            # row = max(bound, axis=-1)
            row = largest(bound, -1)
            # column = max(bound, axis=-2)
            column = largest(bound, -2)
        else:
            assert accumulator is not None
            accumulator = accumulator + grad * grad
            bound = accumulator
        scaled = (1 - momentum) * (grad * rsqrt(bound + 1e-30))
        direction = scaled
        if momentum > 0:
            assert momentum_buffer is not None
            momentum_buffer = momentum_buffer + (momentum_buffer * (momentum - 1) + scaled)
            direction = momentum_buffer
        param = param - lr * direction
        store(param_out, param)
        store(row_out, row)
        store(column_out, column)
        store(accumulator_out, accumulator)
        store(momentum_buffer_out, momentum_buffer)
