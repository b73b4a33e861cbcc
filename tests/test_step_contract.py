"""What a step promises whatever comes between two of them: all optimizers, torch's classes beside them.

The for-loop has torch's bits; where numbers are compared, both run it. What a test asks of ours it asks of torch's too,
except where it says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch
from every_optimizer import both, every_optimizer, ours, remembering, torchs
from runtime_helpers import assert_same_training, assert_unchanged, give_gradients, parameters, picture, states, train
from torch import Tensor
from torch.nn import Parameter

LISTS = {"for-loop": {"foreach": False}, "foreach": {"foreach": True}}
every_list = pytest.mark.parametrize("options", LISTS.values(), ids=LISTS)

Run = Callable[[type[torch.optim.Optimizer]], torch.optim.Optimizer]


def assert_runs_as_torchs(name: str, run: Run) -> torch.optim.Optimizer:
    """Ours after a run; where torch has the class, the same run with it ends with the same bits."""
    optimizers = [run(cls) for cls in both(name)]
    if len(optimizers) == 2:
        assert_same_training(*optimizers)
    return optimizers[0]


# Closures.


@pytest.mark.feature("step", "a closure runs with gradients enabled, and its value is returned")
@every_optimizer
def test_closure(name: str) -> None:
    def run(cls: type[torch.optim.Optimizer]) -> torch.optim.Optimizer:
        (param,) = parameters([(3,)])
        optimizer = cls([param], foreach=False, **remembering(name))
        losses: list[Tensor] = []

        def closure() -> Tensor:
            assert torch.is_grad_enabled()
            optimizer.zero_grad()
            losses.append(param.square().sum())
            losses[-1].backward()
            return losses[-1]

        for _ in range(3):
            with torch.no_grad():
                assert optimizer.step(closure) is losses[-1]
                assert not torch.is_grad_enabled()
        assert len(losses) == 3
        param.grad = None
        assert optimizer.step() is None
        return optimizer

    assert_runs_as_torchs(name, run)


# Parameters that take no part.


@pytest.mark.feature("step", "parameters without gradients, frozen ones, empty ones")
@every_list
@every_optimizer
def test_parameters_without_gradients(name: str, options: dict[str, bool]) -> None:
    for cls in both(name):
        params = parameters()
        before = [param.detach().clone() for param in params]
        optimizer = cls(params, **options, **remembering(name))
        made_at_once = dict(optimizer.state)
        optimizer.step()
        assert dict(optimizer.state).keys() == made_at_once.keys()
        give_gradients(params[:2], 0)
        optimizer.step()
        optimizer.step()  # some rules only look at the gradients in their first step
        moved = [not torch.equal(param, start) for param, start in zip(params, before, strict=True)]
        assert moved == [True, True, False, False]
        assert set(optimizer.state) <= {*made_at_once, *params[:2]}


@pytest.mark.feature("step", "parameters without gradients, frozen ones, empty ones")
@every_optimizer
def test_frozen_parameters(name: str) -> None:
    """Frozen from the start, frozen in the middle, and thawed again."""

    def run(cls: type[torch.optim.Optimizer]) -> torch.optim.Optimizer:
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
        for param, start in zip(model.parameters(), parameters([p.shape for p in model.parameters()]), strict=True):
            param.data.copy_(start)
        optimizer = cls(model.parameters(), foreach=False, **remembering(name))
        for frozen in ((), (0, 1), (0, 3), ()):
            for index, param in enumerate(model.parameters()):
                param.requires_grad_(index not in frozen)
            held = [param.detach().clone() for param in model.parameters()]
            for _ in range(2):  # some rules only look at the gradients in their first step
                optimizer.zero_grad()
                model(torch.linspace(-1, 1, 6).reshape(2, 3)).square().sum().backward()
                optimizer.step()
            for index, (param, before) in enumerate(zip(model.parameters(), held, strict=True)):
                assert torch.equal(param, before) == (index in frozen)
        return optimizer

    assert_runs_as_torchs(name, run)


@pytest.mark.feature("step", "parameters without gradients, frozen ones, empty ones")
@every_list
@every_optimizer
def test_empty_tensors(name: str, options: dict[str, bool]) -> None:
    def run(cls: type[torch.optim.Optimizer]) -> torch.optim.Optimizer:
        optimizer = cls(parameters([(0,), (3, 0), (2,), (0, 4, 5)]), **options, **remembering(name))
        train(optimizer, 3)
        return optimizer

    optimizer = run(ours(name))
    reference = run(torchs(name)) if torchs(name) and options == LISTS["for-loop"] else run(ours(name))
    assert_same_training(optimizer, reference)
    steps = [float(entry["step"]) for entry in states(optimizer) if isinstance(entry.get("step"), Tensor)]
    assert steps in ([], [3.0] * 4)


@pytest.mark.feature("step", "parameters without gradients, frozen ones, empty ones")
@every_list
@every_optimizer
def test_nothing_but_empty_tensors(name: str, options: dict[str, bool]) -> None:
    optimizer = ours(name)(parameters([(0,), (3, 0)]), **options, **remembering(name))
    train(optimizer, 2)


# Parameters of several kinds.


@pytest.mark.feature("step", "parameters of mixed dtypes, in one group and across groups")
@pytest.mark.parametrize("grouped", [False, True], ids=["one group", "groups"])
@every_list
@every_optimizer
def test_mixed_dtypes(name: str, options: dict[str, bool], grouped: bool) -> None:
    """Each parameter ends where it ends in an optimizer of its own."""
    dtypes = (torch.float32, torch.bfloat16, torch.float64, torch.float16, torch.complex64)
    make = partial(parameters, [(3, 2), (5,)])
    together = [param for dtype in dtypes for param in make(dtype)]
    groups = [{"params": together[:3]}, {"params": together[3:]}]
    mixed = ours(name)(groups if grouped else together, **options, **remembering(name))
    alone = [ours(name)(make(dtype), **options, **remembering(name)) for dtype in dtypes]
    for step in range(3):
        for index, optimizer in enumerate(alone):
            mine = optimizer.param_groups[0]["params"]
            give_gradients(mine, step)
            for param, other in zip(mine, together[2 * index :], strict=False):
                other.grad = param.grad.clone()
            optimizer.step()
        mixed.step()
    wanted = [param for optimizer in alone for param in optimizer.param_groups[0]["params"]]
    for got, param in zip(together, wanted, strict=True):
        torch.testing.assert_close(got, param, rtol=0, atol=0)
    for entry, other in zip(states(mixed), [e for optimizer in alone for e in states(optimizer)], strict=True):
        torch.testing.assert_close(entry, other, rtol=0, atol=0)


def _step_on_two_devices(make: Callable[[Sequence[Tensor]], torch.optim.Optimizer], devices: Sequence[str]) -> None:
    params = [Parameter(param.detach().to(device)) for param in parameters([(3, 2), (5,)]) for device in devices]
    optimizer = make(params)
    alone = make([Parameter(param.detach().clone()) for param in params if param.device.type == "cpu"])
    for step in range(3):
        give_gradients((mine := alone.param_groups[0]["params"]), step)
        gradients = iter([param.grad for param in mine for _ in devices])
        for param in params:
            param.grad = next(gradients).clone().to(param.device)
        alone.step()
        optimizer.step()
    got = [param for param in params if param.device.type == "cpu"]
    torch.testing.assert_close(got, alone.param_groups[0]["params"], rtol=0, atol=0)
    for param in params:
        assert all(value.device == param.device for value in optimizer.state[param].values() if value.dim())


@pytest.mark.feature("step", "parameters of mixed devices")
@every_list
@every_optimizer
def test_mixed_devices(name: str, options: dict[str, bool], record_property: Callable[[str, object], None]) -> None:
    """A device without memory beside the CPU: what has memory is updated as if it were alone."""
    for cls in both(name):
        make = partial(cls, **options, **remembering(name))
        if any(state.kind != "tensor" and state.on_param_device for state in ours(name).schema.states):
            # Only there: between the CPU and a GPU it works.
            record_property(
                "why not", "counters live beside the parameter, as in torch, and on `meta` they cannot be read"
            )
            with pytest.raises(RuntimeError, match=r"^Tensor.item\(\) cannot be called on meta tensors$"):
                _step_on_two_devices(make, ("cpu", "meta"))
        else:
            _step_on_two_devices(make, ("cpu", "meta"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@every_optimizer
def test_mixed_devices_with_a_gpu(name: str) -> None:
    for options in ({"foreach": False}, {"foreach": True}, {}):
        _step_on_two_devices(partial(ours(name), **options, **remembering(name)), ("cpu", "cuda"))


# What changes between steps.


@pytest.mark.feature("step", "gradients that come and go between steps")
@every_list
@every_optimizer
def test_gradients_come_and_go(name: str, options: dict[str, bool]) -> None:
    pattern = ((0, 1, 2), (0,), (), (1, 2, 3), (0, 3), (0, 1, 2, 3))

    def run(cls: type[torch.optim.Optimizer], options: dict[str, bool]) -> torch.optim.Optimizer:
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

    # foreach has the for-loop's bits; the for-loop has torch's.
    control = torchs(name) or ours(name)
    assert_same_training(run(ours(name), options), run(control, LISTS["for-loop"]))


@pytest.mark.feature("step", "`p.data` replaced, state assigned, state moved to another parameter")
@every_list
@every_optimizer
def test_data_replaced(name: str, options: dict[str, bool]) -> None:
    """The step goes on with what is in the parameter now; nobody remembers where it was."""

    def run(cls: type[torch.optim.Optimizer], options: dict[str, bool]) -> torch.optim.Optimizer:
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

    assert_same_training(run(ours(name), options), run(torchs(name) or ours(name), LISTS["for-loop"]))


@pytest.mark.feature("step", "`p.data` replaced, state assigned, state moved to another parameter")
@every_list
@every_optimizer
def test_state_assigned(name: str, options: dict[str, bool]) -> None:
    """Other tensors in the place of those that the optimizer made; the old ones stay as they are."""

    def run(cls: type[torch.optim.Optimizer], options: dict[str, bool]) -> torch.optim.Optimizer:
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

    assert_same_training(run(ours(name), options), run(torchs(name) or ours(name), LISTS["for-loop"]))


@pytest.mark.feature("step", "`p.data` replaced, state assigned, state moved to another parameter")
@every_list
@every_optimizer
def test_state_moved_to_a_replacement(name: str, options: dict[str, bool]) -> None:
    """As one does who replaces a layer and keeps its momentum."""

    def run(cls: type[torch.optim.Optimizer], options: dict[str, bool], replace: bool) -> torch.optim.Optimizer:
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

    moved = run(ours(name), options, replace=True)
    assert_same_training(moved, run(ours(name), options, replace=False))
    assert_same_training(moved, run(torchs(name) or ours(name), LISTS["for-loop"], replace=True))


@pytest.mark.feature("step", "state that is taken away starts anew")
@every_list
@every_optimizer
def test_state_cleared(name: str, options: dict[str, bool]) -> None:
    def run(cls: type[torch.optim.Optimizer], options: dict[str, bool]) -> torch.optim.Optimizer:
        params = parameters()
        optimizer = cls(params, **options, **remembering(name))
        train(optimizer, 2)
        optimizer.state.pop(params[1], None)
        if params[2] in optimizer.state:
            optimizer.state[params[2]].clear()
        train(optimizer, 2, seed=5)
        return optimizer

    assert_same_training(run(ours(name), options), run(torchs(name) or ours(name), LISTS["for-loop"]))


# Modules that change their dtype.

DTYPES = (torch.float64, torch.bfloat16, torch.float16)


def _module_step(module: torch.nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    give_gradients(module.parameters(), seed)
    optimizer.step()


@pytest.mark.feature("step", "a module's `.to(dtype)` before the first step")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@every_optimizer
def test_to_another_dtype_before_the_first_step(
    name: str, dtype: torch.dtype, record_property: Callable[[str, object], None]
) -> None:
    if ours(name).schema.state_at_construction:
        record_property("why not", "state is made at construction, as in torch: `.to(dtype)` comes too late")
        _assert_to_is_an_error(name, LISTS["for-loop"], dtype, steps=0)
        return

    def run(cls: type[torch.optim.Optimizer]) -> torch.optim.Optimizer:
        module = torch.nn.ParameterList(parameters([(3, 2), (4,)]))
        optimizer = cls(module.parameters(), foreach=False, **remembering(name))
        module.to(dtype)
        train(optimizer, 3)
        for param in module.parameters():
            assert all(value.dtype is dtype for value in optimizer.state[param].values() if value.dim())
        return optimizer

    assert_runs_as_torchs(name, run)


@pytest.mark.feature("step", "a module's `.to(dtype)` after it: an error before anything is written")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@every_list
@every_optimizer
def test_to_another_dtype_after_the_first_step(
    name: str, options: dict[str, bool], dtype: torch.dtype, record_property: Callable[[str, object], None]
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


def _assert_to_is_an_error(name: str, options: dict[str, bool], dtype: torch.dtype, steps: int) -> None:
    module = torch.nn.ParameterList(parameters([(3, 2), (4,)]))
    optimizer = ours(name)(module.parameters(), **options, **remembering(name))
    train(optimizer, steps)
    module.to(dtype)
    give_gradients(module.parameters(), 1)
    before = picture(optimizer)
    with pytest.raises(RuntimeError, match=rf"is torch.float32, its parameter {dtype}; only fused implementations"):
        optimizer.step()
    assert_unchanged(before, optimizer)


@pytest.mark.difference(
    "After a module's `.to(dtype)`, torch's implementations raise in the middle of a step, or go on, depending on the "
    "optimizer. Here the for-loop and foreach raise before anything is written; fused kernels, the default, take state "
    "of another dtype than the parameter's and go on, with state in the dtype that it had."
)
def test_kernels_go_on_with_state_in_its_dtype() -> None:
    def steps(cls: type[torch.optim.Optimizer], options: dict[str, bool]) -> torch.optim.Optimizer:
        module = torch.nn.ParameterList(parameters([(3, 2), (4,)]))
        optimizer = cls(module.parameters(), **options)
        train(optimizer, 1)
        module.to(torch.bfloat16)
        train(optimizer, 1, seed=1)
        return optimizer

    with pytest.raises(RuntimeError, match="dtype"):
        steps(torch.optim.AdamW, {})
    steps(torch.optim.Rprop, {})
    assert all(entry["exp_avg"].dtype is torch.float32 for entry in states(steps(ours("AdamW"), {"fused": True})))
