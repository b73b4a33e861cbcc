# Generated from specs/textbook/rmsprop.yaml by thetac 0.1.0; do not edit.
"""TextbookRMSprop: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime.tensors import Scalar

ROW = (
    "decay_rate",
    "one_minus_decay_rate",  # 1 - decay_rate
    "lr",
    "eps",
)


def scalars(
    *,
    lr: float,
    decay_rate: float,
    eps: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_decay_rate = 1 - decay_rate
    return (
        decay_rate,
        one_minus_decay_rate,
        lr,
        eps,
    ), ()


def scalars_on_tensors(
    *,
    lr: Scalar,
    decay_rate: Scalar,
    eps: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_decay_rate = 1 - decay_rate
    return (
        decay_rate,
        one_minus_decay_rate,
        lr,
        eps,
    ), ()
