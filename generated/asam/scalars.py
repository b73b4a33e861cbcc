# Generated from specs/asam.yaml by thetac 0.1.0; do not edit.
"""ASAM: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "weight_decay",
    "first_momentum_buffer",
    "momentum",
    "one_minus_dampening",  # 1 - dampening
    "lr",
)


def scalars(
    *,
    first_momentum_buffer: bool,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_dampening = 0.0
    if momentum != 0:
        if not first_momentum_buffer:
            one_minus_dampening = 1 - dampening
    return (
        weight_decay,
        float(first_momentum_buffer),
        momentum,
        one_minus_dampening,
        lr,
    ), ()


def scalars_on_tensors(
    *,
    first_momentum_buffer: bool | Tensor,
    lr: Scalar,
    momentum: Scalar,
    dampening: Scalar,
    weight_decay: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_dampening: Scalar = 0.0
    if momentum != 0:
        one_minus_dampening_if_so = 1 - dampening
        one_minus_dampening = tensors.where(
            tensors.negation(first_momentum_buffer), one_minus_dampening_if_so, one_minus_dampening
        )
    return (
        weight_decay,
        first_momentum_buffer,
        momentum,
        one_minus_dampening,
        lr,
    ), ()
