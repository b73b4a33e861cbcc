# Generated from specs/apollo_ma.yaml by thetac 0.1.0; do not edit.
"""ApolloMa: the scalars that its fused kernels read, once per step, parameter group and step count."""

from __future__ import annotations

from torch import Tensor

from thetac.runtime import scalar_math, tensors
from thetac.runtime.tensors import Scalar

ROW = (
    "weight_decay",
    "alpha",
    "eps",
    "eps_over_0_01",  # eps / 0.01
    "minus_alpha",  # -alpha
    "eps_over_alpha",  # eps / alpha
    "param_size",
    "rate",
)


def scalars(
    *,
    step: float,
    lr: float,
    beta: float,
    eps: float,
    warmup: float,
    init_lr: float,
    start_lr: float,
    weight_decay: float,
    rebound_is_belief: bool,
    init_lr_is_none: bool,
    param_size: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The row, and the new values of scalar states (there are none)."""
    init_lr_or_default = -1 if init_lr_is_none else init_lr
    initial_rate = start_lr / 1000 if init_lr_or_default < 0 else init_lr_or_default
    rate = (
        scalar_math.divide((start_lr - initial_rate) * (step - 1), warmup) + initial_rate
        if step - 1 < warmup and lr != 0
        else lr
    )
    alpha = (1 - beta) / (1 - beta**step)
    eps_over_0_01 = 0.0
    if not rebound_is_belief:
        eps_over_0_01 = eps / 0.01
    minus_alpha = -alpha
    eps_over_alpha = 0.0
    if rebound_is_belief:
        eps_over_alpha = scalar_math.divide(eps, alpha)
    return (
        weight_decay,
        alpha,
        eps,
        eps_over_0_01,
        minus_alpha,
        eps_over_alpha,
        param_size,
        rate,
    ), ()


def scalars_on_tensors(
    *,
    step: Scalar,
    lr: Scalar,
    beta: Scalar,
    eps: Scalar,
    warmup: Scalar,
    init_lr: Scalar,
    start_lr: Scalar,
    weight_decay: Scalar,
    rebound_is_belief: bool,
    init_lr_is_none: bool,
    param_size: Scalar,
) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """The same on numbers that may be tensors: both sides of a branch on them are computed, and one is selected."""
    init_lr_or_default = tensors.where(init_lr_is_none, -1, init_lr)
    initial_rate = tensors.where(init_lr_or_default < 0, start_lr / 1000, init_lr_or_default)
    rate = tensors.where(
        tensors.both(step - 1 < warmup, lr != 0),
        tensors.divide((start_lr - initial_rate) * (step - 1), warmup) + initial_rate,
        lr,
    )
    alpha = (1 - beta) / (1 - beta**step)
    eps_over_0_01: Scalar = 0.0
    if not rebound_is_belief:
        eps_over_0_01 = eps / 0.01
    minus_alpha = -alpha
    eps_over_alpha: Scalar = 0.0
    if rebound_is_belief:
        eps_over_alpha = tensors.divide(eps, alpha)
    return (
        weight_decay,
        alpha,
        eps,
        eps_over_0_01,
        minus_alpha,
        eps_over_alpha,
        param_size,
        rate,
    ), ()
