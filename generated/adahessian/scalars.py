# Generated from specs/adahessian.yaml by thetac 0.1.0; do not edit.
"""AdaHessian: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "beta1",
    "one_minus_beta1",  # 1 - beta1
    "hessian_power",
    "rate",
    "correction",
    "eps",
    "lr_times_weight_decay",  # lr * weight_decay
)


def scalars(
    *,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    hessian_power: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_beta1 = 1 - beta1
    correction = scalar_math.sqrt(1 - beta2**step)
    if hessian_power != 1:
        correction = scalar_math.power(correction, hessian_power)
    rate = lr / (1 - beta1**step)
    lr_times_weight_decay = lr * weight_decay
    return (
        beta1,
        one_minus_beta1,
        hessian_power,
        rate,
        correction,
        eps,
        lr_times_weight_decay,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    hessian_power: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_beta1 = 1 - beta1
    correction: Scalar = tensors.sqrt(1 - beta2**step)
    if hessian_power != 1:
        correction = tensors.power(correction, hessian_power)
    rate = lr / (1 - beta1**step)
    lr_times_weight_decay = lr * weight_decay
    return (
        beta1,
        one_minus_beta1,
        hessian_power,
        rate,
        correction,
        eps,
        lr_times_weight_decay,
    ), ()
