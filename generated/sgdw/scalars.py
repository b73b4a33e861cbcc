# Generated from specs/sgdw.yaml by thetac 0.1.0; do not edit.
"""SGDW: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "lr_nonzero",  # lr != 0
    "param_factor",  # 1 - lr ** 2 / where(max_lr_is_none, where(start_lr > 0, start_lr, lr), max_lr) * weight_decay
    "one_minus_lr_times_weight_decay",  # 1 - lr * weight_decay
    "first_momentum_buffer",
    "not_first_momentum_buffer",  # not first_momentum_buffer
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
    max_lr: float,
    start_lr: float,
    corrected_weight_decay: bool,
    max_lr_is_none: bool,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    lr_nonzero = False
    param_factor = 0.0
    one_minus_lr_times_weight_decay = 0.0
    if weight_decay != 0:
        if corrected_weight_decay:
            lr_nonzero = lr != 0
            if lr_nonzero:
                param_factor = (
                    1
                    - scalar_math.divide(
                        scalar_math.power(lr, 2), (start_lr if start_lr > 0 else lr) if max_lr_is_none else max_lr
                    )
                    * weight_decay
                )
        else:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    not_first_momentum_buffer = False
    one_minus_dampening = 0.0
    if momentum != 0:
        not_first_momentum_buffer = not first_momentum_buffer
        if not_first_momentum_buffer:
            one_minus_dampening = 1 - dampening
    return (
        float(lr_nonzero),
        param_factor,
        one_minus_lr_times_weight_decay,
        float(first_momentum_buffer),
        float(not_first_momentum_buffer),
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
    max_lr: Scalar,
    start_lr: Scalar,
    corrected_weight_decay: bool,
    max_lr_is_none: bool,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    lr_nonzero: bool | Tensor = False
    param_factor: Scalar = 0.0
    one_minus_lr_times_weight_decay: Scalar = 0.0
    if weight_decay != 0:
        if corrected_weight_decay:
            lr_nonzero = lr != 0
            param_factor_if_so = (
                1
                - tensors.divide(
                    tensors.power(lr, 2),
                    tensors.where(max_lr_is_none, tensors.where(start_lr > 0, start_lr, lr), max_lr),
                )
                * weight_decay
            )
            param_factor = tensors.where(lr_nonzero, param_factor_if_so, param_factor)
        else:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    not_first_momentum_buffer: bool | Tensor = False
    one_minus_dampening: Scalar = 0.0
    if momentum != 0:
        not_first_momentum_buffer = tensors.negation(first_momentum_buffer)
        one_minus_dampening_if_so = 1 - dampening
        one_minus_dampening = tensors.where(
            not_first_momentum_buffer, one_minus_dampening_if_so, one_minus_dampening
        )
    return (
        lr_nonzero,
        param_factor,
        one_minus_lr_times_weight_decay,
        first_momentum_buffer,
        not_first_momentum_buffer,
        momentum,
        one_minus_dampening,
        lr,
    ), ()
