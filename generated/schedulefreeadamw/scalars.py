# Generated from specs/schedule_free_adamw.yaml by thetac 0.1.0; do not edit.
"""ScheduleFreeAdamW: the scalars that its fused kernels read, once per step, group and step count, in stages."""

from __future__ import annotations

from thetac.runtime import scalar_math
from thetac.runtime.scalar_stages import LastStage, Stages

ROW = (
    "beta2",
    "one_minus_beta2",  # 1 - beta2
    "one_minus_beta2_pow_k",  # 1 - beta2 ** k
    "eps",
    "weight_decay",
    "share",
    "direction_factor",  # scheduled_lr * (beta1 * (1 - share) - 1)
    "scheduled_lr",
)

# What kernels and the host wait for, between two stages: the terms that are added up there.
BARRIERS = (
)


def scalars(
    *,
    k: float,
    weight_sum: float,
    lr_max: float,
    scheduled_lr: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    warmup_steps: float,
    r: float,
    weight_lr_power: float,
) -> Stages:
    """What each stage adds to the row; the last one gives scalar states and shared numbers, too."""
    yield from ()  # no parameter waits for another
    warmup = 1.0
    if k < warmup_steps:
        warmup = scalar_math.divide(k + 1, warmup_steps)
    scheduled_lr = lr * warmup
    lr_max = scalar_math.maximum(scheduled_lr, lr_max)
    weight = scalar_math.power(k + 1, r) * scalar_math.power(lr_max, weight_lr_power)
    weight_sum = weight_sum + weight
    share = 0.0
    if weight_sum != 0:
        share = scalar_math.divide(weight, weight_sum)
    k = k + 1
    one_minus_beta2 = 1 - beta2
    one_minus_beta2_pow_k = 1 - scalar_math.power(beta2, k)
    direction_factor = scheduled_lr * (beta1 * (1 - share) - 1)
    return LastStage(
        (
            beta2,
            one_minus_beta2,
            one_minus_beta2_pow_k,
            eps,
            weight_decay,
            share,
            direction_factor,
            scheduled_lr,
        ),
        (),
        {"k": k, "weight_sum": weight_sum, "lr_max": lr_max, "scheduled_lr": scheduled_lr},
    )
