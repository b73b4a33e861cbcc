# Generated from specs/came.yaml by thetac 0.1.0; do not edit.
"""CAME: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime.tensors import Scalar

ROW = (
    "one_minus_lr_times_weight_decay",  # 1 - lr * weight_decay
    "eps1",
    "param_columns",
    "beta2",
    "one_minus_beta2",  # 1 - beta2
    "param_rows",
    "param_size",
    "clip_threshold",
    "beta1",
    "one_minus_beta1",  # 1 - beta1
    "eps2",
    "beta3",
    "one_minus_beta3",  # 1 - beta3
    "lr",
)


def scalars(
    *,
    lr: float,
    eps1: float,
    eps2: float,
    clip_threshold: float,
    beta1: float,
    beta2: float,
    beta3: float,
    weight_decay: float,
    param_rank: float,
    param_size: float,
    param_rows: float,
    param_columns: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_lr_times_weight_decay = 0.0
    if weight_decay != 0:
        one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    if param_rank > 1:
        one_minus_beta2 = 1 - beta2
    else:
        one_minus_beta2 = 1 - beta2
    one_minus_beta1 = 1 - beta1
    one_minus_beta3 = 0.0
    if param_rank > 1:
        one_minus_beta3 = 1 - beta3
    return (
        one_minus_lr_times_weight_decay,
        eps1,
        param_columns,
        beta2,
        one_minus_beta2,
        param_rows,
        param_size,
        clip_threshold,
        beta1,
        one_minus_beta1,
        eps2,
        beta3,
        one_minus_beta3,
        lr,
    ), ()


def scalars_on_tensors(
    *,
    lr: Scalar,
    eps1: Scalar,
    eps2: Scalar,
    clip_threshold: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    beta3: Scalar,
    weight_decay: Scalar,
    param_rank: Scalar,
    param_size: Scalar,
    param_rows: Scalar,
    param_columns: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_lr_times_weight_decay: Scalar = 0.0
    if weight_decay != 0:
        one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    if param_rank > 1:
        one_minus_beta2: Scalar = 1 - beta2
    else:
        one_minus_beta2 = 1 - beta2
    one_minus_beta1 = 1 - beta1
    one_minus_beta3: Scalar = 0.0
    if param_rank > 1:
        one_minus_beta3 = 1 - beta3
    return (
        one_minus_lr_times_weight_decay,
        eps1,
        param_columns,
        beta2,
        one_minus_beta2,
        param_rows,
        param_size,
        clip_threshold,
        beta1,
        one_minus_beta1,
        eps2,
        beta3,
        one_minus_beta3,
        lr,
    ), ()
