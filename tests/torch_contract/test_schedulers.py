"""torch.optim.lr_scheduler on every optimizer: the same traces as on torch's, resumed in the middle too.

The trace of a scheduler is what it wrote into the groups after each step: lr, and where it cycles momentum, `momentum`
or `betas`. The control is torch's class where it has one, else an optimizer of torch's base class with the same groups.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from tests.support.comparing import assert_same_training
from tests.support.every_optimizer import error_of, every_class, ours, torchs
from tests.support.runtime_helpers import give_gradients, parameters

STEPS = 24
Make = Callable[[torch.optim.Optimizer], LRScheduler]
Trace = list[list[tuple[object, ...]]]


def _warm_up(epoch: int) -> float:
    return 0.9**epoch + 0.01 * (epoch % 3)


def _decay(epoch: int) -> float:
    return 0.95 if epoch % 2 else 0.9


def _in_sequence(optimizer: torch.optim.Optimizer) -> LRScheduler:
    schedulers = [
        lr_scheduler.LinearLR(optimizer, start_factor=0.2, total_iters=6),
        lr_scheduler.CosineAnnealingLR(optimizer, T_max=8),
        lr_scheduler.ExponentialLR(optimizer, gamma=0.9),
    ]
    return lr_scheduler.SequentialLR(optimizer, schedulers, milestones=[6, 15])


def _chained(optimizer: torch.optim.Optimizer) -> LRScheduler:
    schedulers = [
        lr_scheduler.ConstantLR(optimizer, factor=0.1, total_iters=5),
        lr_scheduler.ExponentialLR(optimizer, gamma=0.9),
    ]
    return lr_scheduler.ChainedScheduler(schedulers, optimizer=optimizer)


SCHEDULERS: dict[str, Make] = {
    "LambdaLR": partial(lr_scheduler.LambdaLR, lr_lambda=[_warm_up, _decay]),
    "MultiplicativeLR": partial(lr_scheduler.MultiplicativeLR, lr_lambda=_decay),
    "StepLR": partial(lr_scheduler.StepLR, step_size=5, gamma=0.5),
    "MultiStepLR": partial(lr_scheduler.MultiStepLR, milestones=[4, 9, 10, 20], gamma=0.3),
    "ConstantLR": partial(lr_scheduler.ConstantLR, factor=0.25, total_iters=7),
    "LinearLR": partial(lr_scheduler.LinearLR, start_factor=0.25, total_iters=9),
    "ExponentialLR": partial(lr_scheduler.ExponentialLR, gamma=0.9),
    "CosineAnnealingLR": partial(lr_scheduler.CosineAnnealingLR, T_max=10, eta_min=1e-5),
    "PolynomialLR": partial(lr_scheduler.PolynomialLR, total_iters=20, power=1.5),
    "ChainedScheduler": _chained,
    "SequentialLR": _in_sequence,
    "ReduceLROnPlateau": partial(lr_scheduler.ReduceLROnPlateau, factor=0.5, patience=2, cooldown=1),
    "CyclicLR": partial(
        lr_scheduler.CyclicLR, base_lr=1e-3, max_lr=1e-2, step_size_up=4, step_size_down=3, cycle_momentum=False
    ),
    "OneCycleLR": partial(lr_scheduler.OneCycleLR, max_lr=[1e-2, 2e-2], total_steps=STEPS + 1, cycle_momentum=False),
    "CosineAnnealingWarmRestarts": partial(lr_scheduler.CosineAnnealingWarmRestarts, T_0=5, T_mult=2),
}
CYCLES_OF_MOMENTUM: dict[str, Make] = {
    "CyclicLR": partial(
        lr_scheduler.CyclicLR, base_lr=1e-3, max_lr=1e-2, step_size_up=4, base_momentum=0.75, max_momentum=0.95
    ),
    "OneCycleLR": partial(
        lr_scheduler.OneCycleLR, max_lr=1e-2, total_steps=STEPS + 1, base_momentum=0.8, max_momentum=0.93
    ),
    "OneCycleLR in three phases": partial(
        lr_scheduler.OneCycleLR, max_lr=1e-2, total_steps=STEPS + 1, three_phase=True, anneal_strategy="linear"
    ),
}


class _Idle(torch.optim.Optimizer):
    """Groups without an algorithm."""

    def step(self, closure: object = None) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_warning_that_an_order_is_wrong() -> Iterator[None]:
    """Schedulers warn where they cannot see that the optimizer has stepped."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*optimizer.step.*")
        yield


def _makes(name: str, **arguments: object) -> list[Callable[[], torch.optim.Optimizer]]:
    """Ours and the control, on the same parameters in two groups with learning rates of their own."""

    def make(cls: Callable[..., torch.optim.Optimizer]) -> torch.optim.Optimizer:
        params = parameters()
        given = {"lr": 0.02, **copy.deepcopy(arguments)}
        return cls([{"params": params[:2]}, {"params": params[2:], "lr": given["lr"] * 2}], **given)

    def idle(params: object, **given: object) -> torch.optim.Optimizer:
        return _Idle(params, dict(ours(name)(parameters(), **given).defaults))

    control = torchs(name)
    return [
        partial(make, partial(ours(name), foreach=False)),
        partial(make, idle if control is None else partial(control, foreach=False)),
    ]


def _now(optimizer: torch.optim.Optimizer) -> list[tuple[object, ...]]:
    keys = ("lr", "initial_lr", "momentum", "betas", "max_lr", "min_lr", "base_momentum", "max_momentum")
    return [
        tuple(copy.copy(float(v) if isinstance(v := group[key], torch.Tensor) else v) for key in keys if key in group)
        for group in optimizer.param_groups
    ]


def _advance(optimizer: torch.optim.Optimizer, scheduler: LRScheduler, start: int, stop: int) -> Trace:
    trace = []
    for step in range(start, stop):
        give_gradients((param for group in optimizer.param_groups for param in group["params"]), step)
        optimizer.step()
        if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
            scheduler.step(1.0 / (1 + min(step, 6)))
        else:
            scheduler.step()
        trace.append([*_now(optimizer), tuple(scheduler.get_last_lr())])
    return trace


def _assert_traces_are_equal(name: str, make_scheduler: Make, **arguments: object) -> Trace:
    runs = []
    for make in _makes(name, **arguments):
        optimizer = make()
        scheduler = make_scheduler(optimizer)
        runs.append((optimizer, [_now(optimizer), *_advance(optimizer, scheduler, 0, STEPS)]))
    (mine, trace), (control, wanted) = runs
    assert trace == wanted
    if torchs(name) is not None:
        assert_same_training(mine, control)
    return trace


@pytest.mark.feature("schedulers", "each of torch.optim.lr_scheduler: the same learning rates as on torch's")
@pytest.mark.parametrize("scheduler", SCHEDULERS)
@every_class
def test_traces_of_learning_rates(name: str, scheduler: str) -> None:
    trace = _assert_traces_are_equal(name, SCHEDULERS[scheduler])
    assert len({str(entry) for entry in trace}) > 2, "it does not schedule anything"


def test_every_scheduler_of_torch_is_here() -> None:
    """A new one that torch adds must be tried, too."""
    there = {
        name
        for name, value in vars(lr_scheduler).items()
        if isinstance(value, type) and issubclass(value, LRScheduler) and not name.endswith("LRScheduler")
    }
    assert there == SCHEDULERS.keys()


def _cycled_by(name: str) -> str:
    names = {hyperparameter.name for hyperparameter in ours(name).schema.hyperparameters}
    return next((key for key in ("betas", "momentum") if key in names), "")


@pytest.mark.feature("schedulers", "cycles of momentum or beta1: the same values as on torch's")
@pytest.mark.parametrize("scheduler", CYCLES_OF_MOMENTUM)
@every_class
def test_cycles_of_momentum(name: str, scheduler: str, record_property: Callable[[str, object], None]) -> None:
    if not _cycled_by(name):
        record_property("why not", "no `momentum` and no `betas`: torch's schedulers ask for one of them, and say so")
        wanted = (ValueError, "optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
        for make in _makes(name):
            assert error_of(lambda make=make: CYCLES_OF_MOMENTUM[scheduler](make())) == wanted
        return
    arguments = {"momentum": 0.9} if _cycled_by(name) == "momentum" else {}
    _assert_traces_are_equal(name, CYCLES_OF_MOMENTUM[scheduler], **arguments)


@pytest.mark.feature("schedulers", "cycles of momentum or beta1: the same values as on torch's")
@every_class
def test_momentum_that_is_cycled_is_used(name: str) -> None:
    """The step computes with what the scheduler wrote: as with the same values written by hand."""
    key = _cycled_by(name)
    if not key:
        return
    arguments = {"momentum": 0.9} if key == "momentum" else {}
    cycled, by_hand = (_makes(name, **arguments)[0]() for _ in range(2))
    scheduler = CYCLES_OF_MOMENTUM["CyclicLR"](cycled)
    for step in range(6):
        for mine, other in zip(cycled.param_groups, by_hand.param_groups, strict=True):
            other.update({"lr": mine["lr"], key: mine[key]})
        give_gradients((param for group in by_hand.param_groups for param in group["params"]), step)
        by_hand.step()
        _advance(cycled, scheduler, step, step + 1)
    assert_same_training(cycled, by_hand)
    assert cycled.param_groups[0][key] != by_hand.defaults[key]


RESUMED = {**SCHEDULERS, **{f"{name}, momentum too": make for name, make in CYCLES_OF_MOMENTUM.items()}}


@pytest.mark.feature("schedulers", "scheduler and optimizer saved and loaded in the middle: as if nothing had happened")
@pytest.mark.parametrize("scheduler", RESUMED)
@every_class
def test_resumed_in_the_middle(name: str, scheduler: str) -> None:
    if "momentum" in scheduler and not _cycled_by(name):
        return
    arguments = {"momentum": 0.9} if _cycled_by(name) == "momentum" else {}
    make, make_scheduler = _makes(name, **arguments)[0], RESUMED[scheduler]
    unbroken = make()
    scheduler_of_unbroken = make_scheduler(unbroken)
    wanted = _advance(unbroken, scheduler_of_unbroken, 0, STEPS)

    first = make()
    scheduler_of_first = make_scheduler(first)
    trace = _advance(first, scheduler_of_first, 0, 11)
    saved = copy.deepcopy((first.state_dict(), scheduler_of_first.state_dict()))
    second = make()
    for params in zip(*(_params(optimizer) for optimizer in (second, first)), strict=True):
        params[0].data.copy_(params[1])
    scheduler_of_second = make_scheduler(second)
    second.load_state_dict(saved[0])
    scheduler_of_second.load_state_dict(saved[1])
    trace += _advance(second, scheduler_of_second, 11, STEPS)
    assert trace == wanted
    assert_same_training(second, unbroken)


def _params(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


@pytest.mark.feature("schedulers", "a tensor as learning rate is scheduled in place")
@pytest.mark.parametrize("scheduler", ["LambdaLR", "LinearLR", "CosineAnnealingLR", "SequentialLR", "OneCycleLR"])
@every_class
def test_a_tensor_learning_rate(name: str, scheduler: str) -> None:
    runs = []
    for make in _makes(name, lr=torch.tensor(0.02, dtype=torch.float64)):
        optimizer = make()
        rates = [group["lr"] for group in optimizer.param_groups]
        made = SCHEDULERS[scheduler](optimizer)
        runs.append([_now(optimizer), *_advance(optimizer, made, 0, STEPS)])
        assert all(group["lr"] is rate for group, rate in zip(optimizer.param_groups, rates, strict=True))
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[0][5]
