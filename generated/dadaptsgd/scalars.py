# Generated from specs/dadapt_sgd.yaml by thetac 0.1.0; do not edit.
"""DAdaptSGD: the scalars that its fused kernels read, once per step, group and step count, in stages."""

from __future__ import annotations

from thetac.runtime import scalar_math
from thetac.runtime.scalar_stages import Barrier, LastStage, Stages

ROW = (
    "weight_decay",
    "rate",
    "choice_of_still_one_momentum",  # where(still, 1, momentum)
    "z_factor",  # where(still, 0, 1 - momentum)
)

# What kernels and the host wait for, between two stages: the terms that are added up there.
BARRIERS = (
    Barrier(passes=1, in_group=(False,)),  # sum_grad_squared
    Barrier(passes=2, in_group=(False, False)),  # rate_times_sum_direction_times_s, sum_s_squared
)


def scalars(
    *,
    d: float,
    numerator_weighted: float,
    g0_norm: float,
    lr: float,
    momentum: float,
    weight_decay: float,
    growth_rate: float,
) -> Stages:
    """What each stage adds to the row; the last one gives scalar states and shared numbers, too."""
    (total_sum_grad_squared,) = yield (
        weight_decay,
    )
    g0_norm = scalar_math.sqrt(total_sum_grad_squared) if g0_norm == 0 else g0_norm
    rate = 0 if g0_norm == 0 else scalar_math.divide(d * lr, g0_norm)
    numerator_total, total_sum_s_squared = yield (
        rate,
    )
    numerator = numerator_weighted + numerator_total
    size_of_s = scalar_math.sqrt(total_sum_s_squared)
    still = size_of_s == 0  # no gradient so far: nothing moves, and nothing is learnt
    bound = scalar_math.divide(2 * numerator, size_of_s)
    numerator_weighted = numerator_weighted if still else numerator
    d = d if still else scalar_math.maximum(d, scalar_math.minimum(bound, d * growth_rate))
    choice_of_still_one_momentum = 1 if still else momentum
    z_factor = 0 if still else 1 - momentum
    return LastStage(
        (
            choice_of_still_one_momentum,
            z_factor,
        ),
        (),
        {"d": d, "numerator_weighted": numerator_weighted, "g0_norm": g0_norm},
    )
