# Generated from specs/schedule_free_radam.yaml by thetac 0.1.0; do not edit.
"""ScheduleFreeRAdam for one parameter after the other, in plain torch operations: the readable reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from thetac.runtime.tensors import as_pairs, store


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    zs: Sequence[Tensor],
    beta1: float,
) -> None:
    """One step in place, on Python numbers; torch.optim's operations in torch.optim's order."""
    for param, grad, z in zip(params, grads, zs, strict=True):
        if torch.is_complex(param):
            param, grad, z = as_pairs(param, grad, z)
        # param = lerp(param, z, 1 - beta1)
        param.lerp_(z, 1 - beta1)


def step_on_tensors(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    zs: Sequence[Tensor],
    beta1: float,
    differentiable: bool,
) -> None:
    """The same step without overwriting, on numbers that may be 0-d tensors.

    If capturable, counters and scalar states stay on their device and the host waits for nothing.
    """
    for param_out, grad, z_out in zip(params, grads, zs, strict=True):
        if torch.is_complex(param_out):
            param_out, grad, z_out = as_pairs(param_out, grad, z_out)
        param = param_out
        z = z_out
        if differentiable:  # autograd may keep these; what is stored at the end must not change them
            param = param_out.clone()
            z = z_out.clone()
        # param = lerp(param, z, 1 - beta1)
        param = param + (1 - beta1) * (z - param)
        store(param_out, param)
