# Generated from specs/stable_adamw.yaml by thetac 0.1.0; do not edit.
"""StableAdamW: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "one_minus_beta1_hat",  # 1 - beta1_hat
    "beta2_hat",
    "one_minus_beta2_hat",  # 1 - beta2_hat
    "eps_squared",  # eps * eps
    "param_size",
    "lr",
    "rate_divisor",  # where(highest > 0, highest, inf)
    "weight_decay",
    "eps",
)


def scalars(
    *,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    eps: float,
    max_lr: float,
    start_lr: float,
    decouple_lr: bool,
    max_lr_is_none: bool,
    param_size: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    max_lr_or_default = 0 if max_lr_is_none else max_lr
    beta1_hat = beta1 * (1 - beta1 ** (step - 1)) / (1 - beta1**step)
    beta2_hat = beta2 * (1 - beta2 ** (step - 1)) / (1 - beta2**step)
    one_minus_beta1_hat = 1 - beta1_hat
    one_minus_beta2_hat = 1 - beta2_hat
    eps_squared = eps * eps
    rate_divisor = 0.0
    if weight_decay != 0:
        if decouple_lr:
            highest = max_lr_or_default if max_lr_or_default > 0 else start_lr
            rate_divisor = highest if highest > 0 else float("inf")
    return (
        one_minus_beta1_hat,
        beta2_hat,
        one_minus_beta2_hat,
        eps_squared,
        param_size,
        lr,
        rate_divisor,
        weight_decay,
        eps,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    weight_decay: Scalar,
    eps: Scalar,
    max_lr: Scalar,
    start_lr: Scalar,
    decouple_lr: bool,
    max_lr_is_none: bool,
    param_size: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    max_lr_or_default = tensors.where(max_lr_is_none, 0, max_lr)
    beta1_hat = beta1 * (1 - beta1 ** (step - 1)) / (1 - beta1**step)
    beta2_hat = beta2 * (1 - beta2 ** (step - 1)) / (1 - beta2**step)
    one_minus_beta1_hat = 1 - beta1_hat
    one_minus_beta2_hat = 1 - beta2_hat
    eps_squared = eps * eps
    rate_divisor: Scalar = 0.0
    if weight_decay != 0:
        if decouple_lr:
            highest = tensors.where(max_lr_or_default > 0, max_lr_or_default, start_lr)
            rate_divisor = tensors.where(highest > 0, highest, float("inf"))
    return (
        one_minus_beta1_hat,
        beta2_hat,
        one_minus_beta2_hat,
        eps_squared,
        param_size,
        lr,
        rate_divisor,
        weight_decay,
        eps,
    ), ()
