"""What is compared with an oracle: every flag and hyperparameter, a late gradient, and the implementations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

import thetac
from tests.oracles.closed_loop import STEPS, Path, largest_deviation, path
from tests.oracles.oracle import Oracle
from tests.references.settings import one_at_a_time, two_at_a_time
from tests.references.torch_inputs import IN_TORCH, Settings, Value, float_settings

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
    for late in (False, True):
        if late and oracle.late:
            continue
        key = (name, oracle.label, tuple(settings.items()), late)
        if key not in _PATHS:
            _PATHS[key] = path(lambda parameters: oracle.start(parameters, settings), late=late)
        found = largest_deviation(_path_of_ours(name, implementation, settings, late=late), _PATHS[key])
        words = f"{name}, {implementation}, {settings or 'defaults'}{', a late gradient' if late else ''}"
        yield f"{words}, against {oracle.label}", found


# Of oracles, which all implementations are compared with: 40 kB each.
_PATHS: dict[tuple[str, str, tuple[tuple[str, Value], ...], bool], Path] = {}


def deviations_of_pairs(name: str, oracle: Oracle) -> Iterator[tuple[str, float]]:
    """Yield how far the for-loop comes apart from an oracle under each of `pairs_of_changes`, with it in words.

    What single changes show is not tried again: what comes late in a run, or late to a parameter.
    """
    for settings in pairs_of_changes(name):
        if not oracle.undefined(settings):
            ours = _path_of_ours(name, "for-loop", settings, steps=STEPS // 2)
            theirs = path(lambda params, s=settings: oracle.start(params, s), late=False, steps=STEPS // 2)
            yield f"{name}, {settings}, against {oracle.label}", largest_deviation(ours, theirs)


def _path_of_ours(
    name: str, implementation: str, settings: Settings, *, late: bool = False, steps: int = STEPS
) -> Path:
    options = {**settings, **IMPLEMENTATIONS[implementation]}
    return path(lambda parameters: getattr(thetac, name)(parameters, **options), late=late, steps=steps)


@contextmanager
def double_precision() -> Iterator[None]:
    """Make float64 torch's default dtype, in which scalar states are kept: they then round as oracles do."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
