"""What the processes of `distributed_workers` do together: train in parts, save and load, as users do.

FSDP2, checkpoints in shards, DDP and ZeRO, each compared with a whole run in one process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import chdir
from copy import deepcopy
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import thetac
from tests.support.comparing import assert_identical
from tests.support.distributed_helpers import (
    Options,
    assert_equals_whole,
    assert_placed_like_parameters,
    full,
    give_mean_gradients,
    loss_of,
    make_model,
    params_of,
    plans_made,
    sharded,
    train_part,
    train_whole,
    whole_run,
)
from tests.support.doc_examples import run_example
from tests.support.every_optimizer import class_of
from tests.support.runtime_helpers import states
from thetac.runtime.optimizer import Optimizer

# FSDP2


def trains_fully_sharded(name: str, options: Options) -> None:
    model = sharded(make_model())
    optimizer = class_of(name)(model.parameters(), **options)
    train_part(model, optimizer, range(4))
    assert_placed_like_parameters(optimizer)
    assert_equals_whole(optimizer, whole_run(name, options, 4))
    # Those which add up over shards are planned every time.
    if isinstance(optimizer, Optimizer) and not optimizer.schema.reduces:
        assert plans_made(optimizer) == {"the first step": 1}
        saved = optimizer.state_dict()["state"]
        for index, entry in enumerate(states(optimizer)):
            assert all(saved.get(index, {})[key] is value for key, value in entry.items())


def touches_no_dtensor_once_planned(name: str, options: Options) -> None:
    """Each operation on a DTensor takes tens of microseconds."""
    model = sharded(make_model())
    optimizer = class_of(name)(model.parameters(), **options)
    train_part(model, optimizer, range(2))
    loss_of(model, 2, torch.distributed.get_rank()).backward()
    met: list[str] = []

    class Watching(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Callable[..., object], types: object, args: tuple[object, ...] = (), kwargs: object = None
        ) -> object:
            leaves = tree_leaves((args, kwargs))
            if any(isinstance(leaf, DTensor) for leaf in leaves):
                met.append(str(func))
            assert isinstance(kwargs, dict | None)
            return func(*args, **(kwargs or {}))

    with Watching():
        params_of(optimizer)[0].detach()
        assert met == ["aten.detach.default"], met  # it does see them
        met.clear()
        optimizer.step()
    assert met == []


def marks_what_it_wrote(options: Options) -> None:
    """Autograd sees that a DTensor was written, though it was its shard that was."""
    model = sharded(make_model())
    optimizer = thetac.AdamW(model.parameters(), **options)
    train_part(model, optimizer, range(2))
    for param in params_of(optimizer):
        before = param._version
        entry = optimizer.state[param]["exp_avg"]
        moved = entry._version
        optimizer.step()
        assert param._version > before
        assert entry._version > moved


def explains_its_shards(options: Options) -> None:
    """Elements are the parameters', bytes are those that this process reads and writes."""
    model = sharded(make_model())
    optimizer = thetac.AdamW(model.parameters(), **options)
    here = sum(param._local_tensor.numel() for param in model.parameters())
    for states_there in (0, 2):
        text = optimizer.explain()
        assert "4 parameters of 22 elements" in text
        assert f"{4 * (3 + 2 * states_there) * here:,} bytes read and written per step" in text
        train_part(model, optimizer, range(1))


def scales_gradients(name: str, options: Options, overflow: bool) -> None:
    """GradScaler on shards: a step whose gradients overflow in one process is skipped in all."""
    scale = 2.0**7
    model = sharded(make_model())
    optimizer = class_of(name)(model.parameters(), **options)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=1000)
    for step in range(3):
        optimizer.zero_grad()
        scaler.scale(loss_of(model, step, torch.distributed.get_rank())).backward()
        if overflow and step == 1:
            gradient = params_of(optimizer)[0].grad
            assert isinstance(gradient, DTensor)
            if torch.distributed.get_rank() == 1:
                gradient._local_tensor[0] = torch.inf
        scaler.step(optimizer)
        scaler.update()
    assert scaler.get_scale() == (scale / 2 if overflow else scale)
    model = make_model()
    whole = class_of(name)(model.parameters(), **options)
    train_whole(model, whole, [0, 2] if overflow else [0, 1, 2])
    assert_equals_whole(optimizer, whole)


# Checkpoints


def save_sharded(name: str, options: Options, folder: Path, steps: int) -> None:
    model = sharded(make_model())
    optimizer = class_of(name)(model.parameters(), **options)
    train_part(model, optimizer, range(steps))
    save(model, optimizer, folder)


def load_sharded(name: str, options: Options, folder: Path, steps: Sequence[int]) -> None:
    model = sharded(make_model(seed=1))
    optimizer = class_of(name)(model.parameters(), **options)
    load(model, optimizer, folder)
    assert_placed_like_parameters(optimizer)
    train_part(model, optimizer, steps)
    assert_equals_whole(optimizer, whole_run(name, options, steps[-1] + 1))


def loads_a_state_dict_of_shards(name: str, options: Options) -> None:
    """Without torch.distributed.checkpoint: in the process, to a model that is cut the same way."""
    model = sharded(make_model())
    optimizer = class_of(name)(model.parameters(), **options)
    train_part(model, optimizer, range(2))
    other = sharded(make_model(seed=1))
    loaded = class_of(name)(other.parameters(), **options)
    other.load_state_dict(model.state_dict())
    loaded.load_state_dict(deepcopy(optimizer.state_dict()))
    assert_placed_like_parameters(loaded)
    train_part(other, loaded, range(2, 4))
    assert_equals_whole(loaded, whole_run(name, options, 4))


def keeps_the_dtype_of_its_state(folder: Path) -> None:
    """Moments that are half as large as their parameters go through a state dict and through files of two processes."""

    def begun(steps: int, seed: int) -> tuple[nn.Module, thetac.AdamW]:
        model = sharded(make_model(seed))
        optimizer = thetac.AdamW(model.named_parameters())
        train_part(model, optimizer, range(steps))
        for param, entry in zip(params_of(optimizer), states(optimizer), strict=True):
            optimizer.state[param] |= {key: value.bfloat16() for key, value in entry.items() if key != "step"}
        return model, optimizer

    model, optimizer = begun(2, 0)
    in_process, loaded = begun(1, 1)
    in_process.load_state_dict(model.state_dict())
    loaded.load_state_dict(deepcopy(optimizer.state_dict()))
    save(model, optimizer, folder)
    through_files, of_files = begun(1, 2)
    load(through_files, of_files, folder)
    for each, its in ((model, optimizer), (in_process, loaded), (through_files, of_files)):
        assert_placed_like_parameters(its)
        train_part(each, its, range(2, 4))
        dtypes = {
            key: value.dtype for entry in states(its) for key, value in entry.items() if isinstance(value, Tensor)
        }
        assert dtypes == {"step": torch.float32, "exp_avg": torch.bfloat16, "exp_avg_sq": torch.bfloat16}
        for param, expected in zip(params_of(its), params_of(optimizer), strict=True):
            assert_identical(full(param.detach()), full(expected.detach()))
        for entry, other in zip(states(its), states(optimizer), strict=True):
            assert_identical([*map(full, entry.values())], [*map(full, other.values())])


def loads_a_whole_state_dict(name: str, options: Options) -> None:
    """Brought together by torch, and cut again for other parameters; as it is, the step refuses it."""
    model = sharded(make_model())
    optimizer = class_of(name)(model.parameters(), **options)
    train_part(model, optimizer, range(2))
    whole = StateDictOptions(full_state_dict=True)
    of_model, of_optimizer = get_state_dict(model, optimizer, options=whole)
    assert not any(isinstance(leaf, DTensor) for leaf in tree_leaves(of_optimizer))

    model = sharded(make_model(seed=1))
    optimizer = class_of(name)(model.parameters(), **options)
    set_state_dict(model, optimizer, model_state_dict=of_model, optim_state_dict=of_optimizer, options=whole)
    assert_placed_like_parameters(optimizer)
    train_part(model, optimizer, range(2, 4))
    end = whole_run(name, options, 4)
    assert_equals_whole(optimizer, end)

    optimizer.load_state_dict(end.state_dict())
    loss_of(model, 4, torch.distributed.get_rank()).backward()
    with pytest.raises(RuntimeError, match=r"got mixed torch\.Tensor and DTensor"):
        optimizer.step()


def save(model: nn.Module, optimizer: torch.optim.Optimizer, folder: Path) -> None:
    of_model, of_optimizer = get_state_dict(model, optimizer)
    alone = not torch.distributed.is_initialized()
    dcp.save({"model": of_model, "optimizer": of_optimizer}, checkpoint_id=folder, no_dist=alone)


def load(model: nn.Module, optimizer: torch.optim.Optimizer, folder: Path) -> None:
    of_model, of_optimizer = get_state_dict(model, optimizer)
    saved = {"model": of_model, "optimizer": of_optimizer}
    dcp.load(saved, checkpoint_id=folder, no_dist=not torch.distributed.is_initialized())
    set_state_dict(model, optimizer, model_state_dict=saved["model"], optim_state_dict=saved["optimizer"])


def runs_the_example(folder: Path) -> None:
    with chdir(folder):
        optimizer = run_example("ecosystem.md", "Several processes")["optimizer"]
    assert isinstance(optimizer, thetac.AdamW)
    assert {float(entry["step"]) for entry in optimizer.state.values()} == {1.0}


# Data parallel


def trains_data_parallel(name: str, options: Options, folder: Path, bucket_view: bool) -> None:
    """Saved by one process in the middle, loaded by all, and on to where an unbroken run ends."""
    model = DistributedDataParallel(make_model(), gradient_as_bucket_view=bucket_view)
    optimizer = class_of(name)(model.parameters(), **options)
    train_part(model, optimizer, range(2))
    path = folder / "checkpoint.pt"
    if torch.distributed.get_rank() == 0:
        torch.save({"model": model.module.state_dict(), "optimizer": optimizer.state_dict()}, path)
    torch.distributed.barrier()
    model = DistributedDataParallel(make_model(seed=1), gradient_as_bucket_view=bucket_view)
    optimizer = class_of(name)(model.parameters(), **options)
    saved = torch.load(path, weights_only=True)
    model.module.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    train_part(model, optimizer, range(2, 4))
    assert_equals_whole(optimizer, whole_run(name, options, 4))


def assert_summed_by_process(name: str, options: Options, model: nn.Module, owned: Sequence[str]) -> None:
    """Totals are over the parameters of one process, which knows no others: as several optimizers would train them."""
    by_process: list[Sequence[str]] = [()] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(by_process, owned)
    alone = make_model()
    named = dict(alone.named_parameters())
    optimizers = [class_of(name)([named[one] for one in names], **options) for names in by_process]
    for step in range(2):
        give_mean_gradients(alone, step)
        for optimizer in optimizers:
            optimizer.step()
    for param, expected in zip(model.parameters(), alone.parameters(), strict=True):
        assert_identical(param.detach(), expected.detach())


def trains_with_zero(name: str, options: Options, folder: Path, bucket_view: bool) -> None:
    """Each process has the state of some parameters; brought together, it is that of an optimizer of all of them."""
    make = partial(
        ZeroRedundancyOptimizer,
        optimizer_class=class_of(name),
        parameters_as_bucket_view=bucket_view,
        **options,
    )
    path = folder / "checkpoint.pt"
    model = DistributedDataParallel(make_model())
    optimizer = make(model.parameters())
    train_part(model, optimizer, range(2))
    owned = [name for name, param in model.module.named_parameters() if optimizer.optim.state.get(param)]
    assert len(owned) < 4, "every process keeps the state of some parameters only"
    rule = optimizer.optim.schema if isinstance(optimizer.optim, Optimizer) else None
    if rule is not None and rule.waits and rule.reduces:
        assert_summed_by_process(name, options, model.module, owned)
        return
    optimizer.consolidate_state_dict(to=0)
    if torch.distributed.get_rank() == 0:
        torch.save({"model": model.module.state_dict(), "optimizer": optimizer.state_dict()}, path)
    torch.distributed.barrier()
    saved = torch.load(path, weights_only=True)

    model = DistributedDataParallel(make_model(seed=1))
    model.module.load_state_dict(saved["model"])
    optimizer = make(model.parameters())
    optimizer.load_state_dict(deepcopy(saved["optimizer"]))  # it takes away what belongs to other processes
    train_part(model, optimizer, range(2, 4))

    end = whole_run(name, options, 4)
    for param, expected in zip(model.parameters(), params_of(end), strict=True):
        assert_identical(param.detach(), expected.detach())
    optimizer.consolidate_state_dict(to=0)
    if torch.distributed.get_rank() == 0:
        assert_identical(optimizer.state_dict()["state"], end.state_dict()["state"])

    alone = make_model(seed=1)
    alone.load_state_dict(saved["model"])
    of_all = class_of(name)(alone.parameters(), **options)
    of_all.load_state_dict(saved["optimizer"])
    train_whole(alone, of_all, range(2, 4))
    assert_equals_whole(of_all, end)
