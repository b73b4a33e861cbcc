# Generated from specs/ldog.yaml by thetac 0.1.0; do not edit.
"""LDoG: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "weight_decay",
    "step_equal_to_one",  # step == 1
    "rbar_factor",  # where(init_eta_or_default > 0, 0, reps_rel)
    "lr",
    "init_eta_or_default_positive",  # init_eta_or_default > 0
    "init_eta_or_default",
)


def scalars(
    *,
    step: float,
    reps_rel: float,
    lr: float,
    weight_decay: float,
    init_eta: float,
    init_eta_is_none: bool,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    init_eta_or_default = 0 if init_eta_is_none else init_eta
    step_equal_to_one = step == 1
    rbar_factor = 0.0
    if step_equal_to_one:
        rbar_factor = 0 if init_eta_or_default > 0 else reps_rel
    init_eta_or_default_positive = False
    if step_equal_to_one:
        init_eta_or_default_positive = init_eta_or_default > 0
    return (
        weight_decay,
        float(step_equal_to_one),
        rbar_factor,
        lr,
        float(init_eta_or_default_positive),
        init_eta_or_default,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    reps_rel: Scalar,
    lr: Scalar,
    weight_decay: Scalar,
    init_eta: Scalar,
    init_eta_is_none: bool,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    init_eta_or_default = tensors.where(init_eta_is_none, 0, init_eta)
    step_equal_to_one = step == 1
    rbar_factor: Scalar = 0.0
    rbar_factor_if_so = tensors.where(init_eta_or_default > 0, 0, reps_rel)
    rbar_factor = tensors.where(step_equal_to_one, rbar_factor_if_so, rbar_factor)
    init_eta_or_default_positive: bool | Tensor = False
    init_eta_or_default_positive_if_so = init_eta_or_default > 0
    init_eta_or_default_positive = tensors.either(
        tensors.both(step_equal_to_one, init_eta_or_default_positive_if_so),
        tensors.both(tensors.negation(step_equal_to_one), init_eta_or_default_positive),
    )
    return (
        weight_decay,
        step_equal_to_one,
        rbar_factor,
        lr,
        init_eta_or_default_positive,
        init_eta_or_default,
    ), ()
