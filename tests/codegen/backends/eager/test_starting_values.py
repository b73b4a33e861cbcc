"""`init: param` and `init: grad`: where states start, in every implementation, against the interpreter."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

import thetac
from tests.support.runtime_helpers import run_kernels_of
from thetac.codegen.ir.interpret import FLOATS, exact, interpret
from thetac.codegen.ir.nodes import Rule
from thetac.codegen.pipeline import Source, compile_specs
from thetac.runtime.optimizer import Optimizer
from thetac.runtime.param_groups import checks

DECAYS = ("decoupled", "l2", "absolute")
RULE = """
optimizer: Anchored{name}
summary: Remembers where parameter and gradient started, and is drawn back there.
hyperparameters:
  lr: {{default: 0.25}}
  weight_decay: {{default: 0.5}}
  anchored: {{default: true, doc: keep the anchor}}
weight_decay: {decay}
{more}
state:
  start: {{init: param, when: anchored}}
  slope: {{init: grad}}
update: |
  pull = grad
  if anchored:
    pull = grad + 0.5 * (param - start)
  param = param - lr * (pull + 0.125 * slope)
"""
GRADS = (0.75, -0.5, 0.25)
START = 2.0
WAYS: Mapping[str, Mapping[str, bool]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "C++": {"fused": True},
    "Triton": {"fused": True},
    "capturable": {"capturable": True, "foreach": False},
    "capturable Triton": {"capturable": True, "fused": True},
    "differentiable": {"differentiable": True},
}


@pytest.fixture(params=WAYS)
def options(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, bool]:
    run_kernels_of("Triton" if "Triton" in request.param else "C++", monkeypatch)
    monkeypatch.setattr(checks, "_get_capturable_supported_devices", lambda: ["cpu"])
    return WAYS[request.param]


def text(decay: str, more: str = "") -> str:
    return RULE.format(name=decay.title(), decay=decay, more=more)


def rule_of(spec: str) -> Rule:
    (one,) = compile_specs([Source("<text>", spec)])
    return one.rule


def train(cls: type[Optimizer], options: Mapping[str, bool], start: Tensor, grads: list[Tensor | None]) -> Optimizer:
    """Steps with the gradients given; None: a step without one."""
    param = start.clone() if options.get("differentiable") else torch.nn.Parameter(start.clone())
    optimizer = cls([param], **options)
    for grad in grads:
        param.grad = grad
        optimizer.step()
    return optimizer


def held(optimizer: Optimizer) -> tuple[float, float, float]:
    """Parameter and both states of one whose elements are all equal."""
    (param,) = optimizer.param_groups[0]["params"]
    found = [tensor.detach() for tensor in (param, *optimizer.state[param].values())]
    assert all((tensor == tensor.flatten()[0]).all() for tensor in found)
    param, start, slope = (float(tensor.flatten()[0]) for tensor in found)
    return param, start, slope


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("decay", DECAYS)
def test_the_parameter_before_the_step_and_the_gradient_as_the_rule_sees_it(
    decay: str, maximize: bool, options: Mapping[str, bool]
) -> None:
    """All numbers here are exact in float32, so that every implementation has the interpreter's."""
    rule = rule_of(text(decay))
    state: Mapping[str, float] = {}
    expected = START
    for grad in GRADS:
        done = interpret(rule, {"maximize": maximize}, state, expected, grad, arithmetic=FLOATS, store=exact)
        expected, state = done.param, done.state
    slope = (-GRADS[0] if maximize else GRADS[0]) + (0.5 * START if decay == "l2" else 0.0)
    assert state == {"start": START, "slope": slope}
    grads = [torch.full((3, 2), grad) for grad in GRADS]
    optimizer = train(thetac.load(text(decay)), {**options, "maximize": maximize}, torch.full((3, 2), START), grads)
    assert held(optimizer) == (expected, START, slope)


def test_a_late_gradient_finds_the_parameter_as_it_is_then(options: Mapping[str, bool]) -> None:
    """torch makes state in the first step in which there is a gradient."""
    cls = thetac.load(text("decoupled"))
    late = train(cls, options, torch.full((3,), START), [None, None])
    (param,) = late.param_groups[0]["params"]
    assert param not in late.state
    with torch.no_grad():
        param.fill_(4.0)
    param.grad = torch.full((3,), 0.75)
    late.step()
    assert held(late)[1:] == (4.0, 0.75)


def test_clipping_leaves_the_parameter_out(options: Mapping[str, bool]) -> None:
    clipped = {**options, "clip_grad_norm": 0.5}
    optimizer = train(thetac.load(text("decoupled")), clipped, torch.full((4,), START), [torch.full((4,), 0.5)])
    assert held(optimizer)[1:] == pytest.approx((START, 0.25))


@pytest.mark.parametrize("found", ["C++", "Triton", "foreach"])
def test_a_skipped_first_step_makes_no_wrong_start(found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step that comes after it starts from the parameter, which the skipped one has left alone."""
    run_kernels_of("Triton" if found == "Triton" else "C++", monkeypatch)
    param = torch.nn.Parameter(torch.full((4,), START))
    options = {"foreach": True} if found == "foreach" else {"fused": True}
    optimizer = thetac.load(text("decoupled"))([param], **options)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for grad in (torch.inf, 0.5):
        scaler.scale(param.sum()).backward()
        param.grad.fill_(4.0 * grad)
        scaler.step(optimizer)
        scaler.update(4.0)
        optimizer.zero_grad()
    assert held(optimizer)[1:] == (START, 0.5)


def test_states_made_at_construction_start_from_the_parameter_of_then() -> None:
    spec = text("decoupled", "state_created: construction").replace("slope: {init: grad}", "slope: {init: zeros}")
    spec = spec.replace("  param = param", "  slope = slope + grad\n  param = param").replace("Anchored", "AtOnce")
    param = torch.nn.Parameter(torch.full((4,), START))
    optimizer = thetac.load(spec)([param])
    assert held(optimizer) == (START, START, 0.0)
    assert optimizer.state[param]["start"].data_ptr() != param.data_ptr()


def test_rows_that_a_sparse_gradient_does_not_have_start_from_the_parameter_too() -> None:
    spec = text("decoupled", "sparse: rows").replace("Anchored", "ByRows")
    param = torch.nn.Parameter(torch.full((4, 2), START))
    optimizer = thetac.load(spec)([param], weight_decay=0.0)
    param.grad = torch.sparse_coo_tensor([[1, 3]], torch.full((2, 2), 0.5), (4, 2))
    optimizer.step()
    assert torch.equal(optimizer.state[param]["start"], torch.full((4, 2), START))
    assert torch.equal(optimizer.state[param]["slope"], torch.tensor([[0.0], [0.5], [0.0], [0.5]]).expand(4, 2))


@pytest.mark.parametrize("mode", ["pairs", "pairs_before_decay"])
def test_a_complex_parameter_is_copied_whole(mode: str, options: Mapping[str, bool]) -> None:
    spec = text("decoupled", f"complex: {mode}").replace("Anchored", mode.title().replace("_", ""))
    start = torch.tensor([1.0 + 2.0j, -3.0 + 0.5j])
    optimizer = train(thetac.load(spec), options, start, [torch.tensor([0.5 - 1.0j, 0.25j])])
    (param,) = optimizer.param_groups[0]["params"]
    assert torch.equal(optimizer.state[param]["start"], start)


def test_strides_are_the_parameter_s_and_the_memory_is_not(options: Mapping[str, bool]) -> None:
    start = torch.arange(6.0).reshape(2, 3).t()
    optimizer = train(thetac.load(text("decoupled")), options, start, [torch.zeros(2, 3).t()])
    (param,) = optimizer.param_groups[0]["params"]
    copy = optimizer.state[param]["start"]
    assert torch.equal(copy, start)
    assert copy.stride() == param.stride()
    assert copy.data_ptr() != param.data_ptr()
    assert not copy.requires_grad or options.get("differentiable")


def test_gradients_flow_into_the_start_of_a_differentiable_step() -> None:
    """The derivative of `decayed - lr * 0.5 * (decayed - start)`, in which `start` is the parameter too."""
    before = torch.full((2,), START, dtype=torch.float64, requires_grad=True)
    param = before.clone()
    param.grad = torch.zeros(2, dtype=torch.float64)
    optimizer = thetac.load(text("decoupled"))([param], differentiable=True)
    optimizer.step()
    decayed = 1 - 0.25 * 0.5
    (by_param,) = torch.autograd.grad(param.sum(), before)
    expected = decayed - 0.25 * 0.5 * (decayed - 1)
    torch.testing.assert_close(by_param, torch.full_like(by_param, expected), rtol=0, atol=1e-15)


def test_no_implementation_asks_whether_the_copy_is_new() -> None:
    schema = thetac.load(text("decoupled")).schema
    assert [(state.name, state.first, state.copies_param) for state in schema.states] == [
        ("start", "", True),
        ("slope", "first_slope", False),
    ]
