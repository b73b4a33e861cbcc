# Generated from specs/adagrad.yaml by thetac 0.1.0; do not edit.
"""Adagrad: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime.tensors import Scalar

ROW = (
    "weight_decay",
    "grad_factor",  # lr / (1 + (step - 1) * lr_decay)
    "eps",
)


def scalars(
    *,
    step: float,
    lr: float,
    lr_decay: float,
    weight_decay: float,
    eps: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    grad_factor = lr / (1 + (step - 1) * lr_decay)
    return (
        weight_decay,
        grad_factor,
        eps,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    lr: Scalar,
    lr_decay: Scalar,
    weight_decay: Scalar,
    eps: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    grad_factor = lr / (1 + (step - 1) * lr_decay)
    return (
        weight_decay,
        grad_factor,
        eps,
    ), ()
