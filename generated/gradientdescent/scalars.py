# Generated from specs/textbook/gradient_descent.yaml by thetac 0.1.0; do not edit.
"""GradientDescent: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime.tensors import Scalar

ROW = (
    "lr",
)


def scalars(
    *,
    lr: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    return (
        lr,
    ), ()


def scalars_on_tensors(
    *,
    lr: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    return (
        lr,
    ), ()
