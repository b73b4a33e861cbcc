"""Generated optimizers on several processes: FSDP2 and other DTensors, checkpoints in shards, DDP, ZeRO.

Two processes over gloo, started once for all tests of this file (tests/distributed_workers.py); what they do and what
is compared with what is in tests/distributed_checks.py.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import distributed_checks as checks
import pytest
import torch
from distributed_workers import Workers
from every_optimizer import every_optimizer, ours, remembering
from torch.distributed.tensor import Partial, Placement, Replicate, Shard

import thetac

Options = Mapping[str, object]

IMPLEMENTATIONS: dict[str, Options] = {"for-loop": {"foreach": False}, "foreach": {"foreach": True}, "default": {}}
# Two states and a counter, one state, a scalar state besides; torch's own as a control of the tests.
SOME = ("AdamW", "Lion", "NAdam", "torch.AdamW")

each_implementation = pytest.mark.parametrize("options", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS.keys())
some_optimizers = pytest.mark.parametrize("name", SOME)
either_way = pytest.mark.parametrize("bucket_view", [False, True], ids=["", "bucket view"])

pytestmark = pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="this torch has no gloo")


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    workers = Workers(tmp_path_factory.mktemp("workers"))
    yield workers
    workers.stop()


@each_implementation
@some_optimizers
def test_fully_sharded_training_equals_unsharded(workers: Workers, name: str, options: Options) -> None:
    workers.run(checks.trains_fully_sharded, name, options)


@every_optimizer
def test_every_optimizer_trains_fully_sharded(workers: Workers, name: str) -> None:
    workers.run(checks.trains_fully_sharded, name, {"foreach": False, **remembering(name)})


@each_implementation
@pytest.mark.parametrize("name", SOME[:3])
def test_dtensors_are_unwrapped_once(workers: Workers, name: str, options: Options) -> None:
    workers.run(checks.touches_no_dtensor_once_planned, name, options)


@each_implementation
def test_autograd_knows_that_dtensors_were_written(workers: Workers, options: Options) -> None:
    workers.run(checks.marks_what_it_wrote, options)


@each_implementation
@pytest.mark.parametrize("mesh_shape", [(2,), (1, 2), (2, 1)])
def test_gradients_are_clipped_by_the_norm_over_all_processes(
    workers: Workers, options: Options, mesh_shape: tuple[int, ...]
) -> None:
    workers.run(checks.clips_over_all_processes, "AdamW", options, mesh_shape)


@pytest.mark.parametrize("overflow", [False, True], ids=["", "overflow"])
@pytest.mark.parametrize("options", [{"foreach": False}, {}, {"fused": True}], ids=["for-loop", "default", "fused"])
@pytest.mark.parametrize("name", ["AdamW", "torch.AdamW"])
def test_grad_scaler_on_shards(workers: Workers, name: str, options: Options, overflow: bool) -> None:
    workers.run(checks.scales_gradients, name, options, overflow)


@each_implementation
@pytest.mark.parametrize(
    ("of_param", "of_grad"),
    [
        ([Shard(0)], [Partial()]),
        ([Replicate()], [Partial()]),
        ([Shard(0)], [Replicate()]),
        ([Replicate()], [Shard(0)]),
        ([Shard(0)], [Shard(1)]),
        ([Shard(1)], [Shard(1)]),
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(3, 5), (1, 1), (4, 2)], ids=str)
def test_gradients_may_be_placed_otherwise(
    workers: Workers,
    options: Options,
    of_param: list[Placement],
    of_grad: list[Placement],
    shape: tuple[int, ...],
) -> None:
    workers.run(checks.takes_gradients_placed_otherwise, options, of_param, of_grad, shape)


@each_implementation
def test_processes_may_make_plans_at_different_steps(workers: Workers, options: Options) -> None:
    workers.run(checks.takes_what_processes_prepare_apart, options)


@each_implementation
def test_replaced_shards_and_states_are_noticed(workers: Workers, options: Options) -> None:
    workers.run(checks.notices_other_shards, options)


@each_implementation
def test_dtensors_and_plain_parameters_share_an_optimizer(workers: Workers, options: Options) -> None:
    workers.run(checks.mixes_with_plain_parameters, options)


@each_implementation
def test_transposed_dtensors(workers: Workers, options: Options) -> None:
    workers.run(checks.takes_transposed_parameters, options)


def test_differentiable_steps_on_dtensors(workers: Workers) -> None:
    workers.run(checks.is_differentiable)


def test_what_does_not_fit_is_refused_before_anything_is_written(workers: Workers) -> None:
    workers.run(checks.refuses_what_does_not_fit)


@each_implementation
@some_optimizers
def test_sharded_checkpoints_load_on_two_processes_and_on_one(
    workers: Workers, tmp_path: Path, name: str, options: Options
) -> None:
    workers.run(checks.save_sharded, name, options, tmp_path, 2)
    workers.run(checks.load_sharded, name, options, tmp_path, range(2, 4))

    model = checks.make_model(seed=1)
    optimizer = checks.optimizer_class(name)(model.parameters(), **options)
    checks.load(model, optimizer, tmp_path)
    checks.train_whole(model, optimizer, range(2, 4))
    checks.assert_equals_whole(optimizer, checks.whole_run(name, options, 4))


@some_optimizers
def test_a_checkpoint_of_one_process_loads_on_two(workers: Workers, tmp_path: Path, name: str) -> None:
    model = checks.make_model()
    optimizer = checks.optimizer_class(name)(model.parameters())
    checks.train_whole(model, optimizer, range(2))
    checks.save(model, optimizer, tmp_path)
    workers.run(checks.load_sharded, name, {}, tmp_path, range(2, 4))


@either_way
@each_implementation
@some_optimizers
def test_data_parallel(workers: Workers, tmp_path: Path, name: str, options: Options, bucket_view: bool) -> None:
    workers.run(checks.trains_data_parallel, name, options, tmp_path, bucket_view)


@either_way
@each_implementation
@some_optimizers
def test_zero_redundancy(workers: Workers, tmp_path: Path, name: str, options: Options, bucket_view: bool) -> None:
    workers.run(checks.trains_with_zero, name, options, tmp_path, bucket_view)


@each_implementation
@every_optimizer
def test_zero_gradients_and_no_learning_rate_move_nothing(name: str, options: Options) -> None:
    """So torch.distributed.checkpoint makes an optimizer's state before it loads it."""
    if not options and name not in SOME:
        options = {"fused": False}  # tests of the C++ kernels build them all; here these are enough
    model = checks.make_model()
    before = [param.detach().clone() for param in model.parameters()]
    decay = {"weight_decay": 0.1} if "weight_decay" in {h.name for h in ours(name).schema.hyperparameters} else {}
    optimizer = ours(name)(model.parameters(), **remembering(name), **decay, **options)
    torch.distributed.checkpoint.state_dict._init_optim_state(optimizer)
    for param, value in zip(model.parameters(), before, strict=True):
        torch.testing.assert_close(param.detach(), value, rtol=0, atol=0)


def test_the_runtime_imports_nothing_distributed() -> None:
    """Whoever has DTensors has imported it; others need not wait for it."""
    modules = [f"thetac.runtime.{path.stem}" for path in Path(thetac.runtime.__path__[0]).glob("*.py")]
    code = f"import sys, importlib\nfor name in {modules}: importlib.import_module(name)\n"
    code += "assert 'torch.distributed.tensor' not in sys.modules\n"
    subprocess.run([sys.executable, "-c", code], check=True)
