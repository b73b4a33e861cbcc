# Generated from specs/adamod.yaml by thetac 0.1.0; do not edit.
"""AdaMod: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "one_minus_lr_times_weight_decay",  # 1 - lr * weight_decay
    "beta1",
    "one_minus_beta1",  # 1 - beta1
    "beta2",
    "one_minus_beta2",  # 1 - beta2
    "step_size",
    "eps",
    "beta3",
    "one_minus_beta3",  # 1 - beta3
)


def scalars(
    *,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    beta3: float,
    eps: float,
    weight_decay: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_lr_times_weight_decay = 0.0
    if weight_decay != 0:
        one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    step_size = lr * scalar_math.sqrt(1 - beta2**step) / (1 - beta1**step)
    one_minus_beta3 = 1 - beta3
    return (
        one_minus_lr_times_weight_decay,
        beta1,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        step_size,
        eps,
        beta3,
        one_minus_beta3,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    beta3: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_lr_times_weight_decay: Scalar = 0.0
    if weight_decay != 0:
        one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    step_size = lr * tensors.sqrt(1 - beta2**step) / (1 - beta1**step)
    one_minus_beta3 = 1 - beta3
    return (
        one_minus_lr_times_weight_decay,
        beta1,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        step_size,
        eps,
        beta3,
        one_minus_beta3,
    ), ()
