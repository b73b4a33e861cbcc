# Generated from specs/adamp.yaml by thetac 0.1.0; do not edit.
"""AdamP: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "beta1",
    "one_minus_beta1",  # 1 - beta1
    "beta2",
    "one_minus_beta2",  # 1 - beta2
    "sqrt_one_minus_beta2_pow_step",  # sqrt(1 - beta2 ** step)
    "eps",
    "delta_over_sqrt_param_size",  # delta / sqrt(param_size)
    "wd_ratio",
    "delta_over_sqrt_param_matrix_columns",  # delta / sqrt(param_matrix_columns)
    "lr_times_weight_decay",  # lr * weight_decay
    "one_minus_lr_times_weight_decay",  # 1 - lr * weight_decay
    "rate",
)


def scalars(
    *,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    delta: float,
    wd_ratio: float,
    param_rank: float,
    param_size: float,
    param_matrix_columns: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    sqrt_one_minus_beta2_pow_step = scalar_math.sqrt(1 - beta2**step)
    rate = lr / (1 - beta1**step)
    delta_over_sqrt_param_size = 0.0
    delta_over_sqrt_param_matrix_columns = 0.0
    lr_times_weight_decay = 0.0
    one_minus_lr_times_weight_decay = 0.0
    if param_rank > 1:
        delta_over_sqrt_param_size = scalar_math.divide(delta, scalar_math.sqrt(param_size))
        delta_over_sqrt_param_matrix_columns = scalar_math.divide(delta, scalar_math.sqrt(param_matrix_columns))
        if weight_decay > 0:
            lr_times_weight_decay = lr * weight_decay
    elif weight_decay > 0:
        one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    return (
        beta1,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        sqrt_one_minus_beta2_pow_step,
        eps,
        delta_over_sqrt_param_size,
        wd_ratio,
        delta_over_sqrt_param_matrix_columns,
        lr_times_weight_decay,
        one_minus_lr_times_weight_decay,
        rate,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    delta: Scalar,
    wd_ratio: Scalar,
    param_rank: Scalar,
    param_size: Scalar,
    param_matrix_columns: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    sqrt_one_minus_beta2_pow_step = tensors.sqrt(1 - beta2**step)
    rate = lr / (1 - beta1**step)
    delta_over_sqrt_param_size: Scalar = 0.0
    delta_over_sqrt_param_matrix_columns: Scalar = 0.0
    lr_times_weight_decay: Scalar = 0.0
    one_minus_lr_times_weight_decay: Scalar = 0.0
    if param_rank > 1:
        delta_over_sqrt_param_size = tensors.divide(delta, tensors.sqrt(param_size))
        delta_over_sqrt_param_matrix_columns = tensors.divide(delta, tensors.sqrt(param_matrix_columns))
        if weight_decay > 0:
            lr_times_weight_decay = lr * weight_decay
    elif weight_decay > 0:
        one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    return (
        beta1,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        sqrt_one_minus_beta2_pow_step,
        eps,
        delta_over_sqrt_param_size,
        wd_ratio,
        delta_over_sqrt_param_matrix_columns,
        lr_times_weight_decay,
        one_minus_lr_times_weight_decay,
        rate,
    ), ()
