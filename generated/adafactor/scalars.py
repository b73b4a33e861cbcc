# Generated from specs/adafactor.yaml by thetac 0.1.0; do not edit.
"""Adafactor: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "param_size_pow_half",  # param_size ** 0.5
    "eps2",
    "rho",
    "one_minus_lr_times_weight_decay",  # 1 - lr * weight_decay
    "param_columns",
    "weight",
    "param_rows",
    "eps1_or_default",
    "eps1_or_default_squared",  # eps1_or_default * eps1_or_default
    "param_size_pow_half_times_d",  # param_size ** 0.5 * d
)


def scalars(
    *,
    step: float,
    lr: float,
    beta2_decay: float,
    eps1: float,
    eps2: float,
    d: float,
    weight_decay: float,
    eps1_is_none: bool,
    param_size: float,
    param_rows: float,
    param_columns: float,
    param_epsilon: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    eps1_or_default = param_epsilon if eps1_is_none else eps1
    weight = scalar_math.power(step, beta2_decay)
    relative = scalar_math.divide(1, scalar_math.power(step, 0.5))
    rho = relative if relative < lr else lr
    param_size_pow_half = scalar_math.power(param_size, 0.5)
    one_minus_lr_times_weight_decay = 0.0
    if weight_decay != 0:
        one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    eps1_or_default_squared = eps1_or_default * eps1_or_default
    param_size_pow_half_times_d = scalar_math.power(param_size, 0.5) * d
    return (
        param_size_pow_half,
        eps2,
        rho,
        one_minus_lr_times_weight_decay,
        param_columns,
        weight,
        param_rows,
        eps1_or_default,
        eps1_or_default_squared,
        param_size_pow_half_times_d,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    lr: Scalar,
    beta2_decay: Scalar,
    eps1: Scalar,
    eps2: Scalar,
    d: Scalar,
    weight_decay: Scalar,
    eps1_is_none: bool,
    param_size: Scalar,
    param_rows: Scalar,
    param_columns: Scalar,
    param_epsilon: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    eps1_or_default = tensors.where(eps1_is_none, param_epsilon, eps1)
    weight = tensors.power(step, beta2_decay)
    relative = tensors.divide(1, tensors.power(step, 0.5))
    rho = tensors.where(relative < lr, relative, lr)
    param_size_pow_half = tensors.power(param_size, 0.5)
    one_minus_lr_times_weight_decay: Scalar = 0.0
    if weight_decay != 0:
        one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    eps1_or_default_squared = eps1_or_default * eps1_or_default
    param_size_pow_half_times_d = tensors.power(param_size, 0.5) * d
    return (
        param_size_pow_half,
        eps2,
        rho,
        one_minus_lr_times_weight_decay,
        param_columns,
        weight,
        param_rows,
        eps1_or_default,
        eps1_or_default_squared,
        param_size_pow_half_times_d,
    ), ()
