# Generated from specs/lamb.yaml by thetac 0.1.0; do not edit.
"""LAMB: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "lr_nonzero",  # lr != 0
    "param_factor",  # 1 - lr ** 2 / where(max_lr_is_none, where(start_lr > 0, start_lr, lr), max_lr) * weight_decay
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
    max_lr: float,
    start_lr: float,
    bias_correction: bool,
    grad_averaging: bool,
    decoupled_decay: bool,
    corrected_weight_decay: bool,
    max_lr_is_none: bool,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    lr_nonzero = False
    param_factor = 0.0
    one_minus_lr_times_weight_decay = 0.0
    if weight_decay != 0:
        if decoupled_decay and corrected_weight_decay:
            lr_nonzero = lr != 0
            if lr_nonzero:
                param_factor = (
                    1
                    - scalar_math.divide(
                        scalar_math.power(lr, 2), (start_lr if start_lr > 0 else lr) if max_lr_is_none else max_lr
                    )
                    * weight_decay
                )
        elif decoupled_decay:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    one_minus_beta1 = 0.0
    if grad_averaging:
        one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    scale = 0.0
    bias_correction1_times_eps = 0.0
    if bias_correction:
        bias_correction1 = 1 - beta1**step
        scale = bias_correction1 / scalar_math.sqrt(1 - beta2**step)
        bias_correction1_times_eps = bias_correction1 * eps
    return (
        float(lr_nonzero),
        param_factor,
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
    max_lr: Scalar,
    start_lr: Scalar,
    bias_correction: bool,
    grad_averaging: bool,
    decoupled_decay: bool,
    corrected_weight_decay: bool,
    max_lr_is_none: bool,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    lr_nonzero: bool | Tensor = False
    param_factor: Scalar = 0.0
    one_minus_lr_times_weight_decay: Scalar = 0.0
    if weight_decay != 0:
        if decoupled_decay and corrected_weight_decay:
            lr_nonzero = lr != 0
            param_factor_if_so = (
                1
                - tensors.divide(
                    tensors.power(lr, 2),
                    tensors.where(max_lr_is_none, tensors.where(start_lr > 0, start_lr, lr), max_lr),
                )
                * weight_decay
            )
            param_factor = tensors.where(lr_nonzero, param_factor_if_so, param_factor)
        elif decoupled_decay:
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
        lr_nonzero,
        param_factor,
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
