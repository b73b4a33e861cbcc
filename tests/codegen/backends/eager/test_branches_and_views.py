"""Branches on numbers within each other, and complex parameters beside pairs of everything else."""

from __future__ import annotations

import importlib

import pytest
import torch

import thetac
from tests.support.generated_calls import call
from tests.support.runtime_helpers import run_kernels_of
from thetac.codegen.ir.interpret import FLOATS, exact, interpret
from thetac.codegen.pipeline import Compiled, Source, compile_specs

NESTED = """
optimizer: Nested
summary: Branches on numbers that they change, within each other, with locals that only they set.
hyperparameters:
  lr: {default: 0.1}
  late: {default: false, doc: late}
state:
  step: counter
  m: {init: zeros}
update: |
  q = lr * step
  m = m + grad
  if q > 0.15:
    q = q * 0.1
    m = m * 0.5
  else:
    q = q + 0.2
  if not (q > 0.025):
    q = 0.3
    r = m + 1
  elif q > 0.29:
    if late:
      r = m
      q = 0.1
    else:
      r = grad
    if step < 2:
      q = q + 1
      r = r * q
  else:
    r = m * 2
    if step == 4:
      r = r - m
      q = -q
  param = param - q * r
"""


def compiled(text: str) -> Compiled:
    (one,) = compile_specs([Source("<text>", text)])
    return one


@pytest.mark.parametrize("how", ["plain", "capturable", "differentiable"])
@pytest.mark.parametrize("late", [False, True])
def test_branches_on_numbers_within_each_other(how: str, late: bool) -> None:
    rule = compiled(NESTED).rule
    forloop = importlib.import_module(f"{thetac.load(NESTED).schema.package}.forloop")
    param, m, step = (torch.tensor(number, dtype=torch.float64) for number in (1.0, 0.0, 0.0))
    expected, state = 1.0, dict[str, float]()
    for grad in (0.7, -0.4, 0.9, 0.3, -0.8):
        done = interpret(rule, {"late": late}, state, expected, grad, arithmetic=FLOATS, store=exact)
        expected, state = done.param, done.state
        keywords = {"steps": [step], "ms": [m], "lr": 0.1, "late": late, "maximize": False}
        grads = [torch.tensor(grad, dtype=torch.float64)]
        if how == "plain":
            call(forloop.step, [param], grads, **keywords)
        else:
            options = {"capturable": how == "capturable", "differentiable": how == "differentiable"}
            call(forloop.step_on_tensors, [param], grads, **keywords, **options)
        assert (param.item(), m.item()) == pytest.approx((expected, state["m"]), rel=1e-12), f"step {step.item()}"


def test_text_grows_with_the_depth_of_branches_and_does_not_double() -> None:
    sizes = []
    for depth in (5, 10):
        lines = [f"{'  ' * (i + 1)}if step > {i}:\n{'  ' * (i + 2)}m = m + {i} * grad\n" for i in range(depth)]
        text = (
            "optimizer: Deep\nsummary: Deep.\nhyperparameters:\n  lr: {default: 0.1}\nstate:\n  step: counter\n"
            f"  m: {{init: zeros}}\nupdate: |\n{''.join(lines)}  param = param - lr * m\n"
        )
        sizes.append(len(compiled(text).files["forloop.py"]))
    assert sizes[1] < 3 * sizes[0]


COMPLEX = """
optimizer: ComplexParam
summary: The parameter complex, everything else pairs, and read again after the parameter was written.
hyperparameters:
  lr: {default: 0.1, range: "[0, inf)"}
  weight_decay: {default: 0.1}
state:
  step: counter
  v: {init: zeros}
weight_decay: l2
complex: pairs_except_param
update: |
  v = 0.9 * v + grad * abs(grad)
  d = v
  if step > 2:
    param = param - lr * v + 0.01 * grad
  else:
    param = 0.9 * param - lr * d
  v = v + 0.1 * d * d
  d = grad * grad + v
  param = param - lr * d
"""
STATELESS = """
optimizer: Stateless
summary: Nothing but the gradient becomes pairs.
hyperparameters:
  lr: {default: 0.1}
complex: pairs_except_param
update: |
  d = sign(grad)
  param = param - lr * d
"""


IMPLEMENTATIONS = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "C++": {"fused": True},
    "Triton": {"fused": True},
}


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("text", [COMPLEX, STATELESS], ids=["read again", "stateless"])
def test_a_complex_parameter_beside_pairs(text: str, implementation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_kernels_of(implementation, monkeypatch)
    rule = compiled(text).rule
    generator = torch.Generator().manual_seed(0)
    param = torch.nn.Parameter(torch.randn(3, dtype=torch.complex128, generator=generator))
    optimizer = thetac.load(text)([param], **IMPLEMENTATIONS[implementation])  # type: ignore[call-arg]
    numbers = torch.view_as_real(param.detach()).flatten().tolist()
    states: list[dict[str, float]] = [{} for _ in numbers]
    for _ in range(4):
        param.grad = torch.randn(3, dtype=torch.complex128, generator=generator)
        for index, grad in enumerate(torch.view_as_real(param.grad).flatten().tolist()):
            done = interpret(rule, {}, states[index], numbers[index], grad, arithmetic=FLOATS)
            numbers[index], states[index] = done.param, done.state
        optimizer.step()
    assert torch.view_as_real(param.detach()).flatten().tolist() == pytest.approx(numbers, rel=1e-12)
