"""All hooks of torch.optim.Optimizer, in torch's order and with torch's arguments, and what profilers see of a step.

What is expected is written down, and torch's class of the same name, if there is one, is held to it too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from tests.support.checkpoint_helpers import rich
from tests.support.comparing import assert_identical, assert_same_bits
from tests.support.every_optimizer import both, every_class, moving, ours
from tests.support.runtime_helpers import give_gradients, parameters, train
from tests.support.stepping import every_class_that_evaluates_once, needs_closure

StateDict = dict[str, Any]
Events = list[object]


def optimizers(name: str) -> Iterator[Optimizer]:
    """Ours and torch's, each with gradients for its next step."""
    for cls in both(name):
        optimizer = cls(parameters(), **{**rich(name), **moving(name)})
        give_gradients(optimizer.param_groups[0]["params"], 0)
        yield optimizer


def noting(events: Events, event: object) -> Callable[..., None]:
    return lambda *_: events.append(event)


# Around a step.


@pytest.mark.feature("hooks", "of step: those of all optimizers first and last, in the order of registration")
@every_class
def test_hooks_of_a_step_run_in_torchs_order(name: str) -> None:
    for optimizer in optimizers(name):
        events: Events = []
        before = [param.detach().clone() for param in optimizer.param_groups[0]["params"]]

        def pre(label: str, events: Events = events) -> Callable[..., None]:
            def hook(seen: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
                events.append((label, seen is args[0], len(args), [*kwargs]))

            return hook

        with ExitStack() as handles:
            for label in ("own pre 1", "own pre 2"):
                handles.enter_context(optimizer.register_step_pre_hook(pre(label)))
            for label in ("own post 1", "own post 2"):
                handles.enter_context(optimizer.register_step_post_hook(pre(label)))
            for label in ("all pre 1", "all pre 2"):
                handles.enter_context(register_optimizer_step_pre_hook(pre(label)))
            for label in ("all post 1", "all post 2"):
                handles.enter_context(register_optimizer_step_post_hook(pre(label)))

            def closure(params: list[Any] = optimizer.param_groups[0]["params"], events: Events = events) -> float:
                events.append("closure")
                give_gradients(params, 0)  # a driver may have cleared them
                return 1.5

            optimizer.step(closure=closure)
        expected = [
            *((f"{whose} pre {number}", True, 1, ["closure"]) for whose in ("all", "own") for number in (1, 2)),
            *(["closure"] * (2 if needs_closure(optimizer) else 1)),
            *((f"{whose} post {number}", True, 1, ["closure"]) for whose in ("own", "all") for number in (1, 2)),
        ]
        assert events == expected
        optimizer.step()
        assert events == expected, "removed handles call nobody"
        after = optimizer.param_groups[0]["params"]
        moved = [not torch.equal(one, two) for one, two in zip(before, after, strict=True)]
        assert any(moved) if ours(name).schema.shared else all(moved), "a first estimate of the rate may be tiny"


@pytest.mark.feature("hooks", "of step: a hook may replace the arguments")
@every_class
def test_a_pre_hook_may_replace_the_arguments(name: str) -> None:
    for optimizer in optimizers(name):
        events: Events = []

        def replace_by_position(seen: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
            return (*args, lambda: 2.5), {}

        def replace_by_keyword(seen: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
            return args[:1], {"closure": lambda first=args[1]: first() + 1}

        def see(seen: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any], events: Events = events) -> None:
            events.append((len(args), [*kwargs]))

        optimizer.register_step_pre_hook(replace_by_position)  # type: ignore[arg-type]
        optimizer.register_step_pre_hook(replace_by_keyword)  # type: ignore[arg-type]
        optimizer.register_step_post_hook(see)
        assert optimizer.step() == 3.5
        assert events == [(1, ["closure"])]


@every_class
@pytest.mark.parametrize("returned", [(1, 2, 3), [1, 2], "arguments"], ids=str)
def test_a_pre_hook_that_returns_something_else_is_an_error_in_torchs_words(name: str, returned: object) -> None:
    for optimizer in optimizers(name):
        before = copy.deepcopy(optimizer.param_groups[0]["params"])
        optimizer.register_step_pre_hook(lambda *_: returned)  # type: ignore[arg-type, return-value]
        with pytest.raises(RuntimeError) as raised:
            optimizer.step()
        assert str(raised.value).endswith(f"must return None or a tuple of (new_args, new_kwargs), but got {returned}.")
        assert_identical(before, optimizer.param_groups[0]["params"])


@every_class
@pytest.mark.parametrize("options", [{"foreach": False}, {}], ids=["for-loop", "default"])
def test_what_a_pre_hook_does_to_gradients_and_groups_counts_in_the_same_step(
    name: str, options: dict[str, bool]
) -> None:
    """In the steps after the first, too, for which a plan exists."""
    by_hand, hooked = (ours(name)(parameters(), **rich(name), **options) for _ in range(2))

    def change(optimizer: Optimizer) -> None:
        (group,) = optimizer.param_groups
        group["lr"] = group["lr"] / 2
        group["params"][0].grad = group["params"][0].grad * 3
        group["params"][1].grad.neg_()

    hooked.register_step_pre_hook(lambda optimizer, args, kwargs: change(optimizer))
    for number in range(4):
        for optimizer in (by_hand, hooked):
            give_gradients(optimizer.param_groups[0]["params"], number)
        change(by_hand)
        by_hand.step()
        hooked.step()
    assert_same_bits(by_hand, hooked, name)


# Around state_dict and load_state_dict.


@pytest.mark.feature("hooks", "of state_dict and load_state_dict: order, `prepend`, replacement")
@every_class
def test_hooks_of_state_dicts_run_in_torchs_order(name: str) -> None:
    for optimizer in optimizers(name):
        events: Events = []
        optimizer.register_state_dict_pre_hook(noting(events, "pre 1"))
        optimizer.register_state_dict_pre_hook(noting(events, "pre 2"))
        optimizer.register_state_dict_pre_hook(noting(events, "pre 0"), prepend=True)
        optimizer.register_state_dict_post_hook(noting(events, "post 1"))
        optimizer.register_state_dict_post_hook(noting(events, "post 2"))
        optimizer.register_state_dict_post_hook(noting(events, "post 0"), prepend=True)
        optimizer.register_load_state_dict_pre_hook(noting(events, "load pre 1"))
        optimizer.register_load_state_dict_pre_hook(noting(events, "load pre 2"))
        optimizer.register_load_state_dict_pre_hook(noting(events, "load pre 0"), prepend=True)
        optimizer.register_load_state_dict_post_hook(noting(events, "load post 1"))
        optimizer.register_load_state_dict_post_hook(noting(events, "load post 2"))
        optimizer.register_load_state_dict_post_hook(noting(events, "load post 0"), prepend=True)
        saved = optimizer.state_dict()
        assert events == [f"{when} {number}" for when in ("pre", "post") for number in range(3)]
        events.clear()
        optimizer.load_state_dict(saved)
        assert events == [f"load {when} {number}" for when in ("pre", "post") for number in range(3)]


@every_class
def test_hooks_of_state_dict_may_change_or_replace_it(name: str) -> None:
    for optimizer in optimizers(name):

        def prepare(seen: Optimizer) -> None:
            seen.param_groups[0]["prepared"] = True

        def add(seen: Optimizer, saved: StateDict) -> None:
            assert saved["param_groups"][0]["prepared"]
            saved["epoch"] = 3

        def replace(seen: Optimizer, saved: StateDict) -> StateDict:
            return {**saved, "epoch": saved["epoch"] + 1}

        optimizer.register_state_dict_pre_hook(prepare)
        handles = [optimizer.register_state_dict_post_hook(hook) for hook in (add, replace)]
        assert optimizer.state_dict()["epoch"] == 4
        handles[1].remove()
        assert optimizer.state_dict()["epoch"] == 3
        handles[0].remove()
        assert "epoch" not in optimizer.state_dict()


@every_class
def test_hooks_of_load_state_dict_may_change_or_replace_it(name: str) -> None:
    """They get a shallow copy, and those behind them what they return; at the end everything is loaded."""
    for cls in both(name):
        source, optimizer = (cls(parameters(), **rich(name)) for _ in range(2))
        train(source, 3)
        given = source.state_dict()
        renamed = {"groups": given["param_groups"], "state": given["state"]}
        seen: Events = []

        def rename(_: Optimizer, saved: StateDict) -> None:
            saved["param_groups"] = saved.pop("groups")

        def faster(_: Optimizer, saved: StateDict) -> StateDict:
            return {**saved, "param_groups": [{**group, "lr": 0.5} for group in saved["param_groups"]]}

        def look(optimizer: Optimizer, seen: Events = seen) -> None:
            seen.append((optimizer.param_groups[0]["lr"], len(optimizer.state)))

        optimizer.register_load_state_dict_pre_hook(rename)
        handle = optimizer.register_load_state_dict_pre_hook(faster)
        after = optimizer.register_load_state_dict_post_hook(look)
        optimizer.load_state_dict(renamed)
        assert [*renamed] == ["groups", "state"]
        handle.remove()
        optimizer.load_state_dict(renamed)
        after.remove()
        optimizer.load_state_dict(renamed)
        assert seen == [(0.5, len(source.state)), (source.param_groups[0]["lr"], len(source.state))]


# What a profiler sees.


@pytest.mark.feature("hooks", "the profiler's record of a step, `Optimizer.step#<class>.step`")
@every_class_that_evaluates_once
def test_a_profiler_records_steps_under_torchs_names(name: str) -> None:
    for optimizer in optimizers(name):
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            optimizer.step()
            optimizer.zero_grad()
            give_gradients(optimizer.param_groups[0]["params"], 1)
            optimizer.step()
        records = {event.key: event.count for event in profile.key_averages() if event.key.startswith("Optimizer.")}
        assert records == {f"Optimizer.step#{name}.step": 2, f"Optimizer.zero_grad#{name}.zero_grad": 1}


def test_a_subclass_is_recorded_under_its_own_name_and_hooked_once() -> None:
    for base in both("AdamW"):
        mine = type("Mine", (base,), {})
        optimizer = mine(parameters())
        events: Events = []
        optimizer.register_step_pre_hook(noting(events, "pre"))
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            optimizer.step()
        assert [event.key for event in profile.key_averages() if event.key.startswith("Optimizer.")] == [
            "Optimizer.step#Mine.step"
        ]
        assert events == ["pre"]
