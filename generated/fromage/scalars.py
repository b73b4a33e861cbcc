# Generated from specs/fromage.yaml by thetac 0.1.0; do not edit.
"""Fromage: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "first_max_norm",
    "p_bound_or_default",
    "lr",
    "sqrt_one_plus_lr_squared",  # sqrt(1 + lr ** 2)
)


def scalars(
    *,
    first_max_norm: bool,
    lr: float,
    p_bound: float,
    p_bound_is_none: bool,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    p_bound_or_default = float("inf") if p_bound_is_none else p_bound
    sqrt_one_plus_lr_squared = scalar_math.sqrt(1 + scalar_math.power(lr, 2))
    return (
        float(first_max_norm),
        p_bound_or_default,
        lr,
        sqrt_one_plus_lr_squared,
    ), ()


def scalars_on_tensors(
    *,
    first_max_norm: bool | Tensor,
    lr: Scalar,
    p_bound: Scalar,
    p_bound_is_none: bool,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    p_bound_or_default = tensors.where(p_bound_is_none, float("inf"), p_bound)
    sqrt_one_plus_lr_squared = tensors.sqrt(1 + tensors.power(lr, 2))
    return (
        first_max_norm,
        p_bound_or_default,
        lr,
        sqrt_one_plus_lr_squared,
    ), ()
