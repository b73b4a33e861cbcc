# Generated from specs/dadapt_lion.yaml by thetac 0.1.0; do not edit.
"""DAdaptLion: the scalars that its fused kernels read, once per step, group and step count, in stages."""

from __future__ import annotations

from thetac.runtime import scalar_math
from thetac.runtime.scalar_stages import Barrier, LastStage, Stages

ROW = (
    "one_minus_rate_times_weight_decay",  # 1 - rate * weight_decay
    "beta1",
    "one_minus_beta1",  # 1 - beta1
    "rate",
    "beta2",
    "one_minus_beta2_times_rate",  # (1 - beta2) * rate
    "root",
    "one_minus_root_times_rate",  # (1 - root) * rate
)

# What kernels and the host wait for, between two stages: the terms that are added up there.
BARRIERS = (
    Barrier(passes=2, in_group=(False, False)),  # rate_times_sum_direction_times_s, sum_abs_s
)


def scalars(
    *,
    d: float,
    numerator_weighted: float,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
) -> Stages:
    """What each stage adds to the row; the last one gives scalar states and shared numbers, too."""
    rate = d * lr
    root = scalar_math.sqrt(beta2)
    one_minus_rate_times_weight_decay = 1 - rate * weight_decay
    one_minus_beta1 = 1 - beta1
    one_minus_beta2_times_rate = (1 - beta2) * rate
    one_minus_root_times_rate = (1 - root) * rate
    gain, size_of_s = yield (
        one_minus_rate_times_weight_decay,
        beta1,
        one_minus_beta1,
        rate,
        beta2,
        one_minus_beta2_times_rate,
        root,
        one_minus_root_times_rate,
    )
    numerator = root * numerator_weighted + (1 - root) * gain
    still = size_of_s == 0  # no gradient so far: nothing is learnt
    bound = scalar_math.divide(numerator, (1 - root) * size_of_s)
    numerator_weighted = numerator_weighted if still else numerator
    d = d if still else scalar_math.maximum(d, bound)
    return LastStage(
        (),
        (),
        {"d": d, "numerator_weighted": numerator_weighted},
    )
