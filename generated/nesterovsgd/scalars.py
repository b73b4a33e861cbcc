# Generated from specs/textbook/nesterov_sgd.yaml by thetac 0.1.0; do not edit.
"""NesterovSGD: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime.tensors import Scalar

ROW = (
    "mu",
    "lr",
    "minus_mu",  # -mu
    "one_plus_mu",  # 1 + mu
)


def scalars(
    *,
    lr: float,
    mu: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    minus_mu = -mu
    one_plus_mu = 1 + mu
    return (
        mu,
        lr,
        minus_mu,
        one_plus_mu,
    ), ()


def scalars_on_tensors(
    *,
    lr: Scalar,
    mu: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    minus_mu = -mu
    one_plus_mu = 1 + mu
    return (
        mu,
        lr,
        minus_mu,
        one_plus_mu,
    ), ()
