# Generated from specs/adabelief.yaml by thetac 0.1.0; do not edit.
"""AdaBelief: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "lr_nonzero",  # lr != 0
    "one_minus_weight_decay",  # 1 - weight_decay
    "one_minus_lr_times_weight_decay",  # 1 - lr * weight_decay
    "weight_decay",
    "beta1",
    "one_minus_beta1",  # 1 - beta1
    "beta2",
    "one_minus_beta2",  # 1 - beta2
    "eps",
    "rho_at_least_five",  # rho >= 5
    "lr_times_rect_over_bias_correction1",  # lr * rect / bias_correction1
    "lr_over_bias_correction1",  # lr / bias_correction1
    "sqrt_bias_correction2",  # sqrt(bias_correction2)
)


def scalars(
    *,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    weight_decouple: bool,
    fixed_decay: bool,
    rectify: bool,
    degenerated_to_sgd: bool,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    lr_nonzero = False
    one_minus_weight_decay = 0.0
    one_minus_lr_times_weight_decay = 0.0
    if weight_decay != 0:
        if weight_decouple and fixed_decay:
            lr_nonzero = lr != 0
            if lr_nonzero:
                one_minus_weight_decay = 1 - weight_decay
        elif weight_decouple:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    bias_correction1 = 1 - beta1**step
    bias_correction2 = 1 - beta2**step
    rho_at_least_five = False
    lr_times_rect_over_bias_correction1 = 0.0
    lr_over_bias_correction1 = 0.0
    sqrt_bias_correction2 = 0.0
    if rectify:
        rho_inf = 2 / (1 - beta2) - 1  # longest simple moving average
        rho = rho_inf - 2 * step * beta2**step / bias_correction2  # its length by now
        rho_at_least_five = rho >= 5
        if rho_at_least_five:
            rect = scalar_math.sqrt(
                scalar_math.divide(
                    scalar_math.divide(scalar_math.divide(bias_correction2 * (rho - 4), rho_inf - 4) * (rho - 2), rho)
                    * rho_inf,
                    rho_inf - 2,
                )
            )
            lr_times_rect_over_bias_correction1 = lr * rect / bias_correction1
        elif degenerated_to_sgd:
            lr_over_bias_correction1 = lr / bias_correction1
    else:
        lr_over_bias_correction1 = lr / bias_correction1
        sqrt_bias_correction2 = scalar_math.sqrt(bias_correction2)
    return (
        float(lr_nonzero),
        one_minus_weight_decay,
        one_minus_lr_times_weight_decay,
        weight_decay,
        beta1,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        eps,
        float(rho_at_least_five),
        lr_times_rect_over_bias_correction1,
        lr_over_bias_correction1,
        sqrt_bias_correction2,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    weight_decouple: bool,
    fixed_decay: bool,
    rectify: bool,
    degenerated_to_sgd: bool,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    lr_nonzero: bool | Tensor = False
    one_minus_weight_decay: Scalar = 0.0
    one_minus_lr_times_weight_decay: Scalar = 0.0
    if weight_decay != 0:
        if weight_decouple and fixed_decay:
            lr_nonzero = lr != 0
            one_minus_weight_decay_if_so = 1 - weight_decay
            one_minus_weight_decay = tensors.where(
                lr_nonzero, one_minus_weight_decay_if_so, one_minus_weight_decay
            )
        elif weight_decouple:
            one_minus_lr_times_weight_decay = 1 - lr * weight_decay
    one_minus_beta1 = 1 - beta1
    one_minus_beta2 = 1 - beta2
    bias_correction1 = 1 - beta1**step
    bias_correction2 = 1 - beta2**step
    rho_at_least_five: bool | Tensor = False
    lr_times_rect_over_bias_correction1: Scalar = 0.0
    lr_over_bias_correction1: Scalar = 0.0
    sqrt_bias_correction2: Scalar = 0.0
    if rectify:
        rho_inf = 2 / (1 - beta2) - 1  # longest simple moving average
        rho = rho_inf - 2 * step * beta2**step / bias_correction2  # its length by now
        rho_at_least_five = rho >= 5
        rect_if_so = tensors.sqrt(
            tensors.divide(
                tensors.divide(tensors.divide(bias_correction2 * (rho - 4), rho_inf - 4) * (rho - 2), rho) * rho_inf,
                rho_inf - 2,
            )
        )
        lr_times_rect_over_bias_correction1_if_so = lr * rect_if_so / bias_correction1
        lr_over_bias_correction1_if_not: Scalar = lr_over_bias_correction1
        if degenerated_to_sgd:
            lr_over_bias_correction1_if_not = lr / bias_correction1
        lr_times_rect_over_bias_correction1 = tensors.where(
            rho_at_least_five, lr_times_rect_over_bias_correction1_if_so, lr_times_rect_over_bias_correction1
        )
        lr_over_bias_correction1 = tensors.where(
            rho_at_least_five, lr_over_bias_correction1, lr_over_bias_correction1_if_not
        )
    else:
        lr_over_bias_correction1 = lr / bias_correction1
        sqrt_bias_correction2 = tensors.sqrt(bias_correction2)
    return (
        lr_nonzero,
        one_minus_weight_decay,
        one_minus_lr_times_weight_decay,
        weight_decay,
        beta1,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        eps,
        rho_at_least_five,
        lr_times_rect_over_bias_correction1,
        lr_over_bias_correction1,
        sqrt_bias_correction2,
    ), ()
