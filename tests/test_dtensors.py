"""Parameters that are distributed over two processes: the same training as on whole ones, one norm over all shards."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from dtensor_worker import work


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed")
def test_steps_and_norms_of_shards_are_those_of_the_whole(tmp_path: Path) -> None:
    context = torch.multiprocessing.spawn(work, args=((tmp_path / "rendezvous").as_uri(),), nprocs=2, join=False)
    assert context is not None
    for _ in range(12):  # each wait takes 10 seconds at most
        if context.join(timeout=10):
            return
    for process in context.processes:
        process.kill()
    raise AssertionError("the processes hang")
