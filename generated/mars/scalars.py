# Generated from specs/mars.yaml by thetac 0.1.0; do not edit.
"""MARS: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "corrected_factor",  # gamma * beta1 / (1 - beta1)
    "beta1",
    "one_minus_beta1",  # 1 - beta1
    "beta2",
    "one_minus_beta2",  # 1 - beta2
    "beta1_1d",
    "one_minus_beta1_1d",  # 1 - beta1_1d
    "beta2_1d",
    "one_minus_beta2_1d",  # 1 - beta2_1d
    "correction1_over_correction2",  # correction1 / correction2
    "correction1_times_eps",  # correction1 * eps
    "rate",
    "decay",
)


def scalars(
    *,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    gamma: float,
    lr_1d: float,
    beta1_1d: float,
    beta2_1d: float,
    weight_decay_1d: float,
    start_lr: float,
    optimize_1d: bool,
    mars_type_is_adamw: bool,
    mars_type_is_lion: bool,
    param_rank: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    decay = weight_decay
    rate = lr
    correction1 = 1 - beta1**step
    correction2 = scalar_math.sqrt(1 - beta2**step)
    corrected_factor = 0.0
    one_minus_beta1 = 0.0
    one_minus_beta2 = 0.0
    if optimize_1d or param_rank == 2:
        corrected_factor = gamma * beta1 / (1 - beta1)
        one_minus_beta1 = 1 - beta1
        if mars_type_is_adamw:
            one_minus_beta2 = 1 - beta2
    one_minus_beta1_1d = 0.0
    one_minus_beta2_1d = 0.0
    if not (optimize_1d or param_rank == 2):
        one_minus_beta1_1d = 1 - beta1_1d
        one_minus_beta2_1d = 1 - beta2_1d
        correction1 = 1 - beta1_1d**step
        correction2 = scalar_math.sqrt(1 - beta2_1d**step)
        rate = lr * (scalar_math.divide(lr_1d, start_lr) if start_lr != 0 else 1)
        decay = weight_decay_1d
    correction1_over_correction2 = 0.0
    correction1_times_eps = 0.0
    if not (mars_type_is_lion and (optimize_1d or param_rank == 2)):
        correction1_over_correction2 = correction1 / correction2
        correction1_times_eps = correction1 * eps
    return (
        corrected_factor,
        beta1,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        beta1_1d,
        one_minus_beta1_1d,
        beta2_1d,
        one_minus_beta2_1d,
        correction1_over_correction2,
        correction1_times_eps,
        rate,
        decay,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    gamma: Scalar,
    lr_1d: Scalar,
    beta1_1d: Scalar,
    beta2_1d: Scalar,
    weight_decay_1d: Scalar,
    start_lr: Scalar,
    optimize_1d: bool,
    mars_type_is_adamw: bool,
    mars_type_is_lion: bool,
    param_rank: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    decay: Scalar = weight_decay
    rate: Scalar = lr
    correction1: Scalar = 1 - beta1**step
    correction2: Scalar = tensors.sqrt(1 - beta2**step)
    corrected_factor: Scalar = 0.0
    one_minus_beta1: Scalar = 0.0
    one_minus_beta2: Scalar = 0.0
    if optimize_1d or param_rank == 2:
        corrected_factor = gamma * beta1 / (1 - beta1)
        one_minus_beta1 = 1 - beta1
        if mars_type_is_adamw:
            one_minus_beta2 = 1 - beta2
    one_minus_beta1_1d: Scalar = 0.0
    one_minus_beta2_1d: Scalar = 0.0
    if not (optimize_1d or param_rank == 2):
        one_minus_beta1_1d = 1 - beta1_1d
        one_minus_beta2_1d = 1 - beta2_1d
        correction1 = 1 - beta1_1d**step
        correction2 = tensors.sqrt(1 - beta2_1d**step)
        rate = lr * tensors.where(start_lr != 0, tensors.divide(lr_1d, start_lr), 1)
        decay = weight_decay_1d
    correction1_over_correction2: Scalar = 0.0
    correction1_times_eps: Scalar = 0.0
    if not (mars_type_is_lion and (optimize_1d or param_rank == 2)):
        correction1_over_correction2 = correction1 / correction2
        correction1_times_eps = correction1 * eps
    return (
        corrected_factor,
        beta1,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        beta1_1d,
        one_minus_beta1_1d,
        beta2_1d,
        one_minus_beta2_1d,
        correction1_over_correction2,
        correction1_times_eps,
        rate,
        decay,
    ), ()
