# Generated from specs/adam.yaml by thetac 0.1.0; do not edit.
"""Adam: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime.tensors import Scalar

ROW = (
    "one_minus_lr_times_weight_decay",  # 1 - lr * weight_decay
    "weight_decay",
    "one_minus_beta1",  # 1 - beta1
    "beta2",
    "one_minus_beta2",  # 1 - beta2
    "one_minus_beta2_pow_step_pow_half",  # (1 - beta2 ** step) ** 0.5
    "eps",
    "lr_over_one_minus_beta1_pow_step",  # lr / (1 - beta1 ** step)
)


def scalars(
    *,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_lr_times_weight_decay = 0.0
    if weight_decay != 0:
        if decoupled_weight_decay:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    one_minus_beta2_pow_step_pow_half = (1 - beta2**step) ** 0.5
    lr_over_one_minus_beta1_pow_step = lr / (1 - beta1**step)
    return (
        one_minus_lr_times_weight_decay,
        weight_decay,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        one_minus_beta2_pow_step_pow_half,
        eps,
        lr_over_one_minus_beta1_pow_step,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    decoupled_weight_decay: bool,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_lr_times_weight_decay: Scalar = 0.0
    if weight_decay != 0:
        if decoupled_weight_decay:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    one_minus_beta2_pow_step_pow_half = (1 - beta2**step) ** 0.5
    lr_over_one_minus_beta1_pow_step = lr / (1 - beta1**step)
    return (
        one_minus_lr_times_weight_decay,
        weight_decay,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        one_minus_beta2_pow_step_pow_half,
        eps,
        lr_over_one_minus_beta1_pow_step,
    ), ()
