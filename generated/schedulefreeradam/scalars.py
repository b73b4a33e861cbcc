# Generated from specs/schedule_free_radam.yaml by thetac 0.1.0; do not edit.
"""ScheduleFreeRAdam: the scalars that its fused kernels read, once per step, group and step count, in stages."""

from __future__ import annotations

from thetac.runtime import scalar_math
from thetac.runtime.scalar_stages import LastStage, Stages

ROW = (
    "beta2",
    "one_minus_beta2",  # 1 - beta2
    "rho_above_four",  # rho > 4
    "one_minus_beta2_pow_t",  # 1 - beta2 ** t
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
    r: float,
    weight_lr_power: float,
    silent_sgd_phase: bool,
) -> Stages:
    """What each stage adds to the row; the last one gives scalar states and shared numbers, too."""
    yield from ()  # no parameter waits for another
    t = k + 1
    rho_inf = 2 / (1 - beta2) - 1
    rho = rho_inf - scalar_math.divide(2 * t * scalar_math.power(beta2, t), 1 - scalar_math.power(beta2, t))
    rect = 1.0
    if silent_sgd_phase:
        rect = 0.0
    if rho > 4:
        rect = scalar_math.power(
            scalar_math.divide((rho - 4) * (rho - 2) * rho_inf, (rho_inf - 4) * (rho_inf - 2) * rho), 0.5
        )
    scheduled_lr = lr * rect
    lr_max = scalar_math.maximum(scheduled_lr, lr_max)
    weight = scalar_math.power(t, r) * scalar_math.power(lr_max, weight_lr_power)
    weight_sum = weight_sum + weight
    share = 0.0
    if weight_sum != 0:
        share = scalar_math.divide(weight, weight_sum)
    k = t
    one_minus_beta2 = 1 - beta2
    rho_above_four = rho > 4
    one_minus_beta2_pow_t = 0.0
    if rho_above_four:
        one_minus_beta2_pow_t = 1 - scalar_math.power(beta2, t)
    direction_factor = scheduled_lr * (beta1 * (1 - share) - 1)
    return LastStage(
        (
            beta2,
            one_minus_beta2,
            float(rho_above_four),
            one_minus_beta2_pow_t,
            eps,
            weight_decay,
            share,
            direction_factor,
            scheduled_lr,
        ),
        (),
        {"k": k, "weight_sum": weight_sum, "lr_max": lr_max, "scheduled_lr": scheduled_lr},
    )
