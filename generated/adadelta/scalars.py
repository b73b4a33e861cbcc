# Generated from specs/adadelta.yaml by thetac 0.1.0; do not edit.
"""Adadelta: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime.tensors import Scalar

ROW = (
    "weight_decay",
    "rho",
    "one_minus_rho",  # 1 - rho
    "eps",
    "lr",
)


def scalars(
    *,
    lr: float,
    rho: float,
    eps: float,
    weight_decay: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_rho = 1 - rho
    return (
        weight_decay,
        rho,
        one_minus_rho,
        eps,
        lr,
    ), ()


def scalars_on_tensors(
    *,
    lr: Scalar,
    rho: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_rho = 1 - rho
    return (
        weight_decay,
        rho,
        one_minus_rho,
        eps,
        lr,
    ), ()
