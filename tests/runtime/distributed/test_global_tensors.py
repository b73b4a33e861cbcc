"""Rules with sums over parameters, rows or columns on two processes: each has a part, and all update the whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch
from torch.distributed.tensor import Placement, Replicate, Shard

import thetac
from tests.support import distributed_reductions as reductions
from tests.support.distributed_checks import load, save
from tests.support.distributed_helpers import Options, assert_close_to_whole, make_model, train_whole
from tests.support.distributed_workers import Workers

HEADER = """
optimizer: %s
summary: A rule with sums.
hyperparameters: {lr: {default: 0.1}}
complex: unsupported
state:
  step: counter
"""
RULES: Mapping[str, str] = {
    "numbers": HEADER % "Numbers"
    + """
  m: {init: zeros}
  second: {init: zeros, shape: number}
update: |
  m = lerp(m, grad, 0.3)
  second = 0.9 * second + 0.1 * norm(grad) ** 2
  direction = m / (sqrt(second) + 1) + 0.1 * param
  ratio = where(norm(param) > 0 and norm(direction) > 0, norm(param) / norm(direction), 1)
  param = param - lr * ratio * direction / (1 + mean(abs(m)) + dot(m, grad) ** 2)
""",
    "extremes": HEADER % "Extremes"
    + """
  u: {init: zeros}
update: |
  u = 0.9 * u + grad / (max(abs(grad)) + min(param * param) + 1)
  param = param - lr * u
""",
    "vectors": HEADER % "Vectors"
    + """
  row: {init: zeros, shape: rows, when: rank(param) > 1}
  column: {init: zeros, shape: columns, when: rank(param) > 1}
  whole: {init: zeros, when: rank(param) <= 1}
update: |
  if rank(param) > 1:
    row = lerp(row, norm(grad, axis=-1) ** 2 / columns(param) + 0.01, 0.4)
    column = lerp(column, max(abs(grad), axis=-2) + 0.01, 0.4)
    estimate = row * column / maximum(mean(row, axis=-2), 1e-6)
  else:
    whole = lerp(whole, grad * grad, 0.4)
    estimate = whole + 0.01
  direction = grad / sqrt(estimate)
  param = param - lr / maximum(1, norm(direction) / sqrt(size(param))) * direction
""",
    "matrix": (HEADER % "Matrix").replace(
        "}\n", ", parts: {default: 2, integer: true, doc: blocks}}\nview: matrix\n", 1
    )
    + """
  unit: {init: zeros, shape: rows, when: rank(param) > 1}
  place: {init: zeros, shape: columns, when: rank(param) > 1}
  block: {init: zeros, shape: rows, when: rank(param) > 1}
update: |
  direction = grad
  if rank(param) > 1:
    unit = lerp(unit, max(abs(grad), axis=-1) * columns(param) / 8, 0.4)
    place = lerp(place, mean(grad * grad, axis=-2), 0.4)
    block = lerp(block, mean_of_blocks(sum(grad * grad, axis=-1), parts), 0.4)
    direction = grad / (unit + sqrt(place + block) + 0.1)
  param = param - lr * direction
""",
    "totals": HEADER % "Shared"
    + """
  m: {init: zeros}
  origin: {init: param}
  rate: {per: optimizer, init: lr}
  squares: {per: group, init: 0}
update: |
  m = lerp(m, grad, 0.3)
  moved = param - origin
  squares = squares + group_total(sum(grad * grad) + 0.1 * step)
  rate = maximum(rate, sqrt(total(sum(moved * moved))) / (1 + total(norm(m))))
  param = param - rate / sqrt(squares) * m
""",
}
IMPLEMENTATIONS: Mapping[str, Options] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "default": {},
}
each_rule = pytest.mark.parametrize("rule", RULES)

pytestmark = pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="this torch has no gloo")


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    workers = Workers(tmp_path_factory.mktemp("workers"))
    yield workers
    workers.stop()


@each_rule
@pytest.mark.parametrize("placements", [[Shard(0)], [Shard(1)], [Replicate()]], ids=str)
@pytest.mark.parametrize("options", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS.keys())
def test_parts_are_updated_as_a_whole(
    workers: Workers, rule: str, placements: list[Placement], options: Options
) -> None:
    workers.run(reductions.trains_on_placements, RULES[rule], placements, options)


@each_rule
def test_fully_sharded_training(workers: Workers, rule: str) -> None:
    workers.run(reductions.trains_fully_sharded, RULES[rule], {})


@each_rule
def test_clipping(workers: Workers, rule: str) -> None:
    workers.run(reductions.trains_fully_sharded, RULES[rule], {"clip_grad_norm": 0.1})


@each_rule
def test_checkpoints_load_on_two_processes_and_on_one(workers: Workers, tmp_path: Path, rule: str) -> None:
    workers.run(reductions.save_sharded, RULES[rule], tmp_path, 2)
    workers.run(reductions.load_sharded, RULES[rule], tmp_path, range(2, 4))
    model = make_model(seed=1)
    optimizer = thetac.load(RULES[rule])(model.parameters(), foreach=False)
    load(model, optimizer, tmp_path)
    train_whole(model, optimizer, range(2, 4))
    assert_close_to_whole(optimizer, reductions.whole_run(RULES[rule], {}, 4), rtol=1e-5)


@each_rule
def test_a_checkpoint_of_one_process_loads_on_two(workers: Workers, tmp_path: Path, rule: str) -> None:
    model = make_model()
    optimizer = thetac.load(RULES[rule])(model.parameters())
    train_whole(model, optimizer, range(2))
    save(model, optimizer, tmp_path)
    workers.run(reductions.load_sharded, RULES[rule], tmp_path, range(2, 4))
