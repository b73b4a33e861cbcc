# Generated from specs/adan.yaml by thetac 0.1.0; do not edit.
"""Adan: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "one_minus_lr_times_weight_decay",  # 1 - lr * weight_decay
    "first_pre_grad",
    "beta1",
    "one_minus_beta1",  # 1 - beta1
    "beta2",
    "one_minus_beta2",  # 1 - beta2
    "beta3",
    "one_minus_beta3",  # 1 - beta3
    "sqrt_one_minus_beta3_pow_step",  # sqrt(1 - beta3 ** step)
    "eps",
    "lr_over_one_minus_beta1_pow_step",  # lr / (1 - beta1 ** step)
    "exp_avg_diff_factor",  # lr * beta2 / (1 - beta2 ** step)
    "one_plus_lr_times_weight_decay",  # 1 + lr * weight_decay
)


def scalars(
    *,
    step: float,
    first_pre_grad: bool,
    lr: float,
    beta1: float,
    beta2: float,
    beta3: float,
    eps: float,
    weight_decay: float,
    no_prox: bool,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_lr_times_weight_decay = 0.0
    if weight_decay != 0:
        if no_prox:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    one_minus_beta3 = 1 - beta3
    sqrt_one_minus_beta3_pow_step = scalar_math.sqrt(1 - beta3**step)
    lr_over_one_minus_beta1_pow_step = lr / (1 - beta1**step)
    exp_avg_diff_factor = lr * beta2 / (1 - beta2**step)
    one_plus_lr_times_weight_decay = 0.0
    if weight_decay != 0 and not no_prox:
        one_plus_lr_times_weight_decay = 1 + lr * weight_decay
    return (
        one_minus_lr_times_weight_decay,
        float(first_pre_grad),
        beta1,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        beta3,
        one_minus_beta3,
        sqrt_one_minus_beta3_pow_step,
        eps,
        lr_over_one_minus_beta1_pow_step,
        exp_avg_diff_factor,
        one_plus_lr_times_weight_decay,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    first_pre_grad: bool | Tensor,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    beta3: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    no_prox: bool,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_lr_times_weight_decay: Scalar = 0.0
    if weight_decay != 0:
        if no_prox:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    one_minus_beta3 = 1 - beta3
    sqrt_one_minus_beta3_pow_step = tensors.sqrt(1 - beta3**step)
    lr_over_one_minus_beta1_pow_step = lr / (1 - beta1**step)
    exp_avg_diff_factor = lr * beta2 / (1 - beta2**step)
    one_plus_lr_times_weight_decay: Scalar = 0.0
    if weight_decay != 0 and not no_prox:
        one_plus_lr_times_weight_decay = 1 + lr * weight_decay
    return (
        one_minus_lr_times_weight_decay,
        first_pre_grad,
        beta1,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        beta3,
        one_minus_beta3,
        sqrt_one_minus_beta3_pow_step,
        eps,
        lr_over_one_minus_beta1_pow_step,
        exp_avg_diff_factor,
        one_plus_lr_times_weight_decay,
    ), ()
