"""Specs that use the corners of the language at once: every implementation computes what the interpreter says.

Two groups of which only one has the conditional states, a late gradient, a scheduler, and a checkpoint half way.
"""

from __future__ import annotations

import pytest
import torch

import thetac
from tests.support.generated_calls import call
from tests.support.runtime_helpers import run_kernels_of
from thetac.codegen.ir.interpret import FLOATS, interpret
from thetac.codegen.ir.nodes import Rule
from thetac.codegen.pipeline import Source, compile_specs

CORNERS = """
optimizer: Corners
summary: Conditional scalars, two counters, four weights, states named like functions and like variables of kernels.
hyperparameters:
  lr: {default: required, range: "(0, 10]", tensor: true}
  weights: {default: [0.5, 0.25, 0.2, 0.05], names: [w1, w2, w3, w4], range: "[0, 1]", doc: weights}
  adaptive: {default: false, doc: adapt}
  weight_decay: {default: 0.1, range: "[0, 1]"}
  max_lr: {default: 0.5, range: "(0, inf)"}
require:
  w1 >= w2: "w1 must be {at least} w2, 100% 'sure' \\"yes\\""
state:
  t: counter
  seen: {counter: true, device: parameter}
  scale: {scalar: true, init: lr, when: adaptive}
  shrink: {scalar: true, init: 1}
  sum: {init: zeros}
  start: {init: param}
  last: {init: grad}
  row: {init: zeros, when: adaptive}
weight_decay: fully_decoupled
update: |
  diff = grad - last      # naïve, ünïcode ✓
  last = grad
  sum = sum + w1 * grad + w2 * diff
  shrink = shrink * (1 - w3)
  rate = lr
  if adaptive:
    if t > 2:
      scale = scale * 0.5
      row = lerp(row, abs(sum), w4)
    elif t == 2:
      scale = maximum(scale, 0.25)
    else:
      row = abs(grad)
    rate = rate * scale
    sum = where(row > 0.5, sum / (row + 1), sum)
  pull = where(adaptive, start - param, grad)
  if t > 1:
    late = seen > 2
    if adaptive:          # a state that may not exist, under a branch that waits
      row = row * 0.75
  else:
    late = shrink < 0
  param = param - rate * clamp(sum, -1, 1) + where(late, shrink, 1) * 0.001 * pull + 0.0001 * sqrt(seen)
"""

BUFFERS = """
optimizer: ThreeBuffers
summary: Momentum at three speeds, averaged; weight decay that does not depend on lr.
hyperparameters:
  lr: {default: 0.1, range: "[0, inf)"}
  betas: {default: [0.0, 0.9, 0.99], names: [b0, b1, b2], range: "[0, 1)"}
  weight_decay: {default: 0.1, range: "[0, 1]"}
state:
  v0: {init: zeros}
  v1: {init: zeros}
  v2: {init: zeros}
weight_decay: absolute
complex: native
update: |
  v0 = b0 * v0 + grad
  v1 = b1 * v1 + grad
  v2 = b2 * v2 + grad
  param = param - lr / 3 * (v0 + v1 + v2)
"""

SECOND_GROUP: dict[str, dict[str, object]] = {"Corners": {"adaptive": True}, "ThreeBuffers": {"lr": 0.02}}
IMPLEMENTATIONS = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "C++": {"fused": True},
    "Triton": {"fused": True},
}


def _rule(text: str) -> Rule:
    (compiled,) = compile_specs([Source("<text>", text)])
    return compiled.rule


def _values(rule: Rule, group: dict[str, object]) -> dict[str, float | bool]:
    values: dict[str, float | bool] = {flag.name: bool(group[flag.name]) for flag in rule.flags}
    for h in rule.hyperparameters:
        given = group[h.name]
        values |= dict(zip(h.value_names, given if h.elements else (given,), strict=True))  # type: ignore[arg-type]
    return values


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("text", [CORNERS, BUFFERS], ids=["corners", "buffers"])
def test_every_implementation_agrees_with_the_interpreter(
    text: str, implementation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_kernels_of(implementation, monkeypatch)
    made, rule = thetac.load(text), _rule(text)
    options = {**IMPLEMENTATIONS[implementation], "lr": 0.25}
    generator = torch.Generator().manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(4, 3, generator=generator, dtype=torch.float64)) for _ in range(3)]

    def new() -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        groups = [{"params": params[:2]}, {"params": params[2:], **SECOND_GROUP[made.__name__]}]
        optimizer = made(groups, **options)
        return optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

    optimizer, scheduler = new()
    numbers = [param.detach().flatten().tolist() for param in params]
    states: list[list[dict[str, float]]] = [[{} for _ in column] for column in numbers]
    for count in range(6):
        for index, param in enumerate(params):
            drawn = torch.randn(4, 3, generator=generator, dtype=torch.float64)
            param.grad = None if index == 1 and count < 2 else drawn
        for index, param in enumerate(params):
            if param.grad is None:
                continue
            values = _values(rule, optimizer.param_groups[0 if index < 2 else 1])
            for element, grad in enumerate(param.grad.flatten().tolist()):
                done = interpret(rule, values, states[index][element], numbers[index][element], grad, arithmetic=FLOATS)
                numbers[index][element], states[index][element] = done.param, done.state
        optimizer.step()
        scheduler.step()
        if count == 3:  # half way, into a new optimizer
            saved, saved_schedule = optimizer.state_dict(), scheduler.state_dict()
            optimizer, scheduler = new()
            optimizer.load_state_dict(saved)
            scheduler.load_state_dict(saved_schedule)
    for param, expected in zip(params, numbers, strict=True):
        # Scalar states are float32 tensors: their own arithmetic rounds a little differently from one rounding.
        torch.testing.assert_close(
            param.detach().flatten(), torch.tensor(expected, dtype=torch.float64), rtol=1e-7, atol=1e-7
        )


@pytest.mark.parametrize("text", [CORNERS, BUFFERS], ids=["corners", "buffers"])
@pytest.mark.parametrize("capturable", [False, True])
def test_on_tensors_too(text: str, capturable: bool) -> None:
    """Called directly: no device here supports capturable."""
    made = thetac.load(text)
    forloop = __import__(f"{made.schema.package}.forloop", fromlist=["step"])
    results = []
    for function in (forloop.step, forloop.step_on_tensors):
        generator = torch.Generator().manual_seed(0)
        params = [torch.randn(5, generator=generator, dtype=torch.float64) for _ in range(2)]
        optimizer = made([torch.nn.Parameter(p) for p in params], **{**SECOND_GROUP[made.__name__], "lr": 0.25})
        group = optimizer.param_groups[0]
        keywords: dict[str, object] = {**_values(_rule(text), group), "maximize": False}
        starts = {"scale": 0.25, "shrink": 1.0}
        for state in made.schema.states:
            small = state.kind != "tensor"
            keywords[state.argument] = [
                torch.tensor(starts.get(state.name, 0.0), dtype=torch.float64) if small else torch.zeros_like(p)
                for p in params
            ]
        if function is forloop.step_on_tensors:
            keywords |= {"capturable": capturable, "differentiable": not capturable}
        for count in range(4):
            firsts = {state.first: [count == 0] * 2 for state in made.schema.states if state.first}
            grads = [torch.randn(5, generator=generator, dtype=torch.float64) for _ in params]
            call(function, params, grads, **keywords, **firsts)
        results.append(params)
    for plain, on_tensors in zip(*results, strict=True):
        torch.testing.assert_close(on_tensors, plain, rtol=1e-9, atol=1e-9)


def test_constructor_errors_are_the_authors_words() -> None:
    made = thetac.load(CORNERS)
    param = torch.nn.Parameter(torch.ones(2))
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'lr'"):
        made([param])  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"^w1 must be \{at least\} w2, 100% 'sure' \"yes\"$"):
        made([param], lr=0.3, weights=(0.1, 0.2, 0.1, 0.1))  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"^Invalid learning rate: nan$"):
        made([param], lr=float("nan"))  # type: ignore[call-arg]


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("style", ["l2", "decoupled", "fully_decoupled", "absolute"])
def test_a_step_with_lr_0_and_no_gradient_moves_nothing(style: str, implementation: str) -> None:
    """torch.distributed.checkpoint makes state that way."""
    text = f"""
optimizer: Still{style.title().replace("_", "")}
summary: Gradient descent with weight decay.
hyperparameters:
  lr: {{default: 0.1, range: "[0, inf)"}}
  weight_decay: {{default: 0.1, range: "[0, 1]"}}
{"  max_lr: {default: 1, range: '[0, inf)'}" if style == "fully_decoupled" else ""}
weight_decay: {style}
update: |
  param = param - lr * grad
"""
    param = torch.nn.Parameter(torch.randn(7))
    before = param.detach().clone()
    param.grad = torch.zeros(7)
    maxima = {"max_lr": 0.0} if style == "fully_decoupled" else {}
    thetac.load(text)([param], lr=0.0, **maxima, **IMPLEMENTATIONS[implementation]).step()  # type: ignore[call-arg]
    assert torch.equal(param.detach(), before)
