# Generated from specs/adabound.yaml by thetac 0.1.0; do not edit.
"""AdaBound: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "weight_decay",
    "beta1",
    "one_minus_beta1",  # 1 - beta1
    "beta2",
    "one_minus_beta2",  # 1 - beta2
    "step_size",
    "eps",
    "lower",
    "upper",
)


def scalars(
    *,
    step: float,
    base_lr: float,
    lr: float,
    beta1: float,
    beta2: float,
    final_lr: float,
    gamma: float,
    eps: float,
    weight_decay: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    step_size = lr * scalar_math.sqrt(1 - beta2**step) / (1 - beta1**step)
    target = 0.0
    if base_lr != 0:
        target = scalar_math.divide(final_lr * lr, base_lr)
    lower = target * (1 - 1 / (gamma * step + 1))
    upper = target * (1 + scalar_math.divide(1, gamma * step))
    return (
        weight_decay,
        beta1,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        step_size,
        eps,
        lower,
        upper,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    base_lr: Scalar,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    final_lr: Scalar,
    gamma: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    step_size = lr * tensors.sqrt(1 - beta2**step) / (1 - beta1**step)
    target: Scalar = 0.0
    target_if_so = tensors.divide(final_lr * lr, base_lr)
    target = tensors.where(base_lr != 0, target_if_so, target)
    lower = target * (1 - 1 / (gamma * step + 1))
    upper = target * (1 + tensors.divide(1, gamma * step))
    return (
        weight_decay,
        beta1,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        step_size,
        eps,
        lower,
        upper,
    ), ()
