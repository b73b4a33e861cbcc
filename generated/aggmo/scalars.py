# Generated from specs/aggmo.yaml by thetac 0.1.0; do not edit.
"""AggMo: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime.tensors import Scalar

ROW = (
    "weight_decay",
    "beta1",
    "lr_over_three",  # lr / 3
    "beta2",
    "beta3",
)


def scalars(
    *,
    lr: float,
    beta1: float,
    beta2: float,
    beta3: float,
    weight_decay: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    lr_over_three = lr / 3
    return (
        weight_decay,
        beta1,
        lr_over_three,
        beta2,
        beta3,
    ), ()


def scalars_on_tensors(
    *,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    beta3: Scalar,
    weight_decay: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    lr_over_three = lr / 3
    return (
        weight_decay,
        beta1,
        lr_over_three,
        beta2,
        beta3,
    ), ()
