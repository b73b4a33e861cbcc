# Generated from specs/textbook/adagrad.yaml by thetac 0.1.0; do not edit.
"""TextbookAdagrad: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime.tensors import Scalar

ROW = (
    "lr",
    "eps",
)


def scalars(
    *,
    lr: float,
    eps: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    return (
        lr,
        eps,
    ), ()


def scalars_on_tensors(
    *,
    lr: Scalar,
    eps: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    return (
        lr,
        eps,
    ), ()
