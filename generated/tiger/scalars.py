# Generated from specs/tiger.yaml by thetac 0.1.0; do not edit.
"""Tiger: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "kept",
    "one_minus_beta_over_grad_accum_steps",  # (1 - beta) / grad_accum_steps
    "param_columns",
    "rate",
    "weight_decay",
    "param_size",
    "rate_times_half",  # rate * 0.5
    "center",
    "shrink_ratio",
)


def scalars(
    *,
    step: float,
    lr: float,
    beta: float,
    weight_decay: float,
    grad_accum_steps: float,
    shrink_ratio: float,
    kind_is_matrix: bool,
    kind_is_embedding: bool,
    kind_is_gain: bool,
    param_rank: float,
    param_size: float,
    param_columns: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    kept = 1.0
    if (step - 1) % grad_accum_steps == 0:
        kept = beta
    rate = 0.0
    if step % grad_accum_steps == 0:
        rate = lr
    one_minus_beta_over_grad_accum_steps = (1 - beta) / grad_accum_steps
    center = 0.0
    if kind_is_gain:
        center = 1.0
    rate_times_half = 0.0
    if not (kind_is_embedding and param_rank > 1):
        if not (kind_is_matrix or kind_is_embedding):
            rate_times_half = rate * 0.5
    return (
        kept,
        one_minus_beta_over_grad_accum_steps,
        param_columns,
        rate,
        weight_decay,
        param_size,
        rate_times_half,
        center,
        shrink_ratio,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    lr: Scalar,
    beta: Scalar,
    weight_decay: Scalar,
    grad_accum_steps: Scalar,
    shrink_ratio: Scalar,
    kind_is_matrix: bool,
    kind_is_embedding: bool,
    kind_is_gain: bool,
    param_rank: Scalar,
    param_size: Scalar,
    param_columns: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    kept: Scalar = 1.0
    kept_if_so = beta
    kept = tensors.where((step - 1) % grad_accum_steps == 0, kept_if_so, kept)
    rate: Scalar = 0.0
    rate_if_so = lr
    rate = tensors.where(step % grad_accum_steps == 0, rate_if_so, rate)
    one_minus_beta_over_grad_accum_steps = (1 - beta) / grad_accum_steps
    center: Scalar = 0.0
    if kind_is_gain:
        center = 1.0
    rate_times_half: Scalar = 0.0
    if not (kind_is_embedding and param_rank > 1):
        if not (kind_is_matrix or kind_is_embedding):
            rate_times_half = rate * 0.5
    return (
        kept,
        one_minus_beta_over_grad_accum_steps,
        param_columns,
        rate,
        weight_decay,
        param_size,
        rate_times_half,
        center,
        shrink_ratio,
    ), ()
