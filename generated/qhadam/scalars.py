# Generated from specs/qhadam.yaml by thetac 0.1.0; do not edit.
"""QHAdam: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "one_minus_lr_times_weight_decay",  # 1 - lr * weight_decay
    "weight_decay",
    "one_minus_one_over_beta1_weight",  # 1 - 1 / beta1_weight
    "one_over_beta1_weight",  # 1 / beta1_weight
    "one_minus_one_over_beta2_weight",  # 1 - 1 / beta2_weight
    "one_over_beta2_weight",  # 1 / beta2_weight
    "nu1",
    "one_minus_nu1",  # 1 - nu1
    "nu2",
    "one_minus_nu2",  # 1 - nu2
    "eps",
    "lr",
)


def scalars(
    *,
    beta1_weight: float,
    beta2_weight: float,
    lr: float,
    beta1: float,
    beta2: float,
    nu1: float,
    nu2: float,
    weight_decay: float,
    eps: float,
    decouple_weight_decay: bool,
    round_to: Callable[[float], float],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (beta1_weight, beta2_weight)."""
    one_minus_lr_times_weight_decay = 0.0
    if weight_decay != 0:
        if decouple_weight_decay:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    beta1_weight = round_to(1 + beta1 * beta1_weight)
    beta2_weight = round_to(1 + beta2 * beta2_weight)
    one_minus_one_over_beta1_weight = 1 - scalar_math.divide(1, beta1_weight)
    one_over_beta1_weight = scalar_math.divide(1, beta1_weight)
    one_minus_one_over_beta2_weight = 1 - scalar_math.divide(1, beta2_weight)
    one_over_beta2_weight = scalar_math.divide(1, beta2_weight)
    one_minus_nu1 = 1 - nu1
    one_minus_nu2 = 1 - nu2
    return (
        one_minus_lr_times_weight_decay,
        weight_decay,
        one_minus_one_over_beta1_weight,
        one_over_beta1_weight,
        one_minus_one_over_beta2_weight,
        one_over_beta2_weight,
        nu1,
        one_minus_nu1,
        nu2,
        one_minus_nu2,
        eps,
        lr,
    ), (beta1_weight, beta2_weight)


def scalars_on_tensors(
    *,
    beta1_weight: Scalar,
    beta2_weight: Scalar,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    nu1: Scalar,
    nu2: Scalar,
    weight_decay: Scalar,
    eps: Scalar,
    decouple_weight_decay: bool,
    round_to: Callable[[Scalar], Scalar],
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_lr_times_weight_decay: Scalar = 0.0
    if weight_decay != 0:
        if decouple_weight_decay:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    beta1_weight = round_to(1 + beta1 * beta1_weight)
    beta2_weight = round_to(1 + beta2 * beta2_weight)
    one_minus_one_over_beta1_weight = 1 - tensors.divide(1, beta1_weight)
    one_over_beta1_weight = tensors.divide(1, beta1_weight)
    one_minus_one_over_beta2_weight = 1 - tensors.divide(1, beta2_weight)
    one_over_beta2_weight = tensors.divide(1, beta2_weight)
    one_minus_nu1 = 1 - nu1
    one_minus_nu2 = 1 - nu2
    return (
        one_minus_lr_times_weight_decay,
        weight_decay,
        one_minus_one_over_beta1_weight,
        one_over_beta1_weight,
        one_minus_one_over_beta2_weight,
        one_over_beta2_weight,
        nu1,
        one_minus_nu1,
        nu2,
        one_minus_nu2,
        eps,
        lr,
    ), (beta1_weight, beta2_weight)
