# Generated from specs/madgrad.yaml by thetac 0.1.0; do not edit.
"""MADGRAD: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "weight_decay",
    "eps",
    "weight",
    "one_minus_momentum",  # 1 - momentum
    "rate_times_weight_decay",  # rate * weight_decay
)


def scalars(
    *,
    step: float,
    lr: float,
    momentum: float,
    weight_decay: float,
    eps: float,
    decouple_decay: bool,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    rate = lr + eps if lr != 0 else lr
    weight = rate * scalar_math.sqrt(step)
    one_minus_momentum = 1 - momentum
    rate_times_weight_decay = 0.0
    if decouple_decay and weight_decay != 0:
        rate_times_weight_decay = rate * weight_decay
    return (
        weight_decay,
        eps,
        weight,
        one_minus_momentum,
        rate_times_weight_decay,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    lr: Scalar,
    momentum: Scalar,
    weight_decay: Scalar,
    eps: Scalar,
    decouple_decay: bool,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    rate = tensors.where(lr != 0, lr + eps, lr)
    weight = rate * tensors.sqrt(step)
    one_minus_momentum = 1 - momentum
    rate_times_weight_decay: Scalar = 0.0
    if decouple_decay and weight_decay != 0:
        rate_times_weight_decay = rate * weight_decay
    return (
        weight_decay,
        eps,
        weight,
        one_minus_momentum,
        rate_times_weight_decay,
    ), ()
