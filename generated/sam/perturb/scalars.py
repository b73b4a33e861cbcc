# Generated from specs/sam.yaml by thetac 0.1.0; do not edit.
"""SAM: the scalars that its fused kernels read, once per step, group and step count, in stages."""

from __future__ import annotations

from thetac.runtime import scalar_math
from thetac.runtime.scalar_stages import Barrier, LastStage, Stages

ROW = (
    "rho_over_length_plus_1eminus_12",  # rho / (length + 1e-12)
)

# What kernels and the host wait for, between two stages: the terms that are added up there.
BARRIERS = (
    Barrier(passes=1, in_group=(False,)),  # sum_ascent_squared
)


def scalars(
    *,
    rho: float,
) -> Stages:
    """What each stage adds to the row; the last one gives scalar states and shared numbers, too."""
    (total_sum_ascent_squared,) = yield (
    )
    length = scalar_math.sqrt(total_sum_ascent_squared)
    rho_over_length_plus_1eminus_12 = rho / (length + 1e-12)
    return LastStage(
        (
            rho_over_length_plus_1eminus_12,
        ),
        (),
        {},
    )
