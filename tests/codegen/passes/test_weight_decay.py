"""Styles of weight decay beside torch's: every implementation against the formula of the paper or the authors' code.

The rates change and fall to 0 on the way, and the parameter has entries of both signs and a zero.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import thetac
from tests.support.step_helpers import IMPLEMENTATIONS, Options
from thetac.codegen.ir.interpret import FLOATS, interpret
from thetac.codegen.pipeline import Source, compile_specs
from thetac.runtime.optimizer import Optimizer

Array = NDArray[np.float64]

SPEC = """\
optimizer: Decays{name}
summary: Adam's first moment, stepped along in two parts, with a style of weight decay.
hyperparameters:
  lr:           {{default: 0.1, range: "[0, inf)", tensor: true}}
  beta:         {{default: 0.9, doc: "decay of the mean"}}
  weight_decay: {{default: 0.3, range: "[0, inf)"}}
  max_lr:       {{default: 0.2, range: "[0, inf)"}}
require:
  max_lr >= 0: max_lr is not negative
state:
  step:    counter
  average: {{init: zeros}}
weight_decay: {style}
update: |
  average = lerp(average, grad, 1 - beta)
  if step > 2:
    param = param - lr * average / max_lr
  scaled = 0.5 * grad
  param = param - lr * scaled
"""
RATES = (0.1, 0.2, 0.15, 0.05, 0.0, 0.02)

# How a step looks, from the parameter, the update, lr, weight_decay and max_lr.
FORMULAS: dict[str, Callable[[Array, Array, float, float, float], Array]] = {
    # timm, corrected_weight_decay (arXiv:2506.02285): param.mul_(1 - lr ** 2 / max_lr * weight_decay), then the step
    "corrected": lambda x, u, lr, decay, peak: x * (1 - lr**2 / peak * decay) - u,
    # arXiv:2510.12402: x - lr * (u + decay * [u * x >= 0] * x); the update here holds lr
    "cautious": lambda x, u, lr, decay, peak: x - u - lr * decay * (u * x >= 0) * x,
    # SOAP: the step, then p.add_(p, alpha=-lr * weight_decay)
    "decoupled_after": lambda x, u, lr, decay, peak: (x - u) - lr * decay * (x - u),
    # LaProp: the step, then p.add_(p, alpha=-weight_decay)
    "absolute_after": lambda x, u, lr, decay, peak: (x - u) - (decay if lr else 0) * (x - u),
}
STYLES = tuple(FORMULAS)


def text_of(style: str) -> str:
    name = style.title().replace("_", "") if style.isidentifier() else "ByCase"
    return SPEC.format(name=name, style=style)


def gradients() -> list[Array]:
    draw = np.random.default_rng(5)
    return [np.where(np.arange(700) % 9 == 4, 0.0, draw.standard_normal(700)) for _ in RATES]


def start() -> Array:
    return np.where(np.arange(700) % 7 == 3, 0.0, np.random.default_rng(4).standard_normal(700))


def expected(style: str) -> Array:
    param, average = start(), np.zeros(700)
    for step, (lr, grad) in enumerate(zip(RATES, gradients(), strict=True), 1):
        average = average + 0.1 * (grad - average)
        update = lr * 0.5 * grad + (lr * average / 0.2 if step > 2 else 0)
        param = FORMULAS[style](param, update, lr, 0.3, 0.2)
    return param


def trained(made: type[Optimizer], options: Options, dtype: torch.dtype = torch.float64) -> Array:
    param = torch.tensor(start(), dtype=dtype)
    if not options.get("differentiable"):
        param = torch.nn.Parameter(param)
    optimizer = made([param], **options)  # type: ignore[arg-type]
    for lr, grad in zip(RATES, gradients(), strict=True):
        optimizer.param_groups[0]["lr"] = lr
        param.grad = torch.tensor(grad, dtype=dtype)
        optimizer.step()
    return param.detach().double().numpy()


@pytest.mark.parametrize("options", [*IMPLEMENTATIONS.values(), {"differentiable": True}], ids=str)
@pytest.mark.parametrize("style", STYLES)
def test_every_implementation_is_the_formula(style: str, options: Options) -> None:
    got = trained(thetac.load(text_of(style)), options)
    np.testing.assert_allclose(got, expected(style), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("style", STYLES)
def test_kernels_in_float32(style: str) -> None:
    got = trained(thetac.load(text_of(style)), {"fused": True}, torch.float32)
    np.testing.assert_allclose(got, expected(style), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("style", STYLES)
def test_the_interpreter_is_the_formula(style: str) -> None:
    (compiled,) = compile_specs([Source("decays.yaml", text_of(style))])
    params, states = start().tolist(), [dict[str, float]() for _ in range(700)]
    for lr, grad in zip(RATES, gradients(), strict=True):
        for i in range(0, 700, 50):
            step = interpret(
                compiled.rule, {"lr": lr, "maximize": False}, states[i], params[i], grad[i], arithmetic=FLOATS
            )
            params[i], states[i] = step.param, step.state  # type: ignore[call-overload]
    np.testing.assert_allclose(params[::50], expected(style)[::50], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("style", STYLES)
def test_no_decay_is_no_decay(style: str) -> None:
    plain = thetac.load(text_of("none").replace("param - lr * scaled", "param - lr * scaled - 0 * weight_decay"))
    made = thetac.load(text_of(style))
    for options in IMPLEMENTATIONS.values():
        got = trained(lambda params, **rest: made(params, weight_decay=0.0, **rest), options)  # type: ignore[arg-type,call-arg]
        np.testing.assert_allclose(got, trained(plain, options), rtol=1e-14, atol=1e-15)


def test_the_cautious_decay_of_signs_that_underflow_together() -> None:
    """1e-30 * 1e-30 is 0 in float32, and both are positive."""
    text = text_of("cautious").replace("0.5 * grad", "-0.5 * grad")
    param = torch.nn.Parameter(torch.full((5,), 1e-30))
    param.grad = torch.full((5,), 1e-30)  # the update is negative: the parameter grows
    thetac.load(text)([param], lr=1e-3, fused=True).step()  # type: ignore[call-arg]
    assert param[0].item() == pytest.approx(1e-30 * (1 + 5e-4), rel=1e-6), "no decay"


def test_decay_with_a_case_for_each_place_of_a_step() -> None:
    cases = "{beta > 0.95: l2, beta > 0.9: cautious, beta == 0.9: absolute_after, else: decoupled}"
    made = thetac.load(text_of(cases))
    np.testing.assert_allclose(trained(made, {"foreach": False}), expected("absolute_after"), rtol=1e-13, atol=1e-14)
