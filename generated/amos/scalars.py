# Generated from specs/amos.yaml by thetac 0.1.0; do not edit.
"""Amos: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "minus_clip_value_or_default",  # -clip_value_or_default
    "clip_value_or_default",
    "beta",
    "one_minus_beta",  # 1 - beta
    "one_minus_beta_pow_step",  # 1 - beta ** step
    "epsilon",
    "c_coef_times_sqrt_lr",  # c_coef * sqrt(lr)
    "lr_squared",  # lr ** 2
    "d_coef_times_sqrt_init_lr",  # d_coef * sqrt(init_lr)
    "extra_l2",
    "init_lr",
    "momentum_or_default",
    "one_minus_momentum_or_default",  # 1 - momentum_or_default
)


def scalars(
    *,
    step: float,
    lr: float,
    eta: float,
    beta: float,
    momentum: float,
    clip_value: float,
    extra_l2: float,
    d_coef: float,
    c_coef: float,
    epsilon: float,
    momentum_is_none: bool,
    clip_value_is_none: bool,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    momentum_or_default = 0 if momentum_is_none else momentum
    clip_value_or_default = 0 if clip_value_is_none else clip_value
    minus_clip_value_or_default = 0.0
    if (0 if clip_value_is_none else clip_value) > 0:
        minus_clip_value_or_default = -clip_value_or_default
    one_minus_beta = 1 - beta
    one_minus_beta_pow_step = 1 - beta**step
    c_coef_times_sqrt_lr = c_coef * scalar_math.sqrt(lr)
    lr_squared = scalar_math.power(lr, 2)
    init_lr = lr * eta
    d_coef_times_sqrt_init_lr = d_coef * scalar_math.sqrt(init_lr)
    one_minus_momentum_or_default = 0.0
    if (0 if momentum_is_none else momentum) > 0:
        one_minus_momentum_or_default = 1 - momentum_or_default
    return (
        minus_clip_value_or_default,
        clip_value_or_default,
        beta,
        one_minus_beta,
        one_minus_beta_pow_step,
        epsilon,
        c_coef_times_sqrt_lr,
        lr_squared,
        d_coef_times_sqrt_init_lr,
        extra_l2,
        init_lr,
        momentum_or_default,
        one_minus_momentum_or_default,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    lr: Scalar,
    eta: Scalar,
    beta: Scalar,
    momentum: Scalar,
    clip_value: Scalar,
    extra_l2: Scalar,
    d_coef: Scalar,
    c_coef: Scalar,
    epsilon: Scalar,
    momentum_is_none: bool,
    clip_value_is_none: bool,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    momentum_or_default = tensors.where(momentum_is_none, 0, momentum)
    clip_value_or_default = tensors.where(clip_value_is_none, 0, clip_value)
    minus_clip_value_or_default: Scalar = 0.0
    if (0 if clip_value_is_none else clip_value) > 0:
        minus_clip_value_or_default = -clip_value_or_default
    one_minus_beta = 1 - beta
    one_minus_beta_pow_step = 1 - beta**step
    c_coef_times_sqrt_lr = c_coef * tensors.sqrt(lr)
    lr_squared = tensors.power(lr, 2)
    init_lr = lr * eta
    d_coef_times_sqrt_init_lr = d_coef * tensors.sqrt(init_lr)
    one_minus_momentum_or_default: Scalar = 0.0
    if (0 if momentum_is_none else momentum) > 0:
        one_minus_momentum_or_default = 1 - momentum_or_default
    return (
        minus_clip_value_or_default,
        clip_value_or_default,
        beta,
        one_minus_beta,
        one_minus_beta_pow_step,
        epsilon,
        c_coef_times_sqrt_lr,
        lr_squared,
        d_coef_times_sqrt_init_lr,
        extra_l2,
        init_lr,
        momentum_or_default,
        one_minus_momentum_or_default,
    ), ()
