# Generated from specs/sophia_g.yaml by thetac 0.1.0; do not edit.
"""SophiaG: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime.tensors import Scalar

ROW = (
    "beta2",
    "one_minus_beta2",  # 1 - beta2
)


def scalars(
    *,
    beta2: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_beta2 = 1 - beta2
    return (
        beta2,
        one_minus_beta2,
    ), ()


def scalars_on_tensors(
    *,
    beta2: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_beta2 = 1 - beta2
    return (
        beta2,
        one_minus_beta2,
    ), ()
