# Generated from specs/prodigy.yaml by thetac 0.1.0; do not edit.
"""Prodigy: the scalars that its fused kernels read, once per step, group and step count, in stages."""

from __future__ import annotations

from thetac.runtime import scalar_math
from thetac.runtime.scalar_stages import Barrier, LastStage, Stages

ROW = (
    "weight_decay",
    "d_over_d0_times_rate",  # d / d0 * rate
    "beta1",
    "d_times_one_minus_beta1",  # d * (1 - beta1)
    "beta2",
    "d_squared_times_one_minus_beta2",  # d * d * (1 - beta2)
    "beta3_or_default",
    "gain",
    "rate",
    "param_factor",  # where(still, 0, weight_decay * rate)
    "d_times_eps",  # d * eps
    "rate_times_d",  # rate * d
)

# What kernels and the host wait for, between two stages: the terms that are added up there.
BARRIERS = (
    Barrier(passes=2, in_group=(False, False)),  # numerator_term, sum_abs_s
)


def scalars(
    *,
    d: float,
    d_max: float,
    d_numerator: float,
    k: float,
    lr: float,
    beta1: float,
    beta2: float,
    beta3: float,
    eps: float,
    weight_decay: float,
    d0: float,
    d_coef: float,
    growth_rate: float,
    decouple: bool,
    use_bias_correction: bool,
    safeguard_warmup: bool,
    beta3_is_none: bool,
) -> Stages:
    """What each stage adds to the row; the last one gives scalar states and shared numbers, too."""
    beta3_or_default = scalar_math.sqrt(beta2) if beta3_is_none else beta3
    t = k + 1
    rate = d * lr
    if use_bias_correction:
        rate = scalar_math.divide(
            rate * scalar_math.sqrt(1 - scalar_math.power(beta2, t)), 1 - scalar_math.power(beta1, t)
        )
    gain = d / d0 * rate
    if safeguard_warmup:
        gain = d / d0 * d
    d_over_d0_times_rate = d / d0 * rate
    d_times_one_minus_beta1 = 0.0
    if beta1 > 0:
        d_times_one_minus_beta1 = d * (1 - beta1)
    d_squared_times_one_minus_beta2 = d * d * (1 - beta2)
    param_factor = 0.0
    rate_times_d = 0.0
    total_numerator_term, denominator = yield (
        weight_decay,
        d_over_d0_times_rate,
        beta1,
        d_times_one_minus_beta1,
        beta2,
        d_squared_times_one_minus_beta2,
        beta3_or_default,
        gain,
        rate,
    )
    numerator = beta3_or_default * d_numerator + total_numerator_term
    still = denominator == 0  # no gradient so far: nothing moves, and nothing is learnt
    d_numerator = d_numerator if still else numerator
    estimate = d if still else scalar_math.divide(d_coef * numerator, denominator)
    start = scalar_math.maximum(d, estimate) if d == d0 else d
    d_max = scalar_math.maximum(d_max, estimate)
    d = d if still else scalar_math.minimum(d_max, start * growth_rate)
    k = k if still else t
    if weight_decay != 0 and decouple:
        param_factor = 0 if still else weight_decay * rate
    d_times_eps = d * eps
    if not beta1 > 0:
        rate_times_d = rate * d
    return LastStage(
        (
            param_factor,
            d_times_eps,
            rate_times_d,
        ),
        (),
        {"d": d, "d_max": d_max, "d_numerator": d_numerator, "k": k},
    )
