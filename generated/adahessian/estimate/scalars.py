# Generated from specs/adahessian.yaml by thetac 0.1.0; do not edit.
"""AdaHessian: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime.tensors import Scalar

ROW = (
    "param_columns",
    "param_rows",
    "one_minus_beta2",  # 1 - beta2
    "beta2",
)


def scalars(
    *,
    beta2: float,
    param_rank: float,
    param_rows: float,
    param_columns: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    if param_rank == 4:
        one_minus_beta2 = 1 - beta2
    else:
        one_minus_beta2 = 1 - beta2
    return (
        param_columns,
        param_rows,
        one_minus_beta2,
        beta2,
    ), ()


def scalars_on_tensors(
    *,
    beta2: Scalar,
    param_rank: Scalar,
    param_rows: Scalar,
    param_columns: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    if param_rank == 4:
        one_minus_beta2: Scalar = 1 - beta2
    else:
        one_minus_beta2 = 1 - beta2
    return (
        param_columns,
        param_rows,
        one_minus_beta2,
        beta2,
    ), ()
