# Generated from specs/pid.yaml by thetac 0.1.0; do not edit.
"""PID: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "weight_decay",
    "first_I_buffer",
    "not_first_I_buffer",  # not first_I_buffer
    "momentum",
    "one_minus_dampening",  # 1 - dampening
    "one_minus_momentum",  # 1 - momentum
    "I",
    "D",
    "lr",
)


def scalars(
    *,
    first_I_buffer: bool,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    I: float,
    D: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    not_first_I_buffer = False
    one_minus_dampening = 0.0
    one_minus_momentum = 0.0
    if momentum != 0:
        not_first_I_buffer = not first_I_buffer
        if not_first_I_buffer:
            one_minus_dampening = 1 - dampening
            one_minus_momentum = 1 - momentum
    return (
        weight_decay,
        float(first_I_buffer),
        float(not_first_I_buffer),
        momentum,
        one_minus_dampening,
        one_minus_momentum,
        I,
        D,
        lr,
    ), ()


def scalars_on_tensors(
    *,
    first_I_buffer: bool | Tensor,
    lr: Scalar,
    momentum: Scalar,
    dampening: Scalar,
    weight_decay: Scalar,
    I: Scalar,
    D: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    not_first_I_buffer: bool | Tensor = False
    one_minus_dampening: Scalar = 0.0
    one_minus_momentum: Scalar = 0.0
    if momentum != 0:
        not_first_I_buffer = tensors.negation(first_I_buffer)
        one_minus_dampening_if_so = 1 - dampening
        one_minus_momentum_if_so = 1 - momentum
        one_minus_dampening = tensors.where(
            not_first_I_buffer, one_minus_dampening_if_so, one_minus_dampening
        )
        one_minus_momentum = tensors.where(
            not_first_I_buffer, one_minus_momentum_if_so, one_minus_momentum
        )
    return (
        weight_decay,
        first_I_buffer,
        not_first_I_buffer,
        momentum,
        one_minus_dampening,
        one_minus_momentum,
        I,
        D,
        lr,
    ), ()
