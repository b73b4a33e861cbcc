# Generated from specs/laprop.yaml by thetac 0.1.0; do not edit.
"""LaProp: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "beta2",
    "one_minus_beta2",  # 1 - beta2
    "step_above_ten",  # step > 10
    "not_centered_or_step_above_ten",  # not centered or step > 10
    "exp_avg_lr_2",
    "eps",
    "beta1",
    "one_minus_beta1_times_lr",  # (1 - beta1) * lr
    "one_over_bias_correction1",  # 1 / bias_correction1
    "weight_decay_nonzero_and_lr_nonzero",  # weight_decay != 0 and lr != 0
    "weight_decay",
)


def scalars(
    *,
    step: float,
    exp_avg_lr_1: float,
    exp_avg_lr_2: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    centered: bool,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (exp_avg_lr_1, exp_avg_lr_2)."""
    one_minus_beta2 = 1 - beta2
    exp_avg_lr_1 = exp_avg_lr_1 * beta1 + (1 - beta1) * lr
    exp_avg_lr_2 = exp_avg_lr_2 * beta2 + (1 - beta2)
    bias_correction1 = 1.0
    if lr != 0:
        bias_correction1 = scalar_math.divide(exp_avg_lr_1, lr)
    step_above_ten = False
    if centered:
        step_above_ten = step > 10
    not_centered_or_step_above_ten = False
    if amsgrad:
        not_centered_or_step_above_ten = not centered or step > 10
    one_minus_beta1_times_lr = (1 - beta1) * lr
    one_over_bias_correction1 = scalar_math.divide(1, bias_correction1)
    weight_decay_nonzero_and_lr_nonzero = weight_decay != 0 and lr != 0
    return (
        beta2,
        one_minus_beta2,
        float(step_above_ten),
        float(not_centered_or_step_above_ten),
        exp_avg_lr_2,
        eps,
        beta1,
        one_minus_beta1_times_lr,
        one_over_bias_correction1,
        float(weight_decay_nonzero_and_lr_nonzero),
        weight_decay,
    ), (exp_avg_lr_1, exp_avg_lr_2)


def scalars_on_tensors(
    *,
    step: Scalar,
    exp_avg_lr_1: Scalar,
    exp_avg_lr_2: Scalar,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    amsgrad: bool,
    centered: bool,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_beta2 = 1 - beta2
    exp_avg_lr_1 = exp_avg_lr_1 * beta1 + (1 - beta1) * lr
    exp_avg_lr_2 = exp_avg_lr_2 * beta2 + (1 - beta2)
    bias_correction1: Scalar = 1.0
    bias_correction1_if_so = tensors.divide(exp_avg_lr_1, lr)
    bias_correction1 = tensors.where(lr != 0, bias_correction1_if_so, bias_correction1)
    step_above_ten: bool | Tensor = False
    if centered:
        step_above_ten = step > 10
    not_centered_or_step_above_ten: bool | Tensor = False
    if amsgrad:
        not_centered_or_step_above_ten = tensors.either(tensors.negation(centered), step > 10)
    one_minus_beta1_times_lr = (1 - beta1) * lr
    one_over_bias_correction1 = tensors.divide(1, bias_correction1)
    weight_decay_nonzero_and_lr_nonzero = tensors.both(weight_decay != 0, lr != 0)
    return (
        beta2,
        one_minus_beta2,
        step_above_ten,
        not_centered_or_step_above_ten,
        exp_avg_lr_2,
        eps,
        beta1,
        one_minus_beta1_times_lr,
        one_over_bias_correction1,
        weight_decay_nonzero_and_lr_nonzero,
        weight_decay,
    ), (exp_avg_lr_1, exp_avg_lr_2)
