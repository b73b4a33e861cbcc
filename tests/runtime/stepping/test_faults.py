"""Whatever raises around, in or between steps and loads leaves everything as it was, or as torch leaves it.

What a caller gives may raise: closures, hooks, values that do not fit. Beyond that, the runtime's own lines are made to
raise one after the other, as if memory ran out or somebody pressed Ctrl-C there.
"""

from __future__ import annotations

import copy
import linecache
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

import thetac.runtime
from tests.support.checkpoint_helpers import BFLOAT16, FLOAT32, in_groups, parameters_of, rich, train
from tests.support.comparing import assert_identical, assert_same_bits
from tests.support.every_optimizer import both, every_class, one_in, ours
from tests.support.runtime_helpers import assert_unchanged, give_gradients, picture

RUNTIME = str(Path(thetac.runtime.__file__).parent)
IMPLEMENTATIONS = {"for-loop": {"foreach": False}, "foreach": {"foreach": True}, "C++": {"fused": True}, "default": {}}
every_implementation = pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
before_and_after_the_first_step = pytest.mark.parametrize("steps", [0, 3], ids=["first step", "later step"])


class Fault(Exception):
    pass


def fail(*_: object, **__: object) -> Any:
    raise Fault


def made(cls: type[Optimizer], name: str, steps: int, **options: object) -> Optimizer:
    """After some steps, with the gradients of the next one."""
    optimizer = cls(in_groups(parameters_of(FLOAT32)), **rich(name), **options)
    train(optimizer, range(steps))
    give_gradients(_params(optimizer), steps)
    return optimizer


def _params(optimizer: Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


def assert_goes_on(optimizer: Optimizer, untouched: Optimizer) -> None:
    """The failed step counts for nothing: from here on both are the same."""
    for each in (optimizer, untouched):
        train(each, range(3, 5))
    assert_same_bits(untouched, optimizer, "after the fault")


# What a caller gives.


@pytest.mark.feature("faults", "a closure that raises leaves everything as it was")
@every_class
@before_and_after_the_first_step
@pytest.mark.parametrize("when", ["at once", "after the gradients"])
def test_a_closure_that_raises(name: str, steps: int, when: str) -> None:
    for cls in both(name):
        optimizer, untouched = made(cls, name, steps), made(cls, name, steps)
        before, params = picture(optimizer), _params(optimizer)

        def closure(params: list[Tensor] = params) -> float:
            if when == "after the gradients":
                give_gradients(params, 9)
            raise Fault

        with pytest.raises(Fault):
            optimizer.step(closure)
        assert_unchanged(before, optimizer)
        assert_goes_on(optimizer, untouched)


@pytest.mark.feature("faults", "a hook before a step that raises leaves everything as it was")
@every_class
@before_and_after_the_first_step
@pytest.mark.parametrize("whose", ["own", "of all optimizers"])
def test_a_hook_before_a_step_that_raises(name: str, steps: int, whose: str) -> None:
    for cls in both(name):
        optimizer, untouched = made(cls, name, steps), made(cls, name, steps)
        before = picture(optimizer)
        register = optimizer.register_step_pre_hook if whose == "own" else register_optimizer_step_pre_hook
        with register(fail), pytest.raises(Fault):
            optimizer.step()
        assert_unchanged(before, optimizer)
        assert_goes_on(optimizer, untouched)


@pytest.mark.feature("faults", "a hook behind a step that raises finds the step done, as in torch")
@every_class
@before_and_after_the_first_step
@pytest.mark.parametrize("whose", ["own", "of all optimizers"])
def test_a_hook_behind_a_step_that_raises(name: str, steps: int, whose: str) -> None:
    for cls in both(name):
        optimizer, untouched = made(cls, name, steps), made(cls, name, steps)
        untouched.step()
        register = optimizer.register_step_post_hook if whose == "own" else register_optimizer_step_post_hook
        with register(fail), register(lambda *_: pytest.fail("called behind it")), pytest.raises(Fault):
            optimizer.step()
        assert_same_bits(untouched, optimizer, name)
        assert_goes_on(optimizer, untouched)


@pytest.mark.feature("faults", "a hook around `state_dict` that raises changes nothing")
@every_class
@pytest.mark.parametrize("when", ["pre", "post"])
def test_a_hook_around_state_dict_that_raises(name: str, when: str) -> None:
    for cls in both(name):
        optimizer, untouched = made(cls, name, 3), made(cls, name, 3)
        before = picture(optimizer)
        with getattr(optimizer, f"register_state_dict_{when}_hook")(fail), pytest.raises(Fault):
            optimizer.state_dict()
        assert_unchanged(before, optimizer)
        assert_goes_on(optimizer, untouched)


@pytest.mark.feature(
    "faults", "a hook before a load that raises changes nothing; behind it, all is loaded, as in torch"
)
@every_class
def test_a_hook_around_load_state_dict_that_raises(name: str) -> None:
    for cls in both(name):
        optimizer, untouched, source = made(cls, name, 3), made(cls, name, 3), made(cls, name, 5, lr=0.25)
        before, saved = picture(optimizer), copy.deepcopy(source.state_dict())
        with optimizer.register_load_state_dict_pre_hook(fail), pytest.raises(Fault):
            optimizer.load_state_dict(saved)
        assert_unchanged(before, optimizer)
        assert_identical(source.state_dict(), saved)
        assert_goes_on(optimizer, untouched)
        with optimizer.register_load_state_dict_post_hook(fail), pytest.raises(Fault):
            optimizer.load_state_dict(saved)
        assert_identical(source.state_dict(), optimizer.state_dict())


# A step that fails its checks, for a parameter behind others for which nothing is wrong.


def _wrong_shape(optimizer: Optimizer, entry: dict[str, Any], tensor: str) -> None:
    entry[tensor] = torch.ones(3, 5)


def _a_number(optimizer: Optimizer, entry: dict[str, Any], tensor: str) -> None:
    entry[tensor] = 0.5


def _integers(optimizer: Optimizer, entry: dict[str, Any], tensor: str) -> None:
    entry[tensor] = entry[tensor].to(torch.int64)


def _missing(optimizer: Optimizer, entry: dict[str, Any], tensor: str) -> None:
    del entry[tensor]


def _expanded(optimizer: Optimizer, entry: dict[str, Any], tensor: str) -> None:
    entry[tensor] = torch.ones(()).expand(entry[tensor].shape)


def _text_as_lr(optimizer: Optimizer, entry: dict[str, Any], tensor: str) -> None:
    optimizer.param_groups[-1]["lr"] = "high"


def _options_that_exclude_each_other(optimizer: Optimizer, entry: dict[str, Any], tensor: str) -> None:
    optimizer.param_groups[-1] |= {"foreach": True, "fused": True}


def _lr_missing(optimizer: Optimizer, entry: dict[str, Any], tensor: str) -> None:
    del optimizer.param_groups[-1]["lr"]


MISTAKES = (
    *(_wrong_shape, _a_number, _integers, _missing, _expanded),
    *(_text_as_lr, _options_that_exclude_each_other, _lr_missing),
)


@pytest.mark.feature("faults", "a step that fails its checks writes nothing")
@every_class
@every_implementation
def test_a_step_that_fails_its_checks_writes_nothing(name: str, implementation: str) -> None:
    """And is taken back: once the mistake is mended, the run goes on as if it had not happened."""
    options = IMPLEMENTATIONS[implementation]
    optimizer, untouched = (made(ours(name), name, 3, **options) for _ in range(2))
    last = _params(optimizer)[-1]
    remembered = [state.name for state in ours(name).schema.states if state.kind == "tensor"]
    tensor = next((key for key in remembered if key in optimizer.state[last]), "")
    for mistake in MISTAKES:
        if not tensor and mistake in MISTAKES[:5]:
            continue  # nothing is remembered that could be wrong
        if mistake is _missing and len(optimizer.state[last]) == 1:
            continue  # then all of it is missing, which is a new beginning
        entry, group = optimizer.state[last], optimizer.param_groups[-1]
        sound = dict(entry), dict(group)
        mistake(optimizer, entry, tensor)
        before = picture(optimizer)
        with pytest.raises((RuntimeError, TypeError, ValueError, KeyError)):
            optimizer.step()
        assert_unchanged(before, optimizer)
        for spoilt, whole in zip((entry, group), sound, strict=True):
            spoilt.clear()
            spoilt.update(whole)
    assert_goes_on(optimizer, untouched)


# Any line of the runtime.


@contextmanager
def fault_in_a_new_line(failed: set[tuple[str, int]], until: Collection[str]) -> Iterator[None]:
    """Raise Fault at the first line of the runtime at which none was raised so far.

    Nothing happens once one of the functions in `until` has been called.
    """
    over = False

    def trace(frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        nonlocal over
        code = frame.f_code
        if not code.co_filename.startswith(RUNTIME):
            return None
        over = over or code.co_name in until
        if over:
            return None
        if event == "line" and (line := (code.co_filename, frame.f_lineno)) not in failed:
            failed.add(line)
            # The interpreter comes to the line of a `with` once more, to leave the block; raising there, which nothing
            # but a tracer can do, would keep a lock for ever.
            if not linecache.getline(*line).lstrip().startswith("with "):
                raise Fault
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def faults(act: Callable[[], object], until: Collection[str] = ()) -> Iterator[Fault]:
    """Act with a fault at the first line, then at the second, and so on until it is done without one."""
    failed: set[tuple[str, int]] = set()
    while True:
        try:
            with fault_in_a_new_line(failed, until):
                act()
        except Fault as fault:
            yield fault
        else:
            assert len(failed) > 20, "the runtime was not looked at"
            return


@pytest.mark.parametrize("implementation", one_in(2, IMPLEMENTATIONS))
def test_a_fault_at_any_line_before_the_first_write_leaves_everything_as_it_was(implementation: str) -> None:
    """The first step, which makes a plan, those that check it, and one with a new gradient, which makes another."""
    optimizer, untouched = (
        thetac.AdamW([{"params": params[:1]}, {"params": params[1:2], "lr": 0.1}], **IMPLEMENTATIONS[implementation])
        for params in (parameters_of(FLOAT32) for _ in range(2))
    )
    for number in range(4):
        for each in (optimizer, untouched):
            give_gradients(_params(each), number)
            if number < 2:
                _params(each)[1].grad = None
        before = picture(optimizer)
        for _ in faults(optimizer.step, until=("commit", "run")):
            assert_unchanged(before, optimizer)
        untouched.step()
        assert_same_bits(untouched, optimizer, f"step {number}")


@pytest.mark.parametrize("name", ["AdamW", "NAdam", "SGD"])
def test_a_fault_at_any_line_of_a_load_leaves_the_old_or_the_new(name: str) -> None:
    """Never some of each; tensors are cast and numbers become tensors on the way."""
    optimizer = ours(name)(parameters_of(BFLOAT16)[:2], **rich(name), foreach=False)
    source = ours(name)(parameters_of(FLOAT32)[:2], **rich(name), foreach=False, lr=0.25)
    for each in (optimizer, source):
        train(each, range(2))
    saved = copy.deepcopy(source.state_dict())
    for entry in saved["state"].values():
        if "step" in entry:
            entry["step"] = entry["step"].item()
    given = copy.deepcopy(saved)
    expected = copy.deepcopy(optimizer)
    expected.load_state_dict(copy.deepcopy(saved))
    old, new, outcomes = copy.deepcopy(optimizer.state_dict()), expected.state_dict(), set()
    for _ in faults(lambda: optimizer.load_state_dict(saved)):
        found = optimizer.state_dict()
        is_new = found["param_groups"][0]["lr"] == 0.25
        assert_identical(new if is_new else old, found)
        outcomes.add(is_new)
        assert_identical(given, saved)
        if is_new:
            optimizer.load_state_dict(copy.deepcopy(old))
    assert outcomes == {False, True}
    assert_identical(new, optimizer.state_dict())
