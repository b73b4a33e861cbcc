# Generated from specs/padam.yaml by thetac 0.1.0; do not edit.
"""PAdam: the scalars that its fused kernels read, once per step, parameter group and step count."""

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
    "eps",
    "step_size",
    "partial_times_two",  # partial * 2
)


def scalars(
    *,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    partial: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    step_size = lr * scalar_math.sqrt(1 - beta2**step) / (1 - beta1**step)
    partial_times_two = partial * 2
    return (
        weight_decay,
        beta1,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        eps,
        step_size,
        partial_times_two,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    partial: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    step_size = lr * tensors.sqrt(1 - beta2**step) / (1 - beta1**step)
    partial_times_two = partial * 2
    return (
        weight_decay,
        beta1,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        eps,
        step_size,
        partial_times_two,
    ), ()
