"""Checks of optimizers with modes on several processes, each of which has shards of the parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.distributed_checks import load, save
from tests.support.distributed_helpers import (
    Options,
    assert_equals_whole,
    assert_placed_like_parameters,
    make_model,
    sharded,
    train_part,
    train_whole,
)
from tests.support.every_optimizer import class_of

FIRST, SECOND = range(7), range(7, 9)


def whole_run_with_modes(name: str, options: Options, *, evaluated: bool) -> torch.optim.Optimizer:
    """In one process: train, evaluate, train, and evaluate if it ends so."""
    model = make_model()
    optimizer: Any = class_of(name)(model.parameters(), **options)
    train_whole(model, optimizer, FIRST)
    optimizer.eval()
    optimizer.train()
    train_whole(model, optimizer, SECOND)
    if evaluated:
        optimizer.eval()
    return optimizer  # type: ignore[no-any-return]


def changes_modes_of_shards(name: str, options: Options, folder: Path) -> None:
    """With the bits of one process; what is saved at the point of evaluation is loaded in that mode."""
    model = sharded(make_model())
    optimizer: Any = class_of(name)(model.parameters(), **options)
    train_part(model, optimizer, FIRST)
    optimizer.eval()
    with pytest.raises(RuntimeError, match=r"call optimizer\.train\(\)"):
        optimizer.step()
    assert_placed_like_parameters(optimizer)
    optimizer.train()
    train_part(model, optimizer, SECOND)
    assert_equals_whole(optimizer, whole_run_with_modes(name, options, evaluated=False))
    optimizer.eval()
    assert_equals_whole(optimizer, whole_run_with_modes(name, options, evaluated=True))
    save(model, optimizer, folder)
    other = sharded(make_model(seed=1))
    loaded: Any = class_of(name)(other.parameters(), **options)
    load(other, loaded, folder)
    assert_goes_on(loaded, optimizer)


def assert_goes_on(loaded: Any, whole: Any) -> None:
    """The first has been loaded in evaluation mode, and is where the other one is, in both modes."""
    assert [group["train_mode"] for group in loaded.param_groups] == [False]
    for mode in ("eval", "train", "eval"):
        for optimizer in (loaded, whole):
            getattr(optimizer, mode)()
        assert [group["k"] for group in loaded.param_groups] == [len(FIRST) + len(SECOND)]
        assert_same(loaded, whole)


def assert_same(one: Any, other: Any) -> None:
    for mine, theirs in zip(one.param_groups[0]["params"], other.param_groups[0]["params"], strict=True):
        for tensor, expected in ((mine, theirs), (one.state[mine]["z"], other.state[theirs]["z"])):
            assert torch.equal(_full(tensor), _full(expected))


def _full(tensor: Any) -> torch.Tensor:
    value: torch.Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return value.detach()
