# Generated from specs/lamb.yaml by thetac 0.1.0; do not edit.
"""LAMB: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "one_minus_lr_times_weight_decay",  # 1 - lr * weight_decay
    "one_minus_beta1",  # 1 - beta1
    "beta1",
    "beta2",
    "one_minus_beta2",  # 1 - beta2
    "scale",
    "bias_correction1_times_eps",  # bias_correction1 * eps
    "eps",
    "weight_decay",
    "lr",
)


def scalars(
    *,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    bias_correction: bool,
    grad_averaging: bool,
    decoupled_decay: bool,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_lr_times_weight_decay = 0.0
    if weight_decay != 0:
        if decoupled_decay:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    one_minus_beta1 = 0.0
    if grad_averaging:
        one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    scale = 0.0
    bias_correction1_times_eps = 0.0
    if bias_correction:
        bias_correction1 = 1 - beta1**step
        scale = bias_correction1 / (1 - beta2**step) ** 0.5
        bias_correction1_times_eps = bias_correction1 * eps
    return (
        one_minus_lr_times_weight_decay,
        one_minus_beta1,
        beta1,
        beta2,
        one_minus_beta2,
        scale,
        bias_correction1_times_eps,
        eps,
        weight_decay,
        lr,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    bias_correction: bool,
    grad_averaging: bool,
    decoupled_decay: bool,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_lr_times_weight_decay: Scalar = 0.0
    if weight_decay != 0:
        if decoupled_decay:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    one_minus_beta1: Scalar = 0.0
    if grad_averaging:
        one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    scale: Scalar = 0.0
    bias_correction1_times_eps: Scalar = 0.0
    if bias_correction:
        bias_correction1 = 1 - beta1**step
        scale = bias_correction1 / tensors.sqrt(1 - beta2**step)
        bias_correction1_times_eps = bias_correction1 * eps
    return (
        one_minus_lr_times_weight_decay,
        one_minus_beta1,
        beta1,
        beta2,
        one_minus_beta2,
        scale,
        bias_correction1_times_eps,
        eps,
        weight_decay,
        lr,
    ), ()
