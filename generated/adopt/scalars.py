# Generated from specs/adopt.yaml by thetac 0.1.0; do not edit.
"""ADOPT: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "weight_decay",
    "step_equal_to_one",  # step == 1
    "lr_times_weight_decay",  # lr * weight_decay
    "eps",
    "minus_bound",  # -bound
    "bound",
    "one_minus_beta1",  # 1 - beta1
    "lr",
    "beta2",
    "one_minus_beta2",  # 1 - beta2
)


def scalars(
    *,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    clip_exponent: float,
    decouple: bool,
    clip: bool,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    step_equal_to_one = step == 1
    lr_times_weight_decay = 0.0
    bound = 0.0
    minus_bound = 0.0
    one_minus_beta1 = 0.0
    one_minus_beta2 = 0.0
    if not step_equal_to_one:
        if decouple and weight_decay != 0:
            lr_times_weight_decay = lr * weight_decay
        if clip:
            bound = scalar_math.power(step - 1, clip_exponent)
            minus_bound = -bound
        one_minus_beta1 = 1 - beta1
        one_minus_beta2 = 1 - beta2
    return (
        weight_decay,
        float(step_equal_to_one),
        lr_times_weight_decay,
        eps,
        minus_bound,
        bound,
        one_minus_beta1,
        lr,
        beta2,
        one_minus_beta2,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    clip_exponent: Scalar,
    decouple: bool,
    clip: bool,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    step_equal_to_one = step == 1
    lr_times_weight_decay: Scalar = 0.0
    bound: Scalar = 0.0
    minus_bound: Scalar = 0.0
    one_minus_beta1: Scalar = 0.0
    one_minus_beta2: Scalar = 0.0
    not_step_equal_to_one = tensors.negation(step_equal_to_one)
    lr_times_weight_decay_if_so: Scalar = lr_times_weight_decay
    if decouple and weight_decay != 0:
        lr_times_weight_decay_if_so = lr * weight_decay
    bound_if_so: Scalar = bound
    minus_bound_if_so: Scalar = minus_bound
    if clip:
        bound_if_so = tensors.power(step - 1, clip_exponent)
        minus_bound_if_so = -bound_if_so
    one_minus_beta1_if_so = 1 - beta1
    one_minus_beta2_if_so = 1 - beta2
    lr_times_weight_decay = tensors.where(
        not_step_equal_to_one, lr_times_weight_decay_if_so, lr_times_weight_decay
    )
    bound = tensors.where(not_step_equal_to_one, bound_if_so, bound)
    minus_bound = tensors.where(not_step_equal_to_one, minus_bound_if_so, minus_bound)
    one_minus_beta1 = tensors.where(not_step_equal_to_one, one_minus_beta1_if_so, one_minus_beta1)
    one_minus_beta2 = tensors.where(not_step_equal_to_one, one_minus_beta2_if_so, one_minus_beta2)
    return (
        weight_decay,
        step_equal_to_one,
        lr_times_weight_decay,
        eps,
        minus_bound,
        bound,
        one_minus_beta1,
        lr,
        beta2,
        one_minus_beta2,
    ), ()
