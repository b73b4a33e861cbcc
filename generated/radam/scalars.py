# Generated from specs/radam.yaml by thetac 0.1.0; do not edit.
"""RAdam: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "one_minus_lr_times_weight_decay",  # 1 - lr * weight_decay
    "weight_decay",
    "one_minus_beta1",  # 1 - beta1
    "beta2",
    "one_minus_beta2",  # 1 - beta2
    "one_minus_beta1_pow_step",  # 1 - beta1 ** step
    "lr",
    "rho_above_five",  # rho > 5
    "bias_correction2_pow_half",  # bias_correction2 ** 0.5
    "eps",
    "rect",
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
    bias_correction2 = 1 - beta2**step
    rho_inf = 2 / (1 - beta2) - 1  # longest simple moving average
    rho = rho_inf - 2 * step * beta2**step / bias_correction2  # its length by now
    one_minus_beta1_pow_step = 1 - beta1**step
    rho_above_five = rho > 5
    rect = 0.0
    bias_correction2_pow_half = 0.0
    if rho_above_five:
        rect = scalar_math.power(
            scalar_math.divide((rho - 4) * (rho - 2) * rho_inf, (rho_inf - 4) * (rho_inf - 2) * rho), 0.5
        )
        bias_correction2_pow_half = bias_correction2**0.5
    return (
        one_minus_lr_times_weight_decay,
        weight_decay,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        one_minus_beta1_pow_step,
        lr,
        float(rho_above_five),
        bias_correction2_pow_half,
        eps,
        rect,
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
    bias_correction2 = 1 - beta2**step
    rho_inf = 2 / (1 - beta2) - 1  # longest simple moving average
    rho = rho_inf - 2 * step * beta2**step / bias_correction2  # its length by now
    one_minus_beta1_pow_step = 1 - beta1**step
    rho_above_five = rho > 5
    rect: Scalar = 0.0
    bias_correction2_pow_half: Scalar = 0.0
    rect_if_so = tensors.power(
        tensors.divide((rho - 4) * (rho - 2) * rho_inf, (rho_inf - 4) * (rho_inf - 2) * rho), 0.5
    )
    bias_correction2_pow_half_if_so = bias_correction2**0.5
    rect = tensors.where(rho_above_five, rect_if_so, rect)
    bias_correction2_pow_half = tensors.where(
        rho_above_five, bias_correction2_pow_half_if_so, bias_correction2_pow_half
    )
    return (
        one_minus_lr_times_weight_decay,
        weight_decay,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        one_minus_beta1_pow_step,
        lr,
        rho_above_five,
        bias_correction2_pow_half,
        eps,
        rect,
    ), ()
