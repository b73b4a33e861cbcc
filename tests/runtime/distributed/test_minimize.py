"""Minimizations on several processes: sums over vectors are those of the whole, and all processes go the same way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
import torch

from tests.support import distributed_minimizing as checks
from tests.support.distributed_workers import Workers
from tests.support.every_optimizer import MINIMIZERS

Options = Mapping[str, object]
OPTIONS: list[Options] = [
    {"max_iter": 4},
    {"max_iter": 4, "foreach": False},
    {"max_iter": 6, "line_search_fn": "strong_wolfe"},
    {"max_iter": 6, "line_search_fn": "nonmonotone"},
]

pytestmark = pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="this torch has no gloo")
each_option = pytest.mark.parametrize("options", OPTIONS, ids=str)
every_minimizer = pytest.mark.parametrize("name", MINIMIZERS)


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    workers = Workers(tmp_path_factory.mktemp("workers"))
    yield workers
    workers.stop()


@each_option
@every_minimizer
def test_fully_sharded(workers: Workers, name: str, options: Options) -> None:
    workers.run(checks.minimizes_fully_sharded, name, options)


@each_option
@every_minimizer
def test_with_ddp(workers: Workers, name: str, options: Options) -> None:
    workers.run(checks.minimizes_with_ddp, name, options)


def test_reductions(workers: Workers) -> None:
    workers.run(checks.reduces_whole_vectors)
