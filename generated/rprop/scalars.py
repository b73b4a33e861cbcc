# Generated from specs/rprop.yaml by thetac 0.1.0; do not edit.
"""Rprop: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime.tensors import Scalar

ROW = (
    "etaplus",
    "etaminus",
    "step_size_min",
    "step_size_max",
)


def scalars(
    *,
    etaminus: float,
    etaplus: float,
    step_size_min: float,
    step_size_max: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    return (
        etaplus,
        etaminus,
        step_size_min,
        step_size_max,
    ), ()


def scalars_on_tensors(
    *,
    etaminus: Scalar,
    etaplus: Scalar,
    step_size_min: Scalar,
    step_size_max: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    return (
        etaplus,
        etaminus,
        step_size_min,
        step_size_max,
    ), ()
