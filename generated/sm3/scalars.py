# Generated from specs/sm3.yaml by thetac 0.1.0; do not edit.
"""SM3: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime.tensors import Scalar

ROW = (
    "one_minus_momentum",  # 1 - momentum
    "momentum_minus_one",  # momentum - 1
    "lr",
)


def scalars(
    *,
    lr: float,
    momentum: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_momentum = 1 - momentum
    momentum_minus_one = 0.0
    if momentum > 0:
        momentum_minus_one = momentum - 1
    return (
        one_minus_momentum,
        momentum_minus_one,
        lr,
    ), ()


def scalars_on_tensors(
    *,
    lr: Scalar,
    momentum: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_momentum = 1 - momentum
    momentum_minus_one: Scalar = 0.0
    if momentum > 0:
        momentum_minus_one = momentum - 1
    return (
        one_minus_momentum,
        momentum_minus_one,
        lr,
    ), ()
