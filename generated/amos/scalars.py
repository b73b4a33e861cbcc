# Generated from specs/amos.yaml by thetac 0.1.0; do not edit.
"""Amos: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "minus_clip_value",  # -clip_value
    "clip_value",
    "beta",
    "one_minus_beta",  # 1 - beta
    "one_minus_beta_pow_step",  # 1 - beta ** step
    "epsilon",
    "c_coef_times_sqrt_lr",  # c_coef * sqrt(lr)
    "lr_squared",  # lr ** 2
    "d_coef_times_sqrt_init_lr",  # d_coef * sqrt(init_lr)
    "extra_l2",
    "init_lr",
    "momentum",
    "one_minus_momentum",  # 1 - momentum
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
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    minus_clip_value = 0.0
    if clip_value > 0:
        minus_clip_value = -clip_value
    one_minus_beta = 1 - beta
    one_minus_beta_pow_step = 1 - beta**step
    c_coef_times_sqrt_lr = c_coef * lr**0.5
    lr_squared = scalar_math.power(lr, 2)
    init_lr = lr * eta
    d_coef_times_sqrt_init_lr = d_coef * init_lr**0.5
    one_minus_momentum = 0.0
    if momentum > 0:
        one_minus_momentum = 1 - momentum
    return (
        minus_clip_value,
        clip_value,
        beta,
        one_minus_beta,
        one_minus_beta_pow_step,
        epsilon,
        c_coef_times_sqrt_lr,
        lr_squared,
        d_coef_times_sqrt_init_lr,
        extra_l2,
        init_lr,
        momentum,
        one_minus_momentum,
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
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    minus_clip_value: Scalar = 0.0
    if clip_value > 0:
        minus_clip_value = -clip_value
    one_minus_beta = 1 - beta
    one_minus_beta_pow_step = 1 - beta**step
    c_coef_times_sqrt_lr = c_coef * tensors.sqrt(lr)
    lr_squared = tensors.power(lr, 2)
    init_lr = lr * eta
    d_coef_times_sqrt_init_lr = d_coef * tensors.sqrt(init_lr)
    one_minus_momentum: Scalar = 0.0
    if momentum > 0:
        one_minus_momentum = 1 - momentum
    return (
        minus_clip_value,
        clip_value,
        beta,
        one_minus_beta,
        one_minus_beta_pow_step,
        epsilon,
        c_coef_times_sqrt_lr,
        lr_squared,
        d_coef_times_sqrt_init_lr,
        extra_l2,
        init_lr,
        momentum,
        one_minus_momentum,
    ), ()
