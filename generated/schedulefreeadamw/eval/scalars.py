# Generated from specs/schedule_free_adamw.yaml by thetac 0.1.0; do not edit.
"""ScheduleFreeAdamW: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "one_minus_one_over_beta1",  # 1 - 1 / beta1
)


def scalars(
    *,
    beta1: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_one_over_beta1 = 1 - scalar_math.divide(1, beta1)
    return (
        one_minus_one_over_beta1,
    ), ()


def scalars_on_tensors(
    *,
    beta1: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_one_over_beta1 = 1 - tensors.divide(1, beta1)
    return (
        one_minus_one_over_beta1,
    ), ()
