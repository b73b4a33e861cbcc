# Generated from specs/rmsprop_tf.yaml by thetac 0.1.0; do not edit.
"""RMSpropTF: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime.tensors import Scalar

ROW = (
    "one_minus_lr_times_weight_decay",  # 1 - lr * weight_decay
    "weight_decay",
    "alpha",
    "one_minus_alpha",  # 1 - alpha
    "eps",
    "momentum",
    "lr",
)


def scalars(
    *,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    decoupled_decay: bool,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    one_minus_lr_times_weight_decay = 0.0
    if weight_decay != 0:
        if decoupled_decay:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    one_minus_alpha = 1 - alpha
    return (
        one_minus_lr_times_weight_decay,
        weight_decay,
        alpha,
        one_minus_alpha,
        eps,
        momentum,
        lr,
    ), ()


def scalars_on_tensors(
    *,
    lr: Scalar,
    alpha: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    momentum: Scalar,
    decoupled_decay: bool,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    one_minus_lr_times_weight_decay: Scalar = 0.0
    if weight_decay != 0:
        if decoupled_decay:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    one_minus_alpha = 1 - alpha
    return (
        one_minus_lr_times_weight_decay,
        weight_decay,
        alpha,
        one_minus_alpha,
        eps,
        momentum,
        lr,
    ), ()
