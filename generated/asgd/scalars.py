# Generated from specs/asgd.yaml by thetac 0.1.0; do not edit.
"""ASGD: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "weight_decay",
    "one_minus_lambd_times_eta",  # 1 - lambd * eta
    "eta",
    "mu_not_one",  # mu != 1
    "mu",
)


def scalars(
    *,
    step: float,
    eta: float,
    mu: float,
    lr: float,
    lambd: float,
    alpha: float,
    t0: float,
    weight_decay: float,
    round_to: Callable[[float], float],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (eta, mu)."""
    old_eta = eta
    old_mu = mu
    one_minus_lambd_times_eta = 1 - lambd * eta
    mu_not_one = mu != 1
    eta = round_to(scalar_math.divide(lr, scalar_math.power(1 + lambd * lr * step, alpha)))
    mu = round_to(1 / scalar_math.maximum(1, step - t0))
    return (
        weight_decay,
        one_minus_lambd_times_eta,
        old_eta,
        float(mu_not_one),
        old_mu,
    ), (eta, mu)


def scalars_on_tensors(
    *,
    step: Scalar,
    eta: Scalar,
    mu: Scalar,
    lr: Scalar,
    lambd: Scalar,
    alpha: Scalar,
    t0: Scalar,
    weight_decay: Scalar,
    round_to: Callable[[Scalar], Scalar],
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    old_eta = eta
    old_mu = mu
    one_minus_lambd_times_eta = 1 - lambd * eta
    mu_not_one = mu != 1
    eta = round_to(tensors.divide(lr, tensors.power(1 + lambd * lr * step, alpha)))
    mu = round_to(1 / tensors.maximum(1, step - t0))
    return (
        weight_decay,
        one_minus_lambd_times_eta,
        old_eta,
        mu_not_one,
        old_mu,
    ), (eta, mu)
