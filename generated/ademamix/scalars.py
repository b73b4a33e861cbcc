# Generated from specs/ademamix.yaml by thetac 0.1.0; do not edit.
"""AdEMAMix: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "one_minus_lr_times_weight_decay",  # 1 - lr * weight_decay
    "beta1",
    "one_minus_beta1",  # 1 - beta1
    "slow_decay",
    "one_minus_slow_decay",  # 1 - slow_decay
    "beta2",
    "one_minus_beta2",  # 1 - beta2
    "sqrt_one_minus_beta2_pow_step",  # sqrt(1 - beta2 ** step)
    "eps",
    "one_minus_beta1_pow_step",  # 1 - beta1 ** step
    "slow_weight",
    "lr",
)


def scalars(
    *,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    beta3: float,
    alpha: float,
    beta3_warmup: float,
    alpha_warmup: float,
    eps: float,
    weight_decay: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_lr_times_weight_decay = 0.0
    if weight_decay != 0:
        one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    slow_weight = alpha
    if step < alpha_warmup:
        slow_weight = scalar_math.divide(step, alpha_warmup) * alpha
    slow_decay = beta3
    if step < beta3_warmup:
        half_life_begin = scalar_math.divide(scalar_math.log(0.5), scalar_math.log(beta1 + 1e-08)) - 1
        half_life_end = scalar_math.divide(scalar_math.log(0.5), scalar_math.log(beta3 + 1e-08)) - 1
        half_life = (
            (1 - scalar_math.divide(step, beta3_warmup)) * half_life_begin
            + scalar_math.divide(step, beta3_warmup) * half_life_end
        )
        slow_decay = scalar_math.power(0.5, scalar_math.divide(1, half_life + 1))
    one_minus_beta1 = 0.0
    if beta1 != 0:
        one_minus_beta1 = 1 - beta1
    one_minus_slow_decay = 1 - slow_decay
    one_minus_beta2 = 1 - beta2
    sqrt_one_minus_beta2_pow_step = scalar_math.sqrt(1 - beta2**step)
    one_minus_beta1_pow_step = 1 - beta1**step
    return (
        one_minus_lr_times_weight_decay,
        beta1,
        one_minus_beta1,
        slow_decay,
        one_minus_slow_decay,
        beta2,
        one_minus_beta2,
        sqrt_one_minus_beta2_pow_step,
        eps,
        one_minus_beta1_pow_step,
        slow_weight,
        lr,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    beta3: Scalar,
    alpha: Scalar,
    beta3_warmup: Scalar,
    alpha_warmup: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_lr_times_weight_decay: Scalar = 0.0
    if weight_decay != 0:
        one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    slow_weight: Scalar = alpha
    slow_weight_if_so = tensors.divide(step, alpha_warmup) * alpha
    slow_weight = tensors.where(step < alpha_warmup, slow_weight_if_so, slow_weight)
    slow_decay: Scalar = beta3
    half_life_begin_if_so = tensors.divide(tensors.log(0.5), tensors.log(beta1 + 1e-08)) - 1
    half_life_end_if_so = tensors.divide(tensors.log(0.5), tensors.log(beta3 + 1e-08)) - 1
    half_life_if_so = (
        (1 - tensors.divide(step, beta3_warmup)) * half_life_begin_if_so
        + tensors.divide(step, beta3_warmup) * half_life_end_if_so
    )
    slow_decay_if_so = tensors.power(0.5, tensors.divide(1, half_life_if_so + 1))
    slow_decay = tensors.where(step < beta3_warmup, slow_decay_if_so, slow_decay)
    one_minus_beta1: Scalar = 0.0
    if beta1 != 0:
        one_minus_beta1 = 1 - beta1
    one_minus_slow_decay = 1 - slow_decay
    one_minus_beta2 = 1 - beta2
    sqrt_one_minus_beta2_pow_step = tensors.sqrt(1 - beta2**step)
    one_minus_beta1_pow_step = 1 - beta1**step
    return (
        one_minus_lr_times_weight_decay,
        beta1,
        one_minus_beta1,
        slow_decay,
        one_minus_slow_decay,
        beta2,
        one_minus_beta2,
        sqrt_one_minus_beta2_pow_step,
        eps,
        one_minus_beta1_pow_step,
        slow_weight,
        lr,
    ), ()
