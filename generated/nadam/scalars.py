# Generated from specs/nadam.yaml by thetac 0.1.0; do not edit.
"""NAdam: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "one_minus_lr_times_weight_decay",  # 1 - lr * weight_decay
    "weight_decay",
    "one_minus_beta1",  # 1 - beta1
    "beta2",
    "one_minus_beta2",  # 1 - beta2
    "one_minus_beta2_pow_step",  # 1 - beta2 ** step
    "eps",
    "grad_factor",  # lr * (1 - mu) / (1 - mu_product)
    "exp_avg_factor",  # lr * mu_next / (1 - mu_product * mu_next)
)


def scalars(
    *,
    step: float,
    mu_product: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    momentum_decay: float,
    decoupled_weight_decay: bool,
    round_to: Callable[[float], float],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (mu_product)."""
    one_minus_lr_times_weight_decay = 0.0
    if weight_decay != 0:
        if decoupled_weight_decay:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    mu = beta1 * (1 - 0.5 * 0.96 ** (step * momentum_decay))  # momentum of this step
    mu_next = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * momentum_decay))  # and of the next
    mu_product = round_to(mu_product * mu)
    one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    one_minus_beta2_pow_step = 1 - beta2**step
    grad_factor = scalar_math.divide(lr * (1 - mu), 1 - mu_product)
    exp_avg_factor = scalar_math.divide(lr * mu_next, 1 - mu_product * mu_next)
    return (
        one_minus_lr_times_weight_decay,
        weight_decay,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        one_minus_beta2_pow_step,
        eps,
        grad_factor,
        exp_avg_factor,
    ), (mu_product,)


def scalars_on_tensors(
    *,
    step: Scalar,
    mu_product: Scalar,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    momentum_decay: Scalar,
    decoupled_weight_decay: bool,
    round_to: Callable[[Scalar], Scalar],
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_lr_times_weight_decay: Scalar = 0.0
    if weight_decay != 0:
        if decoupled_weight_decay:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    mu = beta1 * (1 - 0.5 * 0.96 ** (step * momentum_decay))  # momentum of this step
    mu_next = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * momentum_decay))  # and of the next
    mu_product = round_to(mu_product * mu)
    one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    one_minus_beta2_pow_step = 1 - beta2**step
    grad_factor = tensors.divide(lr * (1 - mu), 1 - mu_product)
    exp_avg_factor = tensors.divide(lr * mu_next, 1 - mu_product * mu_next)
    return (
        one_minus_lr_times_weight_decay,
        weight_decay,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        one_minus_beta2_pow_step,
        eps,
        grad_factor,
        exp_avg_factor,
    ), (mu_product,)
