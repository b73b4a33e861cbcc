"""What a step promises whatever the parameters are: all optimizers, torch's classes beside them.

What a test asks of ours it asks of torch's too, except where it says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from tests.support.every_optimizer import both, every_class, ours, remembering, torchs
from tests.support.reduced_numbers import reads_numbers
from tests.support.runtime_helpers import give_gradients, parameters, states, train
from tests.support.step_helpers import FOR_LOOP, Options, assert_runs_as_torchs, every_implementation, every_list
from tests.support.stepping import needs_closure

# Closures.


@pytest.mark.feature("step", "a closure runs with gradients enabled, and its value is returned")
@every_implementation
@every_class
def test_closure(name: str, options: Options) -> None:
    def run(cls: type[torch.optim.Optimizer], options: Options) -> torch.optim.Optimizer:
        (param,) = parameters([(3,)])
        optimizer = cls([param], **options, **remembering(name))
        losses: list[Tensor] = []
        evaluations = 2 if needs_closure(cls) else 1  # at two points; the first loss is returned

        def closure() -> Tensor:
            assert torch.is_grad_enabled()
            optimizer.zero_grad()
            losses.append(param.square().sum())
            losses[-1].backward()
            return losses[-1]

        for _ in range(3):
            with torch.no_grad():
                assert optimizer.step(closure) is losses[-evaluations]
                assert not torch.is_grad_enabled()
        assert len(losses) == 3 * evaluations
        param.grad = None
        assert optimizer.step() is None
        return optimizer

    assert_runs_as_torchs(name, run, options)


# Parameters that take no part.


@pytest.mark.feature("step", "parameters without gradients, frozen ones, empty ones")
@every_implementation
@every_class
def test_parameters_without_gradients(name: str, options: Options) -> None:
    for cls in both(name):
        params = parameters()
        before = [param.detach().clone() for param in params]
        optimizer = cls(params, **(options if cls is ours(name) else FOR_LOOP), **remembering(name))
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
@every_implementation
@every_class
def test_frozen_parameters(name: str, options: Options) -> None:
    """Frozen from the start, frozen in the middle, and thawed again."""

    def run(cls: type[torch.optim.Optimizer], options: Options) -> torch.optim.Optimizer:
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
        for param, start in zip(model.parameters(), parameters([p.shape for p in model.parameters()]), strict=True):
            param.data.copy_(start)
        arguments: dict[str, Any] = {**options, **remembering(name)}
        has_totals = ours(name).schema.waits and ours(name).schema.reduces
        if not has_totals and name != "LDoG":  # those estimate the rate, and multiply it by 1e-6 first
            # Some default to a rate at which training diverges.
            arguments["lr"] = min(cls(model.parameters(), **arguments).param_groups[0]["lr"], 1e-3)
        optimizer = cls(model.parameters(), **arguments)
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

    assert_runs_as_torchs(name, run, options)


@pytest.mark.feature("step", "parameters without gradients, frozen ones, empty ones")
@every_implementation
@every_class
def test_empty_tensors(name: str, options: Options) -> None:
    def run(cls: type[torch.optim.Optimizer], options: Options) -> torch.optim.Optimizer:
        optimizer = cls(parameters([(0,), (3, 0), (2,), (0, 4, 5)]), **options, **remembering(name))
        train(optimizer, 3)
        return optimizer

    control = torchs(name)
    if control is torch.optim.Adafactor:
        with pytest.raises(ZeroDivisionError):
            run(control, FOR_LOOP)
        control = None
    optimizer = assert_runs_as_torchs(name, run, options, control or ours(name))
    steps = [float(entry["step"]) for entry in states(optimizer) if isinstance(entry.get("step"), Tensor)]
    assert steps in ([], [3.0] * 4)


@pytest.mark.feature("step", "parameters without gradients, frozen ones, empty ones")
@every_implementation
@every_class
def test_nothing_but_empty_tensors(name: str, options: Options) -> None:
    optimizer = ours(name)(parameters([(0,), (3, 0)]), **options, **remembering(name))
    train(optimizer, 2)


@pytest.mark.feature("step", "zeros as gradients and lr 0 move nothing, under any decay")
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@every_implementation
@every_class
def test_zeros_and_no_learning_rate(name: str, options: Options, weight_decay: float) -> None:
    """torch.distributed.checkpoint makes state so, and then overwrites it; parameters must be as they were."""
    names = {hyperparameter.name for hyperparameter in ours(name).schema.hyperparameters}
    free = [flag for flag in ours(name).schema.flags if "weight_decay" in flag and flag not in ours(name).schema.fixed]
    decays = [{"weight_decay": weight_decay, **dict.fromkeys(free, value)} for value in (False, True)]
    for cls in both(name):
        for decay in decays if "weight_decay" in names else ({},):
            arguments = {**remembering(name), **decay}
            for lr in (0.0, torch.tensor(0.0)):
                if isinstance(lr, Tensor) and options.get("foreach"):
                    continue  # some refuse tensors there, as torch's do
                params = parameters()
                before = [param.detach().clone() for param in params]
                optimizer = cls(params, **arguments, **(options if cls is ours(name) else FOR_LOOP))
                for group in optimizer.param_groups:
                    group["lr"] = lr
                for param in params:
                    param.grad = torch.zeros_like(param)
                optimizer.step()
                assert [param.tolist() for param in params] == [start.tolist() for start in before]
                assert len(optimizer.state) in (0, len(params))


# Parameters of several kinds.


@pytest.mark.feature("step", "parameters of mixed dtypes, in one group and across groups")
@pytest.mark.parametrize("grouped", [False, True], ids=["one group", "groups"])
@every_implementation
@every_class
def test_mixed_dtypes(name: str, options: Options, grouped: bool) -> None:
    """Each parameter ends where it ends in an optimizer of its own; numbers that all share are those of float64."""
    dtypes = (torch.float32, torch.bfloat16, torch.float64, torch.float16)
    if ours(name).schema.shared:
        _assert_numbers_of_all(name, options, grouped=grouped)
        return
    dtypes += () if ours(name).schema.complex_error else (torch.complex64,)
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


def _assert_numbers_of_all(name: str, options: Options, *, grouped: bool) -> None:
    """Both dtypes add their parts. In 16 bits, the distances that some add up are lost in rounding."""
    params = [param for dtype in (torch.float32, torch.float64) for param in parameters([(3, 2), (6,)], dtype)]
    wide = [Parameter(param.detach().clone().double()) for param in params]
    has_distance = any(hyperparameter.name == "reps_rel" for hyperparameter in ours(name).schema.hyperparameters)
    start = {"reps_rel": 0.01} if has_distance else {}  # of a first step that float32 does not lose
    mixed, expected = (
        ours(name)([{"params": listed[:3]}, {"params": listed[3:]}] if grouped else listed, **how, **start)
        for listed, how in ((params, options), (wide, FOR_LOOP))
    )
    for step in range(3):
        give_gradients(params, step)
        for param, other in zip(params, wide, strict=True):
            other.grad = param.grad.clone().double()
        mixed.step()
        expected.step()
    for group, wanted in zip(mixed.param_groups, expected.param_groups, strict=True):
        for shared in ours(name).schema.shared:
            assert group[shared.name] == pytest.approx(wanted[shared.name], rel=1e-3), shared.name


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
@every_class
def test_mixed_devices(name: str, options: Options, record_property: Callable[[str, object], None]) -> None:
    """A device without memory beside the CPU: what has memory is updated as if it were alone."""
    for cls in both(name):
        make = partial(cls, **options, **remembering(name))
        counts = any(state.kind != "tensor" and state.on_param_device for state in ours(name).schema.states)
        # Only there: between the CPU and a GPU it works.
        if counts:
            record_property(
                "why not", "counters live beside the parameter, as in torch, and on `meta` they cannot be read"
            )
        elif reads_numbers(name):
            record_property("why not", "norms and sums that the host reads have no value on `meta`")
        raised = ""
        try:
            _step_on_two_devices(make, ("cpu", "meta"))
        except RuntimeError as error:
            raised = str(error)
        assert raised in ("", "Tensor.item() cannot be called on meta tensors")
        assert reads_numbers(name) if raised and not counts else bool(raised) == counts


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@every_class
def test_mixed_devices_with_a_gpu(name: str) -> None:
    for options in ({"foreach": False}, {"foreach": True}, {}):
        _step_on_two_devices(partial(ours(name), **options, **remembering(name)), ("cpu", "cuda"))
