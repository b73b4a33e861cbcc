# Generated from specs/adam_mini.yaml by thetac 0.1.0; do not edit.
"""AdamMini: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "one_minus_lr_times_weight_decay",  # 1 - lr * weight_decay
    "one_minus_beta1",  # 1 - beta1
    "beta2",
    "one_minus_beta2",  # 1 - beta2
    "rate",
    "correction",
    "eps",
    "param_matrix_columns",
    "n_heads",
    "param_size",
)


def scalars(
    *,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    n_heads: float,
    blocks_is_tensor: bool,
    blocks_is_row: bool,
    blocks_is_head: bool,
    blocks_is_element: bool,
    param_rank: float,
    param_size: float,
    param_matrix_columns: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_lr_times_weight_decay = 0.0
    if weight_decay != 0:
        one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    one_minus_beta1 = 1 - beta1
    rate = lr / (1 - beta1**step)
    correction = scalar_math.sqrt(1 - beta2**step)
    one_minus_beta2 = 0.0
    if blocks_is_element:
        one_minus_beta2 = 1 - beta2
    if (blocks_is_row or blocks_is_head) and param_rank > 1:
        one_minus_beta2 = 1 - beta2
    if blocks_is_tensor or blocks_is_row and param_rank <= 1:
        one_minus_beta2 = 1 - beta2
    return (
        one_minus_lr_times_weight_decay,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        rate,
        correction,
        eps,
        param_matrix_columns,
        n_heads,
        param_size,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    n_heads: Scalar,
    blocks_is_tensor: bool,
    blocks_is_row: bool,
    blocks_is_head: bool,
    blocks_is_element: bool,
    param_rank: Scalar,
    param_size: Scalar,
    param_matrix_columns: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_lr_times_weight_decay: Scalar = 0.0
    if weight_decay != 0:
        one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    one_minus_beta1 = 1 - beta1
    rate = lr / (1 - beta1**step)
    correction = tensors.sqrt(1 - beta2**step)
    one_minus_beta2: Scalar = 0.0
    if blocks_is_element:
        one_minus_beta2 = 1 - beta2
    if (blocks_is_row or blocks_is_head) and param_rank > 1:
        one_minus_beta2 = 1 - beta2
    if blocks_is_tensor or blocks_is_row and param_rank <= 1:
        one_minus_beta2 = 1 - beta2
    return (
        one_minus_lr_times_weight_decay,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        rate,
        correction,
        eps,
        param_matrix_columns,
        n_heads,
        param_size,
    ), ()
