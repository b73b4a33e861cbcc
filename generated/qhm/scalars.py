# Generated from specs/qhm.yaml by thetac 0.1.0; do not edit.
"""QHM: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime.tensors import Scalar

ROW = (
    "one_minus_lr_times_weight_decay",  # 1 - lr * weight_decay
    "weight_decay",
    "momentum",
    "one_minus_momentum",  # 1 - momentum
    "lr_times_nu",  # lr * nu
    "lr_times_one_minus_nu",  # lr * (1 - nu)
)


def scalars(
    *,
    lr: float,
    momentum: float,
    nu: float,
    weight_decay: float,
    weight_decay_type_is_direct: bool,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_lr_times_weight_decay = 0.0
    if weight_decay != 0:
        if weight_decay_type_is_direct:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    one_minus_momentum = 1 - momentum
    lr_times_nu = lr * nu
    lr_times_one_minus_nu = lr * (1 - nu)
    return (
        one_minus_lr_times_weight_decay,
        weight_decay,
        momentum,
        one_minus_momentum,
        lr_times_nu,
        lr_times_one_minus_nu,
    ), ()


def scalars_on_tensors(
    *,
    lr: Scalar,
    momentum: Scalar,
    nu: Scalar,
    weight_decay: Scalar,
    weight_decay_type_is_direct: bool,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_lr_times_weight_decay: Scalar = 0.0
    if weight_decay != 0:
        if weight_decay_type_is_direct:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    one_minus_momentum = 1 - momentum
    lr_times_nu = lr * nu
    lr_times_one_minus_nu = lr * (1 - nu)
    return (
        one_minus_lr_times_weight_decay,
        weight_decay,
        momentum,
        one_minus_momentum,
        lr_times_nu,
        lr_times_one_minus_nu,
    ), ()
