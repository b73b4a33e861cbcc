# Generated from specs/dadapt_adam.yaml by thetac 0.1.0; do not edit.
"""DAdaptAdam: the scalars that its fused kernels read, once per step, group and step count, in stages."""

from __future__ import annotations

from thetac.runtime import scalar_math
from thetac.runtime.scalar_stages import Barrier, LastStage, Stages

ROW = (
    "weight_decay",
    "eps",
    "layer_scale_times_rate",  # layer_scale * rate
    "beta1",
    "direction_factor",  # layer_scale * rate * (1 - beta1)
    "beta2",
    "one_minus_beta2",  # 1 - beta2
    "root",
    "rate_times_one_minus_root",  # rate * (1 - root)
    "layer_scale",
    "param_factor",  # where(still, 0, weight_decay * rate)
)

# What kernels and the host wait for, between two stages: the terms that are added up there.
BARRIERS = (
    Barrier(passes=2, in_group=(False, False)),  # gain_term, layer_scale_times_sum_abs_s
)


def scalars(
    *,
    d: float,
    numerator_weighted: float,
    k: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    growth_rate: float,
    layer_scale: float,
    decouple: bool,
    use_bias_correction: bool,
) -> Stages:
    """What each stage adds to the row; the last one gives scalar states and shared numbers, too."""
    t = k + 1
    rate = d * lr
    if use_bias_correction:
        rate = scalar_math.divide(
            rate * scalar_math.sqrt(1 - scalar_math.power(beta2, t)), 1 - scalar_math.power(beta1, t)
        )
    root = scalar_math.sqrt(beta2)
    layer_scale_times_rate = layer_scale * rate
    direction_factor = layer_scale * rate * (1 - beta1)
    one_minus_beta2 = 1 - beta2
    rate_times_one_minus_root = rate * (1 - root)
    param_factor = 0.0
    gain, size_of_s = yield (
        weight_decay,
        eps,
        layer_scale_times_rate,
        beta1,
        direction_factor,
        beta2,
        one_minus_beta2,
        root,
        rate_times_one_minus_root,
        layer_scale,
    )
    numerator = root * numerator_weighted + (1 - root) * gain
    still = size_of_s == 0  # no gradient so far: nothing moves, and nothing is learnt
    bound = scalar_math.divide(numerator, (1 - root) * size_of_s)
    numerator_weighted = numerator_weighted if still else numerator
    d = d if still else scalar_math.maximum(d, scalar_math.minimum(bound, d * growth_rate))
    k = k if still else t
    if weight_decay != 0 and decouple:
        param_factor = 0 if still else weight_decay * rate
    return LastStage(
        (
            param_factor,
        ),
        (),
        {"d": d, "numerator_weighted": numerator_weighted, "k": k},
    )
