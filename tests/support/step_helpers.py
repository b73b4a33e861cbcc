"""What tests of steps share: implementations, and a run of ours compared with the same run of torch's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch

from tests.support.comparing import assert_same_training
from tests.support.every_optimizer import ours, torchs

Options = Mapping[str, bool]

FOR_LOOP: Options = {"foreach": False}
LISTS: Mapping[str, Options] = {"for-loop": FOR_LOOP, "foreach": {"foreach": True}}
IMPLEMENTATIONS: Mapping[str, Options] = {**LISTS, "fused": {"fused": True}}
every_list = pytest.mark.parametrize("options", LISTS.values(), ids=LISTS)
every_implementation = pytest.mark.parametrize("options", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS)

Run = Callable[[type[torch.optim.Optimizer], Options], torch.optim.Optimizer]


def assert_runs_as_torchs(
    name: str, run: Run, options: Options = FOR_LOOP, control: type[torch.optim.Optimizer] | None = None
) -> torch.optim.Optimizer:
    """Ours after a run; the same run with the for-loop of `control` ends with the same bits.

    Without a `control`, it is torch's class, or else ours. Kernels round differently: torch's own tolerances for
    implementations hold for them.
    """
    optimizer = run(ours(name), options)
    fused = options.get("fused", False)
    expected = run(control or torchs(name) or ours(name), FOR_LOOP)
    assert_same_training(optimizer, expected, rtol=1.3e-6 if fused else 0.0, atol=1e-5 if fused else 0.0)
    return optimizer
