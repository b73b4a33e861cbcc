"""Who unscales under torch's GradScaler, where, and what the scaler refuses; nothing is waited for on a GPU."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch

import thetac
from tests.support.comparing import assert_identical, assert_same_training
from tests.support.every_optimizer import error_of, ours, runs_kernels, torchs
from tests.support.host_reads import HostRead, no_host_reads
from tests.support.runtime_helpers import parameters, picture, run_kernels_of, states
from tests.support.scaler_helpers import (
    SHAPES,
    TORCH_FUSED,
    backward,
    gradients,
    make,
    options,
    pretending_to_unscale,
    scaler,
    triton,
)
from tests.support.stepping import every_class_that_evaluates_once
from thetac.runtime.param_groups import checks

__all__ = ["options", "triton"]  # fixtures

# Where the numbers are a GPU's.


@pytest.mark.feature("modes", "GradScaler: fused steps on a GPU do not make the host wait, skipped ones included")
@every_class_that_evaluates_once
def test_the_host_reads_nothing(
    name: str, triton: None, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """Where a rule sums over all parameters, and so has no kernels there, if it is capturable."""
    monkeypatch.setattr(checks, "_get_capturable_supported_devices", lambda: ["cpu"])
    by_kernels = runs_kernels(name, {"fused": True})
    if not by_kernels:
        record_property("why not", "if capturable; elsewhere the host reads sums over all parameters")
    optimizer, by = make(name, fused=True, **({} if by_kernels else {"capturable": True})), scaler()
    for step in range(6):
        backward(optimizer, step, by, overflow=step in (1, 4))
        before = picture(optimizer)
        if step < 3:
            by.step(optimizer)
        else:
            with no_host_reads():
                by.step(optimizer)
        if step == 4:
            assert_identical(before, picture(optimizer))
        by.update()
    assert f"{'Triton' if by_kernels else 'for-loop on tensors'} for 3 parameters" in optimizer.explain()
    counters = [entry[s.name] for entry in states(optimizer) for s in optimizer.schema.states if s.kind == "counter"]
    assert all(counter == 4 for counter in counters)


def test_the_stand_in_notices_reads(triton: None) -> None:
    optimizer = thetac.AdamW(parameters(SHAPES), fused=True)
    by = scaler()
    backward(optimizer, 0, by)
    with no_host_reads(), pytest.raises(HostRead):  # without a scaler the numbers are the host's
        optimizer.step()


@pytest.mark.parametrize("name", ["AdamW", "NAdam", "ASGD", "SGD"])
def test_with_and_without_a_scaler_in_turn(name: str, triton: None) -> None:
    """Counters move to the device with the first scaled step, and go on with every other."""
    mixed, plain, by = make(name, fused=True), make(name, fused=True), scaler(1024.0)
    for step in range(6):
        for optimizer in (mixed, plain):
            backward(optimizer, step, by)
        if step in (2, 3, 5):
            by.step(mixed)
        else:
            pretending_to_unscale(mixed, 1024.0)
            mixed.step()
        pretending_to_unscale(plain, 1024.0)
        plain.step()
        if step in (2, 3, 5):
            by.update(1024.0)
    assert_same_training(mixed, plain, rtol=3e-7, atol=1e-7)
    assert "a step that may be skipped counts on the device" in mixed.explain()


def test_found_inf_of_several_devices_adds_up(triton: None) -> None:
    """torch subtracts the sum from its counters."""
    optimizer = thetac.AdamW(parameters(SHAPES), fused=True)
    by = scaler()
    for found in (0.0, 2.0, 0.0):
        backward(optimizer, 0, by)
        optimizer.found_inf, optimizer.grad_scale = torch.tensor(found), torch.tensor(1.0)
        optimizer.step()
    assert all(entry["step"] == 2 for entry in states(optimizer))


# Who supports it.


@pytest.mark.feature("modes", "GradScaler: the step unscales only with an explicit fused=True")
@every_class_that_evaluates_once
def test_who_unscales(name: str) -> None:
    for arguments in ({}, {"foreach": True}, {"foreach": False}, {"fused": False}, {"fused": None}):
        assert not getattr(make(name, **arguments), "_step_supports_amp_scaling", False)
    assert make(name, fused=True)._step_supports_amp_scaling
    assert not getattr(ours(name), "_step_supports_amp_scaling", False)


def _loaded(cls: type[torch.optim.Optimizer], had: bool | None, comes: bool | None) -> torch.optim.Optimizer:
    optimizer = cls(parameters(SHAPES), fused=had)
    optimizer.load_state_dict(cls(parameters(SHAPES), fused=comes).state_dict())
    return optimizer


def _with_group(cls: type[torch.optim.Optimizer], had: bool | None, comes: bool | None) -> torch.optim.Optimizer:
    optimizer = cls(parameters(SHAPES), fused=had)
    optimizer.add_param_group({"params": parameters([(2,)], seed=5), "fused": comes})
    return optimizer


CHANGES: dict[str, Callable[[type[torch.optim.Optimizer], bool | None, bool | None], torch.optim.Optimizer]] = {
    "loaded": _loaded,
    "another group": _with_group,
    "pickled": lambda cls, had, _: pickle.loads(pickle.dumps(cls(parameters(SHAPES), fused=had))),
    "copied": lambda cls, had, _: copy.deepcopy(cls(parameters(SHAPES), fused=had)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("had", [None, True])
@pytest.mark.parametrize("comes", [None, True])
@pytest.mark.parametrize("name", TORCH_FUSED)
def test_who_unscales_after_changes(name: str, change: Callable[..., object], had: bool, comes: bool) -> None:
    """As torch's classes: what the constructor said, and nothing once pickled."""
    control = torchs(name)
    assert control is not None
    mine, theirs = (
        getattr(change(cls, had, comes), "_step_supports_amp_scaling", None) for cls in (ours(name), control)
    )
    assert mine == theirs


@pytest.mark.parametrize("kernels", ["C++", "Triton"])
@pytest.mark.parametrize("other", [False, None])
def test_groups_of_other_implementations_unscale_too(
    kernels: str, other: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch raises an AssertionError from within the step."""
    run_kernels_of(kernels, monkeypatch)

    def groups() -> list[dict[str, object]]:
        first, second, third = parameters(SHAPES)
        return [{"params": [first, third]}, {"params": [second], "fused": other}]

    scaled, plain, by = thetac.Adam(groups(), fused=True), thetac.Adam(groups(), fused=True), scaler(1024.0)
    for step in range(4):
        for optimizer in (scaled, plain):
            backward(optimizer, step, by, overflow=step == 2)
        pretending_to_unscale(plain, by.get_scale())
        before, grads = picture(scaled), gradients(scaled)
        by.step(scaled)
        if step == 2:
            assert_identical((before, grads), (picture(scaled), gradients(scaled)))
        else:
            plain.step()
            assert_identical(gradients(scaled), gradients(plain))
        by.update()
    assert_same_training(scaled, plain, rtol=3e-7, atol=1e-7)


@pytest.mark.parametrize("sparse", [False, True])
def test_sparse_gradients_are_unscaled(sparse: bool) -> None:
    """Kernels do not take them, so they fall back under `fused=True`; entries that occur twice are not merged."""
    param = torch.nn.Parameter(torch.ones(5))
    optimizer = thetac.SGD([param], lr=1.0, fused=True)
    grad = torch.sparse_coo_tensor(
        torch.tensor([[1, 1, 2]]), torch.tensor([2.0, 2.0, 4.0]), (5,), check_invariants=True
    )
    param.grad = grad if sparse else grad.to_dense()
    optimizer.grad_scale, optimizer.found_inf = torch.tensor(2.0), torch.tensor(0.0)
    optimizer.step()
    assert param.tolist() == [1.0, -1.0, -1.0, 1.0, 1.0]
    assert param.grad.to_dense().tolist() == [0.0, 2.0, 2.0, 0.0, 0.0]
    if sparse:
        assert not param.grad.is_coalesced()


def test_lazily_negated_gradients_are_unscaled(options: dict[str, bool]) -> None:
    """Kernels get copies of them; the quotients are written back all the same."""
    param = torch.nn.Parameter(torch.ones(3))
    optimizer = thetac.SGD([param], lr=1.0, **options)
    for _ in range(2):
        param.grad = torch._neg_view(torch.tensor([2.0, 4.0, 6.0]))
        optimizer.grad_scale, optimizer.found_inf = torch.tensor(2.0), torch.tensor(0.0)
        optimizer.step()
        assert param.grad.tolist() == [-1.0, -2.0, -3.0]
    assert param.tolist() == [3.0, 5.0, 7.0]


# What the scaler refuses.


@pytest.mark.feature("modes", "GradScaler: closures are refused, and steps without gradients, as with torch's class")
@every_class_that_evaluates_once
def test_what_the_scaler_refuses(name: str, options: dict[str, bool]) -> None:
    control, by = torchs(name), scaler()
    theirs = options if not options.get("fused") or name in TORCH_FUSED else {}
    optimizers: list[torch.optim.Optimizer] = [make(name, **options)]
    if control is not None:
        optimizers.append(control(parameters(SHAPES), **theirs))
    by.scale(torch.ones(()))
    for optimizer in optimizers:
        kind, text = error_of(lambda optimizer=optimizer: by.step(optimizer, closure=lambda: 0.0))
        assert (kind, text) == (RuntimeError, "Closure use is not currently supported if GradScaler is enabled.")
        before = picture(optimizer)
        if getattr(optimizer, "_step_supports_amp_scaling", False):
            assert by.step(optimizer) is None  # found_inf is the number 0
        else:
            assert error_of(lambda optimizer=optimizer: by.step(optimizer)) == (
                AssertionError,
                "No inf checks were recorded for this optimizer.",
            )
        assert_identical(before, picture(optimizer))
        disabled = torch.amp.GradScaler("cpu", enabled=False)
        assert disabled.step(optimizer, closure=lambda: 0.25) == 0.25
