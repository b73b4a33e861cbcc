# Generated from specs/textbook/adam_no_bias_correction.yaml by thetac 0.1.0; do not edit.
"""AdamNoBiasCorrection: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime.tensors import Scalar

ROW = (
    "beta1",
    "one_minus_beta1",  # 1 - beta1
    "beta2",
    "one_minus_beta2",  # 1 - beta2
    "lr",
    "eps",
)


def scalars(
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    return (
        beta1,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        lr,
        eps,
    ), ()


def scalars_on_tensors(
    *,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    return (
        beta1,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        lr,
        eps,
    ), ()
