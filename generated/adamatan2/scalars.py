# Generated from specs/adam_atan2.yaml by thetac 0.1.0; do not edit.
"""AdamAtan2: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "rate_times_regen_reg_rate",  # rate * regen_reg_rate
    "one_minus_beta1",  # 1 - beta1
    "one_minus_beta2",  # 1 - beta2
    "exp_avg_sq_factor",  # b * b / (1 - beta2 ** step)
    "one_over_one_minus_beta1_pow_step",  # 1 / (1 - beta1 ** step)
    "one_minus_rate_times_weight_decay",  # 1 - rate * weight_decay
    "lr_times_a",  # lr * a
)


def scalars(
    *,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    regen_reg_rate: float,
    a: float,
    b: float,
    start_lr: float,
    decoupled_wd: bool,
    cautious_wd: bool,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    rate = lr
    if decoupled_wd:
        rate = scalar_math.divide(lr, start_lr) if start_lr != 0 else 0
    rate_times_regen_reg_rate = 0.0
    if regen_reg_rate > 0:
        rate_times_regen_reg_rate = rate * regen_reg_rate
    one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    exp_avg_sq_factor = b * b / (1 - beta2**step)
    one_over_one_minus_beta1_pow_step = 1 / (1 - beta1**step)
    one_minus_rate_times_weight_decay = 0.0
    if weight_decay > 0 and not cautious_wd:
        one_minus_rate_times_weight_decay = 1 - rate * weight_decay
    if weight_decay > 0 and cautious_wd:
        one_minus_rate_times_weight_decay = 1 - rate * weight_decay
    lr_times_a = lr * a
    return (
        rate_times_regen_reg_rate,
        one_minus_beta1,
        one_minus_beta2,
        exp_avg_sq_factor,
        one_over_one_minus_beta1_pow_step,
        one_minus_rate_times_weight_decay,
        lr_times_a,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    weight_decay: Scalar,
    regen_reg_rate: Scalar,
    a: Scalar,
    b: Scalar,
    start_lr: Scalar,
    decoupled_wd: bool,
    cautious_wd: bool,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    rate: Scalar = lr
    if decoupled_wd:
        rate = tensors.where(start_lr != 0, tensors.divide(lr, start_lr), 0)
    rate_times_regen_reg_rate: Scalar = 0.0
    if regen_reg_rate > 0:
        rate_times_regen_reg_rate = rate * regen_reg_rate
    one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    exp_avg_sq_factor = b * b / (1 - beta2**step)
    one_over_one_minus_beta1_pow_step = 1 / (1 - beta1**step)
    one_minus_rate_times_weight_decay: Scalar = 0.0
    if weight_decay > 0 and not cautious_wd:
        one_minus_rate_times_weight_decay = 1 - rate * weight_decay
    if weight_decay > 0 and cautious_wd:
        one_minus_rate_times_weight_decay = 1 - rate * weight_decay
    lr_times_a = lr * a
    return (
        rate_times_regen_reg_rate,
        one_minus_beta1,
        one_minus_beta2,
        exp_avg_sq_factor,
        one_over_one_minus_beta1_pow_step,
        one_minus_rate_times_weight_decay,
        lr_times_a,
    ), ()
