"""Between steps nothing of the user's is kept alive, whatever the implementation; the storages themselves say so."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from tests.support.comparing import assert_same_training
from tests.support.every_optimizer import every_class, ours, remembering, torchs
from tests.support.runtime_helpers import Watching, parameters, run_kernels_of

SHAPES = ((50, 3), (70,), (8,))
Options = Mapping[str, bool | float]
EVERY: Mapping[str, Options] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "C++": {"fused": True},
    "Triton": {"fused": True},
    "clipped": {"fused": True, "clip_grad_norm": 0.1},
    "differentiable": {"differentiable": True},
}


@pytest.fixture(params=EVERY)
def options(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Options:
    run_kernels_of("Triton" if request.param == "Triton" else "C++", monkeypatch)
    return EVERY[request.param]


def made(name: str, options: Options, cls: type[torch.optim.Optimizer] | None = None) -> torch.optim.Optimizer:
    """After two steps."""
    optimizer = (cls or ours(name))(parameters(SHAPES), **remembering(name), **options)  # type: ignore[arg-type]
    if options.get("differentiable"):
        group = optimizer.param_groups[0]
        leaves, group["params"] = group["params"], [param.detach().clone() for param in group["params"]]
        for leaf, param in zip(leaves, group["params"], strict=True):
            if leaf in optimizer.state:
                optimizer.state[param] = optimizer.state.pop(leaf)
        for param in group["params"]:
            param.requires_grad_(False)
    step(optimizer, 2)
    return optimizer


def step(optimizer: torch.optim.Optimizer, count: int = 1) -> None:
    """Without gradients left behind."""
    for number in range(count):
        for group in optimizer.param_groups:
            for param in group["params"]:
                param.grad = torch.full_like(param, 0.1 + number)
        optimizer.step()
        for group in optimizer.param_groups:
            for param in group["params"]:
                param.grad = None


def alive(storages: list[StorageWeakRef]) -> int:
    return sum(not storage.expired() for storage in storages)


def storages_of(tensors: Iterator[Tensor]) -> list[StorageWeakRef]:
    return [StorageWeakRef(tensor.untyped_storage()) for tensor in tensors if isinstance(tensor, Tensor)]


def states_of(optimizer: torch.optim.Optimizer) -> Iterator[Tensor]:
    for entry in optimizer.state.values():
        yield from entry.values()


def params_of(optimizer: torch.optim.Optimizer) -> Iterator[Tensor]:
    for group in optimizer.param_groups:
        yield from group["params"]


def _moved(optimizer: torch.optim.Optimizer) -> None:
    for entry in optimizer.state.values():
        for name, value in entry.items():
            entry[name] = value.clone() if isinstance(value, Tensor) else value


def _swapped_data(optimizer: torch.optim.Optimizer) -> None:
    for entry in optimizer.state.values():
        for value in entry.values():
            if isinstance(value, Tensor):
                value.data = value.data.clone()


def _cleared(optimizer: torch.optim.Optimizer) -> None:
    optimizer.state.clear()


def _deleted(optimizer: torch.optim.Optimizer) -> None:
    for param in list(optimizer.state):
        del optimizer.state[param]


def _emptied(optimizer: torch.optim.Optimizer) -> None:
    for entry in optimizer.state.values():
        entry.clear()


def _loaded(optimizer: torch.optim.Optimizer) -> None:
    state_dict = optimizer.state_dict()
    for entry in state_dict["state"].values():
        for name, value in entry.items():
            entry[name] = value.clone() if isinstance(value, Tensor) else value
    optimizer.load_state_dict(state_dict)


CHANGES = {change.__name__[1:]: change for change in (_moved, _swapped_data, _cleared, _deleted, _emptied, _loaded)}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@every_class
def test_state_that_is_dropped_is_free_at_once(
    name: str, change: Callable[[torch.optim.Optimizer], None], options: Options
) -> None:
    optimizer = made(name, options)
    gc.disable()
    try:
        storages = storages_of(states_of(optimizer))
        change(optimizer)
        assert alive(storages) == 0
    finally:
        gc.enable()
    control = torchs(name)
    twin = made(name, {**options, "fused": False, "foreach": False} if "fused" in options else options)
    change(twin)
    step(optimizer, 2)
    step(twin, 2)
    fused = "fused" in options
    assert_same_training(optimizer, twin, rtol=1e-5 if fused else 0.0, atol=1e-6 if fused else 0.0)
    if control is not None and not fused and "differentiable" not in options:
        theirs = made(name, {"foreach": False}, control)
        change(theirs)
        step(theirs, 2)
        assert_same_training(optimizer, theirs)


def _take_out_all_but_one(optimizer: torch.optim.Optimizer) -> Tensor:
    group = optimizer.param_groups[0]
    kept: Tensor = group["params"][0]
    group["params"] = [kept]
    for param in list(optimizer.state):
        if param is not kept:
            del optimizer.state[param]
    return kept


@every_class
def test_parameters_that_are_taken_out_are_free_at_once(name: str, options: Options) -> None:
    optimizer = made(name, options)
    storages, states = storages_of(params_of(optimizer)), storages_of(states_of(optimizer))
    gc.disable()
    try:
        kept = _take_out_all_but_one(optimizer)
        assert alive(storages) == 1
        assert alive(states) == sum(isinstance(value, Tensor) for value in optimizer.state.get(kept, {}).values())
    finally:
        gc.enable()
    before = kept.detach().clone()
    step(optimizer)
    assert not torch.equal(before, kept)


@every_class
def test_gradients_are_free_when_they_are_set_to_none(name: str, options: Options) -> None:
    optimizer = made(name, options)
    for param in params_of(optimizer):
        param.grad = torch.ones_like(param)
    storages = storages_of(param.grad for param in params_of(optimizer))  # type: ignore[misc]
    optimizer.step()
    gc.disable()
    try:
        for param in params_of(optimizer):
            param.grad = None
        assert alive(storages) == 0
    finally:
        gc.enable()


def test_state_that_travels_to_and_fro_is_there_once(options: Options) -> None:
    """As in offloading: state leaves before the forward pass and comes back before the step."""
    optimizer, twin = made("AdamW", options), made("AdamW", options)
    names = ("exp_avg", "exp_avg_sq")
    for _ in range(3):
        here = storages_of(optimizer.state[param][name] for param in params_of(optimizer) for name in names)
        away = {param: {name: optimizer.state[param][name].double() for name in names} for param in optimizer.state}
        for param in optimizer.state:
            for name in names:
                optimizer.state[param][name] = torch.empty(0)
        assert alive(here) == 0
        there = storages_of(value for entry in away.values() for value in entry.values())
        for param in optimizer.state:
            for name in names:
                optimizer.state[param][name] = away[param].pop(name).float()
        assert alive(there) == 0
        step(optimizer)
        step(twin)
    assert_same_training(optimizer, twin)


def test_the_plans_of_the_operator_keep_nothing_of_the_users() -> None:
    """Graphs of torch's own hold what they were given; this is about what `thetac::fused_step` remembers."""
    optimizer = made("AdamW", {"fused": True})
    with Watching():
        step(optimizer, 2)
    assert optimizer._stepper._observed_by.of_kernel  # type: ignore[attr-defined]
    storages = storages_of(states_of(optimizer))
    _moved(optimizer)
    assert alive(storages) == 0
