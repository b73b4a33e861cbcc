# Generated from specs/novograd.yaml by thetac 0.1.0; do not edit.
"""NovoGrad: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime.tensors import Scalar

ROW = (
    "beta2",
    "one_minus_beta2",  # 1 - beta2
    "eps",
    "weight_decay",
    "one_minus_beta1",  # 1 - beta1
    "beta1",
    "lr",
)


def scalars(
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    grad_averaging: bool,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_beta2 = 1 - beta2
    one_minus_beta1 = 0.0
    if grad_averaging:
        one_minus_beta1 = 1 - beta1
    return (
        beta2,
        one_minus_beta2,
        eps,
        weight_decay,
        one_minus_beta1,
        beta1,
        lr,
    ), ()


def scalars_on_tensors(
    *,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    grad_averaging: bool,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_beta2 = 1 - beta2
    one_minus_beta1: Scalar = 0.0
    if grad_averaging:
        one_minus_beta1 = 1 - beta1
    return (
        beta2,
        one_minus_beta2,
        eps,
        weight_decay,
        one_minus_beta1,
        beta1,
        lr,
    ), ()
