# Generated from specs/adapnm.yaml by thetac 0.1.0; do not edit.
"""AdaPNM: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "one_minus_lr_times_weight_decay",  # 1 - lr * weight_decay
    "weight_decay",
    "step_mod_two_equal_to_one",  # step % 2 == 1
    "beta1_squared",  # beta1 ** 2
    "one_minus_beta1_squared",  # 1 - beta1 ** 2
    "one_plus_beta3",  # 1 + beta3
    "beta3",
    "beta2",
    "one_minus_beta2",  # 1 - beta2
    "sqrt_one_minus_beta2_pow_step",  # sqrt(1 - beta2 ** step)
    "eps",
    "lr_over_one_minus_beta1_pow_step",  # lr / (1 - beta1 ** step)
    "one_over_noise_norm",  # 1 / noise_norm
)


def scalars(
    *,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    beta3: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_lr_times_weight_decay = 0.0
    if weight_decay != 0:
        if decoupled:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    step_mod_two_equal_to_one = step % 2 == 1
    if step_mod_two_equal_to_one:
        beta1_squared = beta1**2
        one_minus_beta1_squared = 1 - beta1**2
        one_plus_beta3 = 1 + beta3
    else:
        beta1_squared = beta1**2
        one_minus_beta1_squared = 1 - beta1**2
        one_plus_beta3 = 1 + beta3
    noise_norm = scalar_math.sqrt(scalar_math.power(1 + beta3, 2) + scalar_math.power(beta3, 2))
    one_minus_beta2 = 1 - beta2
    sqrt_one_minus_beta2_pow_step = scalar_math.sqrt(1 - beta2**step)
    lr_over_one_minus_beta1_pow_step = lr / (1 - beta1**step)
    one_over_noise_norm = scalar_math.divide(1, noise_norm)
    return (
        one_minus_lr_times_weight_decay,
        weight_decay,
        float(step_mod_two_equal_to_one),
        beta1_squared,
        one_minus_beta1_squared,
        one_plus_beta3,
        beta3,
        beta2,
        one_minus_beta2,
        sqrt_one_minus_beta2_pow_step,
        eps,
        lr_over_one_minus_beta1_pow_step,
        one_over_noise_norm,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    beta3: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    decoupled: bool,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_lr_times_weight_decay: Scalar = 0.0
    if weight_decay != 0:
        if decoupled:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    step_mod_two_equal_to_one = step % 2 == 1
    beta1_squared_if_so = beta1**2
    one_minus_beta1_squared_if_so = 1 - beta1**2
    one_plus_beta3_if_so = 1 + beta3
    beta1_squared_if_not = beta1**2
    one_minus_beta1_squared_if_not = 1 - beta1**2
    one_plus_beta3_if_not = 1 + beta3
    beta1_squared = tensors.where(
        step_mod_two_equal_to_one, beta1_squared_if_so, beta1_squared_if_not
    )
    one_minus_beta1_squared = tensors.where(
        step_mod_two_equal_to_one, one_minus_beta1_squared_if_so, one_minus_beta1_squared_if_not
    )
    one_plus_beta3 = tensors.where(
        step_mod_two_equal_to_one, one_plus_beta3_if_so, one_plus_beta3_if_not
    )
    noise_norm = tensors.sqrt(tensors.power(1 + beta3, 2) + tensors.power(beta3, 2))
    one_minus_beta2 = 1 - beta2
    sqrt_one_minus_beta2_pow_step = tensors.sqrt(1 - beta2**step)
    lr_over_one_minus_beta1_pow_step = lr / (1 - beta1**step)
    one_over_noise_norm = tensors.divide(1, noise_norm)
    return (
        one_minus_lr_times_weight_decay,
        weight_decay,
        step_mod_two_equal_to_one,
        beta1_squared,
        one_minus_beta1_squared,
        one_plus_beta3,
        beta3,
        beta2,
        one_minus_beta2,
        sqrt_one_minus_beta2_pow_step,
        eps,
        lr_over_one_minus_beta1_pow_step,
        one_over_noise_norm,
    ), ()
