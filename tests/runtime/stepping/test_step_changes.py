"""What a step promises whatever comes between two of them: all optimizers, torch's classes beside them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from tests.support.comparing import assert_same_training
from tests.support.every_optimizer import every_class, ours, remembering
from tests.support.runtime_helpers import assert_unchanged, give_gradients, parameters, picture, states, train
from tests.support.step_helpers import FOR_LOOP, Options, assert_runs_as_torchs, every_implementation
from thetac.runtime.stepping.plan import Plan


@pytest.mark.feature("step", "gradients that come and go between steps")
@every_implementation
@every_class
def test_gradients_come_and_go(name: str, options: Options) -> None:
    pattern = ((0, 1, 2), (0,), (), (1, 2, 3), (0, 3), (0, 1, 2, 3))

    def run(cls: type[torch.optim.Optimizer], options: Options) -> torch.optim.Optimizer:
        params = parameters()
        optimizer = cls(params, **options, **remembering(name))
        for step, present in enumerate(pattern):
            optimizer.zero_grad()
            give_gradients(params, step)
            for index, param in enumerate(params):
                if index not in present:
                    param.grad = None
            optimizer.step()
        return optimizer

    assert_runs_as_torchs(name, run, options)


@pytest.mark.feature("step", "`p.data` replaced, state assigned, state moved to another parameter")
@every_implementation
@every_class
def test_data_replaced(name: str, options: Options) -> None:
    """The step goes on with what is in the parameter now; nobody remembers where it was."""

    def run(cls: type[torch.optim.Optimizer], options: Options) -> torch.optim.Optimizer:
        params = parameters()
        optimizer = cls(params, **options, **remembering(name))
        train(optimizer, 2)
        old = params[0].data
        held = old.clone()
        params[0].data = torch.linspace(3, 4, 15).reshape(5, 3)
        params[3].data = torch.linspace(0, 1, 24).reshape(4, 3, 2).permute(2, 1, 0)
        train(optimizer, 2, seed=5)
        assert torch.equal(old, held)
        return optimizer

    assert_runs_as_torchs(name, run, options)


@pytest.mark.feature("step", "`p.data` replaced, state assigned, state moved to another parameter")
@every_implementation
@every_class
def test_state_assigned(name: str, options: Options) -> None:
    """Other tensors in the place of those that the optimizer made; the old ones stay as they are."""

    def run(cls: type[torch.optim.Optimizer], options: Options) -> torch.optim.Optimizer:
        params = parameters()
        optimizer = cls(params, **options, **remembering(name))
        train(optimizer, 2)
        old = {key: value for key, value in optimizer.state[params[0]].items() if isinstance(value, Tensor)}
        held = {key: value.clone() for key, value in old.items()}
        for key, value in held.items():
            optimizer.state[params[0]][key] = value * 0.5 if value.dim() else value + 3
        train(optimizer, 2, seed=5)
        torch.testing.assert_close(old, held, rtol=0, atol=0)
        return optimizer

    assert_runs_as_torchs(name, run, options)


@pytest.mark.feature("step", "`p.data` replaced, state assigned, state moved to another parameter")
@every_implementation
@every_class
def test_state_moved_to_a_replacement(name: str, options: Options) -> None:
    """As one does who replaces a layer and keeps its momentum."""

    def run(cls: type[torch.optim.Optimizer], options: Options, replace: bool = True) -> torch.optim.Optimizer:
        params = parameters()
        optimizer = cls(params, **options, **remembering(name))
        train(optimizer, 2)
        if replace:
            replacement = Parameter(params[1].detach().clone())
            optimizer.param_groups[0]["params"][1] = replacement
            if params[1] in optimizer.state:
                optimizer.state[replacement] = optimizer.state.pop(params[1])
        train(optimizer, 2, seed=5)
        return optimizer

    moved = assert_runs_as_torchs(name, run, options)
    assert_same_training(moved, run(ours(name), options, replace=False))


@pytest.mark.feature("step", "state that is taken away starts anew")
@every_implementation
@every_class
def test_state_cleared(name: str, options: Options) -> None:
    def run(cls: type[torch.optim.Optimizer], options: Options) -> torch.optim.Optimizer:
        params = parameters()
        optimizer = cls(params, **options, **remembering(name))
        train(optimizer, 2)
        optimizer.state.pop(params[1], None)
        if params[2] in optimizer.state:
            optimizer.state[params[2]].clear()
        train(optimizer, 2, seed=5)
        return optimizer

    assert_runs_as_torchs(name, run, options)


# Modules that change their dtype.

DTYPES = (torch.float64, torch.bfloat16, torch.float16)


@pytest.mark.feature("step", "a module's `.to(dtype)` before the first step")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@every_class
def test_to_another_dtype_before_the_first_step(
    name: str, dtype: torch.dtype, record_property: Callable[[str, object], None]
) -> None:
    if ours(name).schema.state_at_construction:
        record_property("why not", "state is made at construction, as in torch: `.to(dtype)` comes too late")
        _assert_to_is_an_error(name, FOR_LOOP, dtype, steps=0)
        return

    def run(cls: type[torch.optim.Optimizer], options: Options) -> torch.optim.Optimizer:
        module = torch.nn.ParameterList(parameters([(3, 2), (4,)]))
        optimizer = cls(module.parameters(), **options, **remembering(name))
        module.to(dtype)
        train(optimizer, 3)
        for param in module.parameters():
            values = [value for value in optimizer.state[param].values() if isinstance(value, torch.Tensor)]
            assert all(value.dtype is dtype for value in values if value.dim())
        return optimizer

    assert_runs_as_torchs(name, run)


@pytest.mark.feature("step", "a module's `.to(dtype)` after the first step: an error before anything is written")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@every_implementation
@every_class
def test_to_another_dtype_after_the_first_step(
    name: str, options: Options, dtype: torch.dtype, record_property: Callable[[str, object], None]
) -> None:
    if any(state.kind == "tensor" for state in ours(name).schema.states):
        _assert_to_is_an_error(name, options, dtype, steps=1)
        return
    record_property("why not", "it remembers nothing that has a dtype, so the next step goes on")
    module = torch.nn.ParameterList(parameters([(3, 2), (4,)]))
    optimizer = ours(name)(module.parameters(), **options)
    train(optimizer, 1)
    module.to(dtype)
    train(optimizer, 1)


def _assert_to_is_an_error(name: str, options: Options, dtype: torch.dtype, steps: int) -> None:
    module = torch.nn.ParameterList(parameters([(3, 2), (4,)]))
    optimizer = ours(name)(module.parameters(), **options, **remembering(name))
    train(optimizer, steps)
    module.to(dtype)
    give_gradients(module.parameters(), 1)
    before = picture(optimizer)
    made_by_constructor = rf"is torch.float32, its parameter {dtype}; only fused implementations"
    made_by_step = rf"is {dtype} since the last step, its state torch.float32"
    with pytest.raises(RuntimeError, match=made_by_step if steps else made_by_constructor):
        optimizer.step()
    assert_unchanged(before, optimizer)


@pytest.mark.difference(
    "After a module's `.to(dtype)`, torch's implementations raise in the middle of a step, or continue, depending on "
    "the optimizer. Here all of them raise before anything is written. To continue, load the optimizer's state_dict."
)
def test_after_to_another_dtype_a_loaded_state_goes_on() -> None:
    def trained(cls: type[torch.optim.Optimizer]) -> torch.optim.Optimizer:
        module = torch.nn.ParameterList(parameters([(3, 2), (4,)]))
        optimizer = cls(module.parameters())
        train(optimizer, 1)
        module.to(torch.bfloat16)
        return optimizer

    train(trained(torch.optim.Rprop), 1)
    with pytest.raises(RuntimeError, match="dtype"):
        train(trained(torch.optim.AdamW), 1)
    for name in ("Rprop", "AdamW"):
        optimizer = trained(ours(name))
        with pytest.raises(RuntimeError, match=r"is torch.bfloat16 since the last step, its state torch.float32"):
            train(optimizer, 1)
        optimizer.load_state_dict(optimizer.state_dict())
        train(optimizer, 1)
        assert {value.dtype for entry in states(optimizer) for value in entry.values()} == {torch.float32}


@pytest.mark.parametrize(
    "as_other", [tuple, deque, lambda params: dict.fromkeys(params).keys()], ids=["tuple", "deque", "keys"]
)
@every_implementation
@every_class
def test_parameters_of_a_group_that_are_no_list(name: str, options: Options, as_other: Callable[..., object]) -> None:
    """Assigned after construction; what the constructor is given becomes a list there."""

    def run(cls: type[torch.optim.Optimizer], options: Options) -> torch.optim.Optimizer:
        params = parameters()
        optimizer = cls(params, **options, **remembering(name))
        train(optimizer, 2)
        optimizer.param_groups[0]["params"] = as_other(params)
        for seed in range(5, 8):
            give_gradients(params, seed)
            optimizer.step()
        return optimizer

    assert_runs_as_torchs(name, run, options)


@every_implementation
def test_parameters_of_a_group_that_come_one_by_one(options: Options) -> None:
    """As in torch, an iterator gives its parameters to one step."""
    found = []
    for cls in (ours("AdamW"), torch.optim.AdamW):
        params = parameters()
        optimizer = cls(params, **options)
        train(optimizer, 2)
        optimizer.param_groups[0]["params"] = iter(params)
        for seed in range(5, 7):
            give_gradients(params, seed)
            optimizer.step()
        found.append((params, [optimizer.state[param]["step"].item() for param in params]))
    (mine, steps), (theirs, theirs_steps) = found
    assert steps == theirs_steps == [3] * len(mine)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("planned", [False, True])
@pytest.mark.parametrize("change", ["gone", "another"])
@every_implementation
def test_a_gradient_that_changes_while_a_step_prepares(
    options: Options, change: str, planned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another thread may do: the step goes on with the gradients that it found, the next one with what is there."""
    optimizer, twin = (ours("SGD")(parameters([(3,)] * 3), lr=1.0, **options) for _ in range(2))
    params, others = optimizer.param_groups[0]["params"], twin.param_groups[0]["params"]
    if planned:
        train(optimizer, 2)
        train(twin, 2)
    give_gradients(params, 5)
    give_gradients(others, 5)
    twin.step()
    refresh = Plan.refresh_executors

    def disturbed(plan: Plan, *arguments: object) -> None:
        params[0].grad = None if change == "gone" else torch.full((3,), 100.0)
        refresh(plan, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Plan, "refresh_executors", disturbed)
        optimizer.step()
    assert_same_training(optimizer, twin)
    others[0].grad = None if params[0].grad is None else params[0].grad.clone()
    optimizer.step()
    twin.step()
    assert_same_training(optimizer, twin)


@every_implementation
def test_a_group_that_is_emptied_while_a_step_prepares(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another thread may do: the step updates what it found, and keeps it alive for as long as it runs."""
    optimizer, twin = (ours("AdamW")(parameters(), **options) for _ in range(2))
    for one in (optimizer, twin):
        train(one, 2)
        give_gradients(one.param_groups[0]["params"], 5)
    params = list(optimizer.param_groups[0]["params"])
    refresh = Plan.refresh_executors

    def disturbed(plan: Plan, *arguments: object) -> None:
        optimizer.param_groups[0]["params"].clear()
        optimizer.state.clear()
        refresh(plan, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Plan, "refresh_executors", disturbed)
        optimizer.step()
    twin.step()
    for mine, other in zip(params, twin.param_groups[0]["params"], strict=True):
        assert torch.equal(mine, other)
