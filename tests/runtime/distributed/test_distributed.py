"""Generated optimizers on several processes: FSDP2 and other DTensors, checkpoints in shards, DDP, ZeRO.

Two processes over gloo, started once for all tests of this file (`distributed_workers` of tests/support). What they do,
and what is compared with what, is in `distributed_checks` and `distributed_placements` beside it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path

import pytest
import torch
from torch.distributed.tensor import Partial, Placement, Replicate, Shard

import thetac
from tests.support import distributed_checks as checks
from tests.support import distributed_drivers as drivers
from tests.support import distributed_modes as modes
from tests.support import distributed_placements as placements
from tests.support.comparing import assert_identical
from tests.support.distributed_helpers import Options, assert_equals_whole, make_model, train_whole, whole_run
from tests.support.distributed_workers import Workers
from tests.support.every_optimizer import class_of, every_class, ours, remembering
from thetac.runtime.param_groups.shape_classes import shape_of

FOR_LOOP: Options = {"foreach": False}
IMPLEMENTATIONS: Mapping[str, Options] = {
    "for-loop": FOR_LOOP,
    "foreach": {"foreach": True},
    "fused": {"fused": True},
    "default": {},
}
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


@pytest.mark.feature("ecosystem", "FSDP2: the bits of unsharded training; state is placed as parameters are")
@every_class
def test_every_optimizer_trains_fully_sharded(workers: Workers, name: str) -> None:
    workers.run(checks.trains_fully_sharded, name, {**FOR_LOOP, **remembering(name)})


@each_implementation
def test_explain_counts_what_this_process_has(workers: Workers, options: Options) -> None:
    workers.run(checks.explains_its_shards, options)


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
    workers.run(placements.clips_over_all_processes, "AdamW", options, mesh_shape)


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
    workers.run(placements.takes_gradients_placed_otherwise, options, of_param, of_grad, shape)


@each_implementation
def test_processes_may_make_plans_at_different_steps(workers: Workers, options: Options) -> None:
    workers.run(placements.takes_what_processes_prepare_apart, options)


@each_implementation
def test_replaced_shards_and_states_are_noticed(workers: Workers, options: Options) -> None:
    workers.run(placements.notices_other_shards, options)


@each_implementation
def test_dtensors_and_plain_parameters_share_an_optimizer(workers: Workers, options: Options) -> None:
    workers.run(placements.mixes_with_plain_parameters, options)


@each_implementation
def test_transposed_dtensors(workers: Workers, options: Options) -> None:
    workers.run(placements.takes_transposed_parameters, options)


@pytest.mark.parametrize("clip_grad_norm", [None, 0.5])
def test_differentiable_steps_on_dtensors(workers: Workers, clip_grad_norm: float | None) -> None:
    workers.run(placements.is_differentiable, clip_grad_norm)


def test_what_does_not_fit_is_refused_before_anything_is_written(workers: Workers) -> None:
    workers.run(placements.refuses_what_does_not_fit)


def assert_loads_on_two_and_on_one(workers: Workers, folder: Path, name: str, options: Options) -> None:
    workers.run(checks.save_sharded, name, options, folder, 2)
    workers.run(checks.load_sharded, name, options, folder, range(2, 4))

    model = make_model(seed=1)
    optimizer = class_of(name)(model.parameters(), **options)
    checks.load(model, optimizer, folder)
    train_whole(model, optimizer, range(2, 4))
    assert_equals_whole(optimizer, whole_run(name, options, 4))


@each_implementation
@some_optimizers
def test_sharded_checkpoints_load_on_two_processes_and_on_one(
    workers: Workers, tmp_path: Path, name: str, options: Options
) -> None:
    assert_loads_on_two_and_on_one(workers, tmp_path, name, options)


@pytest.mark.feature("ecosystem", "torch.distributed.checkpoint: saved by two processes, loaded by two and by one")
@every_class
def test_sharded_checkpoints_of_every_optimizer(workers: Workers, tmp_path: Path, name: str) -> None:
    assert_loads_on_two_and_on_one(workers, tmp_path, name, {**FOR_LOOP, **remembering(name)})


@each_implementation
@some_optimizers
def test_state_dicts_of_shards(workers: Workers, name: str, options: Options) -> None:
    workers.run(checks.loads_a_state_dict_of_shards, name, options)


def test_state_of_another_dtype_is_saved_and_loaded_as_it_is(workers: Workers, tmp_path: Path) -> None:
    workers.run(checks.keeps_the_dtype_of_its_state, tmp_path)


@some_optimizers
def test_a_checkpoint_of_one_process_loads_on_two(workers: Workers, tmp_path: Path, name: str) -> None:
    model = make_model()
    optimizer = class_of(name)(model.parameters())
    train_whole(model, optimizer, range(2))
    checks.save(model, optimizer, tmp_path)
    workers.run(checks.load_sharded, name, {}, tmp_path, range(2, 4))


@pytest.mark.parametrize("options", [FOR_LOOP, {"foreach": True}], ids=["for-loop", "foreach"])
def test_a_rule_with_states_of_rows_and_columns(workers: Workers, tmp_path: Path, options: Options) -> None:
    """It adds up over all shards; checkpoints of its vectors are resharded."""
    workers.run(checks.trains_fully_sharded, "Factored", options)
    workers.run(checks.loads_a_state_dict_of_shards, "Factored", options)
    assert_loads_on_two_and_on_one(workers, tmp_path / "of two", "Factored", options)
    model = make_model()
    optimizer = class_of("Factored")(model.parameters(), **options)
    train_whole(model, optimizer, range(2))
    checks.save(model, optimizer, tmp_path / "of one")
    workers.run(checks.load_sharded, "Factored", options, tmp_path / "of one", range(2, 4))


@each_implementation
@pytest.mark.parametrize("name", ["ScheduleFreeAdamW", "ScheduleFreeSGD"])
def test_modes_of_shards(workers: Workers, tmp_path: Path, name: str, options: Options) -> None:
    """Saved by two processes at the point of evaluation, and loaded by two and by one."""
    workers.run(modes.changes_modes_of_shards, name, options, tmp_path)
    model = make_model(seed=1)
    optimizer = class_of(name)(model.parameters(), **options)
    checks.load(model, optimizer, tmp_path)
    modes.assert_goes_on(optimizer, modes.whole_run_with_modes(name, options, evaluated=True))


def test_the_example(workers: Workers, tmp_path: Path) -> None:
    workers.run(checks.runs_the_example, tmp_path)


@each_implementation
@some_optimizers
def test_whole_state_dicts_of_shards(workers: Workers, name: str, options: Options) -> None:
    workers.run(checks.loads_a_whole_state_dict, name, options)


@pytest.mark.feature("ecosystem", "DistributedDataParallel: the bits of one process, saved and loaded in the middle")
@every_class
def test_every_optimizer_trains_data_parallel(workers: Workers, tmp_path: Path, name: str) -> None:
    workers.run(checks.trains_data_parallel, name, {**FOR_LOOP, **remembering(name)}, tmp_path, False)


@pytest.mark.feature("ecosystem", "ZeroRedundancyOptimizer: the bits of one process, saved and loaded in the middle")
@every_class
def test_every_optimizer_under_zero(
    workers: Workers, tmp_path: Path, name: str, record_property: Callable[[str, object], None]
) -> None:
    if ours(name).schema.waits and ours(name).schema.reduces:
        record_property("why not", "each process sums over its own parameters")
    workers.run(checks.trains_with_zero, name, {**FOR_LOOP, **remembering(name)}, tmp_path, False)


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


@pytest.mark.feature("ecosystem", "torch.distributed.checkpoint makes state, and no parameter moves, under any decay")
@pytest.mark.parametrize("options", list(IMPLEMENTATIONS.values())[:3], ids=list(IMPLEMENTATIONS)[:3])
@every_class
def test_making_state_moves_nothing(name: str, options: Options) -> None:
    """It takes a step with zeros as gradients and lr 0; flags choose how weights decay, so all of them are tried."""
    schema = ours(name).schema
    free = [flag for flag in schema.flags if flag not in schema.fixed]
    decay = {"weight_decay": 0.1} if "weight_decay" in {h.name for h in schema.hyperparameters} else {}
    for values in product([False, True], repeat=len(free)):
        model = make_model()
        before = [param.detach().clone() for param in model.parameters()]
        flags = dict(zip(free, values, strict=True))
        optimizer = ours(name)(model.parameters(), **{**remembering(name), **decay, **flags, **options})
        torch.distributed.checkpoint.state_dict._init_optim_state(optimizer)
        assert_identical([param.detach() for param in model.parameters()], before)
        assert bool(optimizer.state) == any(
            state.exists(optimizer.param_groups[0], shape_of(schema, param))
            for state, param in product(schema.states, model.parameters())
        )


def test_the_runtime_imports_nothing_distributed() -> None:
    """Whoever has DTensors has imported it; others need not wait for it."""
    modules = [f"thetac.runtime.{path.stem}" for path in Path(thetac.runtime.__path__[0]).glob("*.py")]
    code = f"import sys, importlib\nfor name in {modules}: importlib.import_module(name)\n"
    code += "assert 'torch.distributed.tensor' not in sys.modules\n"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.feature("ecosystem", "FSDP2 and DDP with two evaluations in a step")
@each_implementation
@pytest.mark.parametrize("check", [drivers.perturbs_shards, drivers.perturbs_replicas], ids=["FSDP2", "DDP"])
def test_two_evaluations(workers: Workers, check: Callable[[Options], None], options: Options) -> None:
    """Adaptive: the point of the second one depends on the norms of all parameters and gradients."""
    workers.run(check, options)


@pytest.mark.parametrize("options", [FOR_LOOP, {"foreach": True}, {"fused": True}], ids=str)
def test_estimates_of_the_hessian_on_shards(workers: Workers, options: Options) -> None:
    workers.run(drivers.estimates_on_shards, options)
