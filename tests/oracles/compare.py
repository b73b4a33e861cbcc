"""What is compared with an oracle: every flag and hyperparameter, a late gradient, and the implementations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

import thetac
from tests.oracles.closed_loop import deviation
from tests.oracles.oracle import Oracle
from tests.references.settings import one_at_a_time, two_at_a_time
from tests.references.torch_inputs import IN_TORCH, Settings, float_settings

IMPLEMENTATIONS: Mapping[str, Settings] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "C++": {"fused": True},
}


def single_changes(name: str) -> list[Settings]:
    """Return the defaults, and each flag and hyperparameter changed alone; of torch's, what its own tests try."""
    return float_settings(name) if name in IN_TORCH else list(one_at_a_time(name))


def pairs_of_changes(name: str) -> list[Settings]:
    """Return every pair of changes that is accepted; none of torch's, whose single ones hold them."""
    return [] if name in IN_TORCH else list(two_at_a_time(name))


def deviations(name: str, oracle: Oracle, implementation: str, settings: Settings) -> Iterator[tuple[str, float]]:
    """Yield how far an implementation comes apart from an oracle, with what was compared in words.

    Args:
        name: The optimizer.
        oracle: What to compare with.
        implementation: A key of `IMPLEMENTATIONS`.
        settings: Flags and hyperparameters under the spec's names.
    """
    if oracle.undefined(settings):
        return
    options = {**settings, **IMPLEMENTATIONS[implementation]}
    for late in (False, True):
        if late and oracle.late:
            continue
        found = deviation(
            lambda parameters: getattr(thetac, name)(parameters, **options),
            lambda parameters: oracle.start(parameters, settings),
            late=late,
        )
        words = f"{name}, {implementation}, {settings or 'defaults'}{', a late gradient' if late else ''}"
        yield f"{words}, against {oracle.label}", found


@contextmanager
def double_precision() -> Iterator[None]:
    """Make float64 torch's default dtype, in which scalar states are kept: they then round as oracles do."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
