"""Modes: where they move parameters, beside the authors' code; what they leave alone; checkpoints of both."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import schedulefree
import torch
from torch import Tensor

import thetac
from tests.support.comparing import assert_identical
from tests.support.paths import ROOT
from tests.support.runtime_helpers import assert_unchanged, give_gradients, parameters, picture, train
from thetac.runtime.drivers.modes import Modes
from thetac.runtime.drivers.two_point import TwoPoint

AUTHORS: dict[str, Callable[..., Any]] = {
    "ScheduleFreeSGD": schedulefree.SGDScheduleFree,
    "ScheduleFreeAdamW": schedulefree.AdamWScheduleFree,
    "ScheduleFreeRAdam": schedulefree.RAdamScheduleFree,
}
every_name = pytest.mark.parametrize("name", AUTHORS)
in_mode = pytest.mark.feature(
    "modes", "`train` and `eval`: a step outside of training mode is an error, checkpoints keep the mode"
)
MIXED = """\
optimizer: MixedMoments
summary: Modes and a point where the gradient is taken.
hyperparameters:
  lr:  {default: 0.1, range: "[0, inf)"}
  rho: {default: 0.05, range: "[0, inf)", doc: "the distance to that point"}
state:
  z: {init: param}
driver: two_point
perturb: |
  param = param + rho * grad
update: |
  z = z - lr * grad
  param = lerp(param, z, 0.5)
train: |
  param = lerp(param, z, 0.25)
eval: |
  param = lerp(param, z, -1 / 3)
"""


def made(name: str, **options: Any) -> Any:
    return getattr(thetac, name)(parameters(dtype=torch.float64), **options)


def values(optimizer: Any) -> list[Tensor]:
    return [param.detach().clone() for group in optimizer.param_groups for param in group["params"]]


@contextmanager
def refused(optimizer: Any) -> Iterator[None]:
    """Expect the error for a step in the wrong mode, and nothing changed."""
    before = picture(optimizer)
    with pytest.raises(RuntimeError, match=r"is not in training mode .*: call optimizer\.train\(\) before"):
        yield
    assert_unchanged(before, optimizer)


@in_mode
@every_name
@pytest.mark.parametrize("foreach", [False, True])
def test_points_of_both_modes_are_the_authors(name: str, foreach: bool) -> None:
    """The for-loop and foreach have their bits in float64, in both modes; repeated calls do nothing."""
    mine = made(name, foreach=foreach)
    theirs = AUTHORS[name](parameters(dtype=torch.float64), foreach=foreach)
    mine.train()
    theirs.train()
    for seed in range(8):
        for one in (mine, theirs):
            train(one, 1, seed)
        if seed % 3:
            continue
        for mode in ("eval", "train"):
            for one in (mine, theirs):
                getattr(one, mode)()
            assert_identical(values(mine), values(theirs))
            getattr(mine, mode)()
            assert_identical(values(mine), values(theirs))


@in_mode
@every_name
def test_a_step_outside_of_training_mode(name: str) -> None:
    """Before the closure runs, before the first step and after `eval`; for each group."""
    optimizer = made(name)
    give_gradients(optimizer.param_groups[0]["params"], 0)
    with refused(optimizer):
        optimizer.step()
    with refused(optimizer):
        optimizer.step(lambda: pytest.fail("the closure ran"))
    optimizer.train()
    optimizer.step()
    optimizer.eval()
    with refused(optimizer):
        optimizer.step()
    optimizer.train()
    optimizer.add_param_group({"params": parameters([(2,)], torch.float64), "train_mode": False})
    with refused(optimizer):
        optimizer.step()


@every_name
def test_training_goes_on_where_it_was(name: str) -> None:
    """To rounding, as the authors' code does; states stay as they are, to the bit."""
    optimizer = made(name)
    optimizer.train()
    train(optimizer, 7)
    before, states = values(optimizer), [dict(entry) for entry in optimizer.state.values()]
    kept = copy.deepcopy(states)
    optimizer.eval()
    assert not any(map(torch.equal, values(optimizer), before))
    optimizer.train()
    for now, then in zip(values(optimizer), before, strict=True):
        torch.testing.assert_close(now, then, rtol=1e-14, atol=1e-14)
    assert_identical([dict(entry) for entry in optimizer.state.values()], kept)


@every_name
def test_what_is_moved(name: str) -> None:
    """Parameters with state, with or without a gradient; hooks of steps do not run, and nothing is counted."""
    optimizer = made(name)
    params = optimizer.param_groups[0]["params"]
    optimizer.train()
    give_gradients(params[:2], 0)
    for seed in range(6):
        give_gradients(params[:2], seed)
        optimizer.step()
    for param in params:
        param.grad = None
    optimizer.register_step_pre_hook(lambda *_: pytest.fail("a hook ran"))
    before, count = values(optimizer), optimizer.param_groups[0]["k"]
    optimizer.eval()
    assert [torch.equal(*pair) for pair in zip(values(optimizer), before, strict=True)] == [False, False, True, True]
    assert set(optimizer.state) == set(params[:2])
    assert optimizer.param_groups[0]["k"] == count == 6
    assert all(param.grad is None for param in params)


def test_groups_with_other_betas_and_groups_that_are_added() -> None:
    """Each group has its own way between the points; a new group is in the mode of the others."""
    params = parameters(dtype=torch.float64)
    groups = [{"params": params[:2], "betas": (0.5, 0.9)}, {"params": params[2:3]}]
    optimizer = thetac.ScheduleFreeAdamW(groups)
    twins = parameters(dtype=torch.float64)
    theirs = schedulefree.AdamWScheduleFree([{"params": twins[:2], "betas": (0.5, 0.9)}, {"params": twins[2:3]}])
    optimizer.train()
    theirs.train()
    for one in (optimizer, theirs):
        train(one, 3)
        one.add_param_group({"params": (params if one is optimizer else twins)[3:]})
    assert [group["train_mode"] for group in optimizer.param_groups] == [True] * 3
    assert [group["train_mode"] for group in theirs.param_groups] == [True, True, False]
    theirs.train()
    for one in (optimizer, theirs):
        train(one, 3)
        one.eval()
    for mine, other in zip(values(optimizer), values(theirs), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-14, atol=1e-15)
    with pytest.raises(TypeError, match="train_mode must be True or False, not 'yes'"):
        optimizer.add_param_group({"params": parameters([(2,)]), "train_mode": "yes"})
    assert len(optimizer.param_groups) == 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.complex64])
@every_name
def test_dtypes(name: str, dtype: torch.dtype) -> None:
    """The way is computed in float32 and rounded once; that of complex parameters by their parts."""
    shapes, generator = ((5, 3), (7,)), torch.Generator().manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in shapes]
    optimizer: Any = getattr(thetac, name)(params)
    optimizer.train()
    for _ in range(7):
        for param in params:
            param.grad = torch.randn(param.shape, generator=generator, dtype=dtype)
        optimizer.step()
    beta = optimizer.param_groups[0].get("momentum", 0.9)
    wide = torch.float32 if dtype.itemsize == 2 else dtype
    expected = [torch.lerp(p.detach().to(wide), optimizer.state[p]["z"].to(wide), 1 - 1 / beta) for p in params]
    optimizer.eval()
    for param, value in zip(params, expected, strict=True):
        torch.testing.assert_close(param.detach(), value.to(dtype), rtol=2e-7 if dtype.itemsize > 2 else 0, atol=1e-7)


@every_name
def test_an_error_moves_nothing(name: str) -> None:
    optimizer = made(name)
    optimizer.train()
    train(optimizer, 6)
    last = optimizer.param_groups[0]["params"][-1]
    optimizer.state[last]["z"] = torch.zeros(3, dtype=torch.float64)
    before = picture(optimizer)
    with pytest.raises(RuntimeError, match="`z` of parameter 3 of group 0"):
        optimizer.eval()
    assert_unchanged(before, optimizer)


@in_mode
@every_name
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_checkpoints_of_the_authors_and_ours(name: str, mode: str) -> None:
    """In the middle of a run, in either mode, both ways: the other goes on with the same bits."""
    mine, theirs = made(name, foreach=False), AUTHORS[name](parameters(dtype=torch.float64), foreach=False)
    for one in (mine, theirs):
        one.train()
        train(one, 7)
        getattr(one, mode)()
    taken = made(name, foreach=False)
    given = AUTHORS[name](parameters(dtype=torch.float64), foreach=False)
    for new, old in ((taken, theirs), (given, mine)):
        for param, value in zip(new.param_groups[0]["params"], values(old), strict=True):
            param.data.copy_(value)
        new.load_state_dict(copy.deepcopy(old.state_dict()))  # or they would share states
    assert taken.param_groups[0]["train_mode"] is (mode == "train")
    for one in (mine, theirs, taken, given):
        one.train()
        train(one, 3, seed=9)
        one.eval()
    for other in (theirs, taken, given):
        assert_identical(values(mine), values(other))


@in_mode
@every_name
@pytest.mark.parametrize("again", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"])
def test_copies_go_on_in_the_same_mode(name: str, again: Callable[[Any], Any]) -> None:
    optimizer = made(name)
    optimizer.train()
    train(optimizer, 6)
    optimizer.eval()
    optimizer.train()
    other = again(optimizer)
    for one in (optimizer, other):
        one.eval()
        one.train()
        train(one, 2, seed=7)
    assert_identical(values(other), values(optimizer))


def test_a_checkpoint_without_a_mode_leaves_it() -> None:
    """That of an older class, or of a file that holds no truth values; one that is none is refused."""
    optimizer = made("ScheduleFreeSGD")
    optimizer.train()
    train(optimizer, 2)
    saved = optimizer.state_dict()
    del saved["param_groups"][0]["train_mode"]
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["train_mode"] is True
    saved["param_groups"][0]["train_mode"] = 1.0
    with pytest.raises(TypeError, match="group 0 of the loaded state dict: train_mode must be True or False"):
        optimizer.load_state_dict(saved)


def test_modes_beside_another_driver() -> None:
    """The step of the other driver is refused in the wrong mode, before the closure runs."""
    params = parameters(dtype=torch.float64)
    optimizer: Any = thetac.load(MIXED)(params)  # type: ignore[call-arg]
    assert isinstance(optimizer, Modes)
    assert isinstance(optimizer, TwoPoint)

    def closure() -> float:
        optimizer.zero_grad()
        value = torch.stack([(param**2).sum() for param in params]).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value.item()

    with refused(optimizer):
        optimizer.step(lambda: pytest.fail("the closure ran"))
    optimizer.train()
    start = values(optimizer)
    optimizer.step(closure)
    z = [one - 0.1 * 2 * (one + 0.05 * 2 * one) for one in start]
    expected = [torch.lerp(*pair, 0.5) for pair in zip(start, z, strict=True)]
    for now, then in zip(values(optimizer), expected, strict=True):
        torch.testing.assert_close(now, then, rtol=1e-13, atol=1e-14)
    optimizer.eval()
    for now, y, end in zip(values(optimizer), expected, z, strict=True):
        torch.testing.assert_close(now, y - (end - y) / 3, rtol=1e-13, atol=1e-14)
    with refused(optimizer):
        optimizer.first_step()


def test_the_graph_of_a_step_in_the_wrong_mode_breaks() -> None:
    """A compiled call raises the error of an eager one, and compiles the step in training mode."""
    optimizer = made("ScheduleFreeSGD")
    compiled = torch.compile(optimizer.step, backend="eager")
    give_gradients(optimizer.param_groups[0]["params"], 0)
    with refused(optimizer):
        compiled()
    optimizer.train()
    before = values(optimizer)
    compiled()
    assert not any(map(torch.equal, values(optimizer), before))


def test_the_example(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a schedule a model is usable after each epoch; with one, at the end."""
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        import schedule_free
    finally:
        sys.path.pop(0)
    with torch.random.fork_rng([]):
        without, cosine = schedule_free.main(["--epochs", "8", "--out", str(tmp_path / "curves.png")])
    assert without.losses[0] < cosine.losses[0]
    assert max(without.losses[-1], cosine.losses[-1]) < 0.15
    assert min(without.accuracy, cosine.accuracy) > 0.95
    assert (tmp_path / "curves.png").stat().st_size > 0
    assert capsys.readouterr().out.startswith("ScheduleFreeAdamW, no schedule")
