# Generated from specs/sam.yaml by thetac 0.1.0; do not edit.
"""SAM for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime import scalar_math
from thetac.runtime.tensors import as_pairs, sqrt, store
from thetac.runtime.totals import Waiting, WaitingOnTensors, together, total


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    rho: float,
    adaptive: bool,
    maximize: bool,
) -> Waiting:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    return together(
        [
            _step_of_one(param, grad, rho=rho, adaptive=adaptive, maximize=maximize)
            for param, grad in zip(params, grads, strict=True)
        ]
    )


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    rho: float,
    adaptive: bool,
    maximize: bool,
    differentiable: bool,
) -> WaitingOnTensors:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    return together(
        [
            _step_of_one_on_tensors(
                param_out, grad, rho=rho, adaptive=adaptive, maximize=maximize, differentiable=differentiable
            )
            for param_out, grad in zip(params, grads, strict=True)
        ]
    )


def _step_of_one(
    param: Tensor,
    grad: Tensor,
    *,
    rho: float,
    adaptive: bool,
    maximize: bool,
) -> Waiting:
    """The step of one parameter, which waits for the others at each total."""
    if maximize:
        # maximize: grad = -grad
        grad = grad.neg()
    if torch.is_complex(param):
        param, grad = as_pairs(param, grad)
    ascent = grad
    if adaptive:
        # ascent = abs(param) * grad
        ascent = param.abs().mul_(grad)
    # sum_ascent_squared = sum(ascent * ascent)
    sum_ascent_squared = ascent.mul(ascent).sum().item()
    del grad
    # total_sum_ascent_squared = total(sum_ascent_squared)
    total_sum_ascent_squared = yield total(sum_ascent_squared)
    length = scalar_math.sqrt(total_sum_ascent_squared)
    if adaptive:
        # ascent = abs(param) * ascent
        ascent = param.abs().mul_(ascent)
    # param = param + rho / (length + 1e-12) * ascent
    param.add_(ascent, alpha=rho / (length + 1e-12))
    return {}


def _step_of_one_on_tensors(
    param_out: Tensor,
    grad: Tensor,
    *,
    rho: float,
    adaptive: bool,
    maximize: bool,
    differentiable: bool,
) -> WaitingOnTensors:
    """The step of one parameter, which waits for the others at each total."""
    if torch.is_complex(param_out):
        param_out, grad = as_pairs(param_out, grad)
    param = param_out
    if differentiable:  # autograd may keep these; what is stored at the end must not change them
        param = param_out.clone()
    if maximize:
        # maximize
        grad = -grad
    ascent = grad
    if adaptive:
        ascent = abs(param) * grad
    # sum_ascent_squared = sum(ascent * ascent)
    sum_ascent_squared = (ascent * ascent).sum()
    del grad
    # total_sum_ascent_squared = total(sum_ascent_squared)
    total_sum_ascent_squared = yield total(sum_ascent_squared)
    length = sqrt(total_sum_ascent_squared)
    if adaptive:
        ascent = abs(param) * ascent
    param = param + rho / (length + 1e-12) * ascent
    store(param_out, param)
    return {}
