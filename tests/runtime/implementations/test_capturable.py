"""Capturable steps: numbers that stay on the device, tables that stay where they are, CUDA graphs.

Without a GPU, torch is told that the CPU supports `capturable`, Triton's interpreter runs the kernels, and whatever a
host would have to wait for is an error (`host_reads.py`).
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor

import thetac
from tests.support.comparing import assert_same_training
from tests.support.every_optimizer import both, every_class, ours, remembering, runs_kernels
from tests.support.host_reads import no_host_reads
from tests.support.runtime_helpers import assert_unchanged, give_gradients, parameters, picture, run_kernels_of, states
from thetac.runtime.implementations import device_table
from thetac.runtime.implementations.device_table import DeviceTable
from thetac.runtime.optimizer import Optimizer
from thetac.runtime.param_groups import checks
from thetac.runtime.stepping import choice, plan, requirements

SHAPES = ((5, 3), (7,), ())
# The host's own arithmetic and torch's in float64 differ in the last bit at times; rounded to float32, rarely.
CLOSE = {"rtol": 3e-7, "atol": 1e-7}
FORMS = {"Triton": {"fused": True}, "on tensors": {"foreach": False}}
every_form = pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the CPU were a GPU."""
    run_kernels_of("Triton", monkeypatch)
    monkeypatch.setattr(checks, "_get_capturable_supported_devices", lambda: ["cpu"])


class Capture:
    """Lets the runtime believe that operations are captured."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(self, optimizer: Optimizer) -> None:
        with self._monkeypatch.context() as patch:
            for module in (choice, requirements, plan, device_table):
                patch.setattr(module, "is_captured", lambda device: True)
            patch.setattr(DeviceTable, "_copy", _not_in_a_graph)
            with no_host_reads():
                optimizer.step()


def _not_in_a_graph(table: DeviceTable, host: Tensor) -> Tensor:
    raise AssertionError("a table was copied during capture")


@pytest.fixture
def captured(on_cpu: None, monkeypatch: pytest.MonkeyPatch) -> Capture:
    return Capture(monkeypatch)


def takes_capturable(name: str, record_property: Callable[[str, object], None]) -> bool:
    if "capturable" in ours(name)([torch.zeros(1)]).param_groups[0]:
        return True
    record_property("why not", "it has no such argument, as in torch")
    return False


def make(name: str, *, lr: object = 0.01, **options: object) -> Optimizer:
    first, second, third = parameters(SHAPES)
    groups = [{"params": [first, third], "lr": lr}, {"params": [second], "lr": 0.02}]
    return ours(name)(groups, **{**remembering(name), **options})


def params_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


def refill_gradients(params: Iterable[Tensor], seed: int) -> None:
    """New numbers where the gradients already lie."""
    generator = torch.Generator().manual_seed(1000 + seed)
    for param in params:
        param.grad.copy_(torch.randn(param.shape, generator=generator))


# The same step.


@pytest.mark.feature("modes", "capturable: the same training as without it")
@every_form
@every_class
def test_the_same_training(
    name: str, options: dict[str, bool], on_cpu: None, record_property: Callable[[str, object], None]
) -> None:
    """Two groups, a gradient that comes late, one that goes and returns, an lr that is a tensor in one of them."""
    if not takes_capturable(name, record_property):
        return
    lr = torch.tensor(0.01, dtype=torch.float64)
    by_device, by_host = make(name, lr=lr, capturable=True, **options), make(name, **options)
    for step in range(6):
        lr.mul_(0.75)
        by_host.param_groups[0]["lr"] = lr.item()
        for optimizer in (by_device, by_host):
            params = params_of(optimizer)
            give_gradients(params, step)
            if step < 2:
                params[1].grad = None
            if step == 4:
                params[0].grad = None
            optimizer.step()
    if runs_kernels(name, options):
        assert "Triton for" in by_device.explain()
        assert_same_training(by_device, by_host, **CLOSE)
    else:
        assert_same_training(by_device, by_host, rtol=1e-5, atol=1e-6)


@pytest.mark.feature("modes", "capturable: the host reads no number of a step, and copies no table in a steady one")
@pytest.mark.parametrize("clip", [None, 0.5])
@every_form
@every_class
def test_the_host_reads_nothing(
    name: str,
    options: dict[str, bool],
    clip: float | None,
    on_cpu: None,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    if not takes_capturable(name, record_property):
        return
    optimizer = make(name, lr=torch.tensor(0.01), capturable=True, clip_grad_norm=clip, **options)
    give_gradients(params_of(optimizer), 0)
    optimizer.step()
    monkeypatch.setattr(DeviceTable, "_copy", _not_in_a_graph)
    for step in range(3):
        refill_gradients(params_of(optimizer), step)
        optimizer.param_groups[0]["lr"].mul_(0.5)
        with no_host_reads():
            optimizer.step()
    counters = [entry[s.name] for entry in states(optimizer) for s in optimizer.schema.states if s.kind == "counter"]
    assert all(counter == 4 for counter in counters)


@every_form
@pytest.mark.parametrize("name", ["AdamW", "NAdam", "ASGD", "Adadelta", "Prodigy", "DoG"])
def test_a_scaler_makes_nothing_wait(name: str, options: dict[str, bool], on_cpu: None) -> None:
    """found_inf is looked at where the numbers are, by the for-loop on tensors too."""
    skipping, plain = (make(name, capturable=True, **options) for _ in range(2))
    for step in range(6):
        for optimizer in (skipping, plain):
            give_gradients(params_of(optimizer), step)
        found = step in (0, 3)
        for param in params_of(skipping):
            param.grad.mul_(4.0)
        if found:
            params_of(skipping)[0].grad.fill_(float("nan"))
        grads = [param.grad.clone() for param in params_of(skipping)]
        skipping.grad_scale, skipping.found_inf = torch.tensor([4.0]), torch.tensor(float(found))
        before = picture(skipping)
        with no_host_reads():
            skipping.step()
        if step == 0:
            counted = [
                entry[s.name] for entry in states(skipping) for s in skipping.schema.states if s.kind == "counter"
            ]
            assert all(counter == 0 for counter in counted)
            assert all(group.get("k", 0) == 0 for group in skipping.param_groups)
        elif found:
            assert_unchanged(before, skipping)
        else:
            plain.step()
        for param, grad in zip(params_of(skipping), grads, strict=True):
            torch.testing.assert_close(param.grad, grad if found else grad / 4, rtol=0, atol=0, equal_nan=True)
    assert_same_training(skipping, plain)


@pytest.mark.parametrize("capturable", [False, True])
@pytest.mark.parametrize("name", ["AdamW", "SGD"])
def test_autograd_knows_what_kernels_wrote(name: str, capturable: bool, on_cpu: None) -> None:
    """Parameters, and gradients where a scaled step has written its quotients into them."""
    param = torch.nn.Parameter(torch.linspace(1, 2, 4))
    options = {"capturable": True} if capturable and "capturable" in ours(name)([param]).defaults else {}
    optimizer = ours(name)([param], fused=True, **options)
    for _ in range(2):
        grad = torch.ones(4, requires_grad=True)
        by_param, by_grad = param.square().sum(), grad.square().sum()
        param.grad = grad.detach()
        optimizer.grad_scale, optimizer.found_inf = torch.tensor(2.0), torch.tensor(0.0)
        optimizer.step()
        for loss in (by_param, by_grad):
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                loss.backward()


# Values that decide which kernel runs.


def test_a_weight_decay_that_is_a_tensor_is_read_when_it_was_written(on_cpu: None) -> None:
    decay = torch.tensor(0.1)
    by_tensor, by_number = make("AdamW", weight_decay=decay, capturable=True, fused=True), make("AdamW", fused=True)
    for step, value in enumerate((0.1, 0.1, 0.0, 0.0, 0.3, 0.3)):
        written = value != decay.item()
        if written:
            decay.fill_(value)
        for optimizer in (by_tensor, by_number):
            give_gradients(params_of(optimizer), step)
        for group in by_number.param_groups:
            group["weight_decay"] = torch.tensor(value).item()
        by_number.step()
        if step == 0 or written:
            by_tensor.step()
        else:
            with no_host_reads():
                by_tensor.step()
    assert_same_training(by_tensor, by_number, **CLOSE)


def test_an_lr_elsewhere_is_an_error_before_anything_is_written(on_cpu: None) -> None:
    optimizer = make("AdamW", capturable=True, fused=True)
    give_gradients(params_of(optimizer), 0)
    optimizer.step()
    optimizer.param_groups[1]["lr"] = torch.empty((), device="meta")
    before = [param.clone() for param in params_of(optimizer)]
    with pytest.raises(RuntimeError, match=r"^a hyperparameter is a tensor on meta, but parameters are on cpu$"):
        optimizer.step()
    for param, was in zip(params_of(optimizer), before, strict=True):
        assert torch.equal(param, was)
    assert all(entry["step"] == 1 for entry in states(optimizer))


# What falls back.


def test_what_kernels_cannot_take_runs_on_tensors(on_cpu: None) -> None:
    strided = torch.nn.Parameter(torch.ones(4, 4)[:, ::2])
    memory = torch.ones(6)
    overlapping = [torch.nn.Parameter(memory[:4]), torch.nn.Parameter(memory[2:4])]
    fine = torch.nn.Parameter(torch.ones(3))
    optimizer = thetac.AdamW([strided, *overlapping, fine], capturable=True, fused=True)
    for param in params_of(optimizer):
        param.grad = torch.ones_like(param)
    with no_host_reads():
        optimizer.step()
    text = optimizer.explain()
    assert "for-loop on tensors for 1 parameter of 8 elements (the parameter is not dense in memory" in text
    assert "for-loop on tensors for 2 parameters of 6 elements (shares memory with another tensor of this step)" in text
    assert "Triton for 1 parameter of 3 elements (fused=True, capturable=True keeps every number on the device)" in text


def test_who_asked_for_something_else_gets_the_for_loop(on_cpu: None) -> None:
    for options in ({"fused": False}, {"foreach": False}, {"foreach": True}, {}):
        optimizer = thetac.AdamW(parameters(SHAPES), capturable=True, **options)
        give_gradients(params_of(optimizer), 0)
        optimizer.step()
        assert "for-loop on tensors for 3 parameters" in optimizer.explain()


# Under capture.


@pytest.mark.feature("modes", "capturable: under capture gradients may lie elsewhere, and no table is copied")
@pytest.mark.parametrize("moved", [False, True])
@every_class
def test_a_captured_step(
    name: str, moved: bool, captured: Capture, record_property: Callable[[str, object], None]
) -> None:
    """Gradients that a captured backward makes lie in the graph's own memory."""
    if not takes_capturable(name, record_property):
        return
    optimizer, eager = make(name, capturable=True, fused=True), make(name, capturable=True, fused=True)
    for step in range(5):
        for one in (optimizer, eager):
            if step == 0 or moved:
                give_gradients(params_of(one), step)
            else:
                refill_gradients(params_of(one), step)
        if step in (1, 2, 4):
            captured(optimizer)
        else:
            optimizer.step()
        eager.step()
    assert_same_training(optimizer, eager)
    if runs_kernels(name, {"fused": True}):
        assert len([cause for cause in optimizer.explain().splitlines() if cause.startswith("plan made")]) == 1


def test_a_first_step_under_capture_runs_on_tensors(captured: Capture) -> None:
    optimizer, eager = (make("AdamW", capturable=True, fused=True) for _ in range(2))
    for step in range(2):
        for one in (optimizer, eager):
            give_gradients(params_of(one), step)
        if step == 0:
            captured(optimizer)
        else:
            optimizer.step()
        if step == 0:
            assert "for-loop on tensors for 2 parameters" in optimizer.explain()
            assert "kernels need a step outside of the graph first" in optimizer.explain()
        eager.step()
    assert "Triton for 2 parameters" in optimizer.explain()
    assert_same_training(optimizer, eager, rtol=1e-5, atol=1e-6)


def test_what_a_graph_reads_lives_as_long_as_the_optimizer(captured: Capture) -> None:
    optimizer = make("AdamW", capturable=True, fused=True)
    give_gradients(params_of(optimizer), 0)
    optimizer.step()
    captured(optimizer)
    assert optimizer._stepper is not None
    assert optimizer._stepper.plan is not None
    (work,) = optimizer._stepper.plan.executors
    tables = [weakref.ref(table) for table in (work._on_device._table, work._launcher._chunks)]  # type: ignore[attr-defined]
    contents = [table().clone() for table in tables]
    del work
    optimizer.add_param_group({"params": parameters([(4,)], seed=7)})
    for step in range(2):
        give_gradients(params_of(optimizer), step)
        optimizer.step()
    gc.collect()
    for table, was in zip(tables, contents, strict=True):
        assert torch.equal(table(), was)
    del optimizer
    gc.collect()
    assert not any(table() is not None for table in tables)


@pytest.mark.feature("modes", "capturable: on the CPU torch's own error, before anything is written")
@every_class
def test_capturable_on_the_cpu(name: str, record_property: Callable[[str, object], None]) -> None:
    """The devices that torch names after its words differ from one of its classes to the other."""
    if "capturable" not in ours(name)([torch.zeros(1)]).defaults:
        record_property("why not", "it has no such argument, as in torch")
        return
    for cls in both(name):
        params = parameters()
        optimizer = cls(params, capturable=True)
        give_gradients(params, 0)
        before = picture(optimizer)
        with pytest.raises(
            AssertionError, match=r"^If capturable=True, params.* must be on supported devices: \['cuda'"
        ):
            optimizer.step()
        if cls is ours(name):
            assert_unchanged(before, optimizer)
