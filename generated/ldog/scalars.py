# Generated from specs/ldog.yaml by thetac 0.1.0; do not edit.
"""LDoG: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "weight_decay",
    "initial_factor",  # where(init_eta_or_default > 0, 0, reps_rel)
    "step_equal_to_one",  # step == 1
    "eta_value",  # step == 1 and init_eta_or_default > 0
    "init_eta_or_default",
    "lr",
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
    initial_factor = 0 if init_eta_or_default > 0 else reps_rel
    step_equal_to_one = step == 1
    eta_value = step == 1 and init_eta_or_default > 0
    return (
        weight_decay,
        initial_factor,
        float(step_equal_to_one),
        float(eta_value),
        init_eta_or_default,
        lr,
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
    initial_factor = tensors.where(init_eta_or_default > 0, 0, reps_rel)
    step_equal_to_one = step == 1
    eta_value = tensors.both(step == 1, init_eta_or_default > 0)
    return (
        weight_decay,
        initial_factor,
        step_equal_to_one,
        eta_value,
        init_eta_or_default,
        lr,
    ), ()
