# Generated from specs/dog.yaml by thetac 0.1.0; do not edit.
"""DoG: the scalars that its fused kernels read, once per step, group and step count, in stages."""

from __future__ import annotations

from thetac.runtime import scalar_math
from thetac.runtime.scalar_stages import Barrier, LastStage, Stages

ROW = (
    "weight_decay",
    "eta",
)

# What kernels and the host wait for, between two stages: the terms that are added up there.
BARRIERS = (
    Barrier(passes=1, in_group=(True, True, True)),  # sum_param_squared, sum_moved_squared, sum_grad_squared
)


def scalars(
    *,
    rbar: float,
    G: float,
    k: float,
    reps_rel: float,
    lr: float,
    weight_decay: float,
    init_eta: float,
    init_eta_is_none: bool,
) -> Stages:
    """What each stage adds to the row; the last one gives scalar states and shared numbers, too."""
    init_eta_or_default = 0 if init_eta_is_none else init_eta
    group_total_sum_param_squared, group_total_sum_moved_squared, group_total_sum_grad_squared = yield (
        weight_decay,
    )
    initial = (0 if init_eta_or_default > 0 else reps_rel) * (1 + scalar_math.sqrt(group_total_sum_param_squared))
    distance = scalar_math.sqrt(group_total_sum_moved_squared)
    rbar = initial if k == 0 else scalar_math.maximum(rbar, distance)
    G = G + group_total_sum_grad_squared
    eta = scalar_math.divide(lr * rbar, scalar_math.sqrt(G))
    eta = init_eta_or_default if k == 0 and init_eta_or_default > 0 else eta
    k = k + 1
    return LastStage(
        (
            eta,
        ),
        (),
        {"rbar": rbar, "G": G, "k": k},
    )
