"""Rules that reduce, drawn at random, as optimizers run them: every implementation against the interpreter."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from torch import Tensor

import thetac
from tests.references.elements import ELEMENTS
from tests.support.comparing import assert_same_training
from tests.support.every_optimizer import examples
from tests.support.reducing_specs import reducing_specs
from tests.support.runtime_helpers import run_kernels_of
from thetac.codegen.ir.interpret import interpret
from thetac.codegen.ir.nodes import Rule
from thetac.codegen.pipeline import Source, front_end, lower
from thetac.runtime.optimizer import Optimizer

MATRICES = ((3, 4), (3, 2, 2, 2), (2, 3, 4), (70, 9), (1, 5), (6, 1))
OTHERS = ((5,), (), (600,), (1,))
STEPS = 4
Values = Mapping[str, bool | str]


def gradient(shape: tuple[int, ...], step: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(100 + step), dtype=torch.float64).to(dtype)


def trained(text: str, shapes: tuple[tuple[int, ...], ...], dtype: torch.dtype, **arguments: bool | str) -> Optimizer:
    """The optimizer after some steps."""
    params = [torch.nn.Parameter(gradient(shape, -1, dtype)) for shape in shapes]
    optimizer: Optimizer = thetac.load(text)(params, **arguments)  # type: ignore[arg-type]
    for step in range(STEPS):
        for param in params:
            param.grad = gradient(tuple(param.shape), step, dtype)
        optimizer.step()
    return optimizer


def assert_as_defined(rule: Rule, values: Values, optimizer: Optimizer) -> None:
    """Parameters and states in float64 are what the interpreter computes from the same start."""
    for param in optimizer.param_groups[0]["params"]:
        shape = tuple(param.shape)
        truth, state = gradient(shape, -1, torch.float64).numpy(), {}
        for step in range(STEPS):
            grad = gradient(shape, step, torch.float64).numpy()
            done = interpret(rule, values, state, truth, grad, arithmetic=ELEMENTS, shape=shape, epsilon=2.0**-52)
            truth, state = done.param, dict(done.state)
        found = {"param": param.detach(), **optimizer.state[param]}
        assert found.keys() == {"param", *state}
        for name, value in {"param": truth, **state}.items():
            np.testing.assert_allclose(
                found[name].numpy(), value, rtol=1e-6, atol=1e-6, err_msg=f"{name} of {shape}, {values}"
            )


def check(text: str, implementation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a rule for parameters of every shape that it takes, for both values of its flag."""
    (written,) = front_end([Source("reducing.yaml", text)])
    rule, _ = lower(written)
    few = implementation == "Triton"
    shapes = MATRICES[: 2 if few else None] + (() if rule.requirements else OTHERS[: 2 if few else None])
    for flag, mode in ((False, "slow"), (True, "fast")):
        match implementation:
            case "for-loop":
                assert_as_defined(
                    rule,
                    {"flag": flag, "mode": mode},
                    trained(text, shapes, torch.float64, flag=flag, mode=mode, foreach=False),
                )
            case "foreach":
                for dtype in (torch.float32, torch.bfloat16):
                    listed, plain = (
                        trained(text, shapes, dtype, flag=flag, mode=mode, foreach=foreach) for foreach in (True, False)
                    )
                    assert_same_training(listed, plain)
            case _:
                run_kernels_of(implementation, monkeypatch)
                fused = trained(text, shapes, torch.float64, flag=flag, mode=mode, fused=True)
                assert f"{implementation} for {len(shapes)} parameters" in fused.explain()
                assert_as_defined(rule, {"flag": flag, "mode": mode}, fused)


CASES = {"for-loop": examples(30), "foreach": examples(30), "Triton": 4, "C++": 8}
FUSED = ("Triton", "C++")  # whose kernels take seconds to build, or to interpret


VECTORS_ONLY = """
optimizer: Reducing
summary: Adds up products of a row and a column, for which a sweep loads and stores no stream.
hyperparameters:
  lr: {default: 0.1}
  flag: {default: false, doc: a flag}
  mode: {default: slow, choices: [slow, fast], doc: a choice}
require:
  rank(param) > 1: "no matrix"
complex: unsupported
state:
  per_row: {init: lr, shape: rows}
  per_column: {init: zeros, shape: columns}
weight_decay: none
update: |
  r = mean(grad, axis=-1)
  c = mean(grad, axis=-2)
  if flag:
    r = tanh(max(r * c, axis=-1))
  if mode == "slow":
    c = tanh(dot(r * c, per_row + per_column, axis=-2))
  per_column = lerp(per_column, c, 0.5)
  param = param - lr * (per_row + r) * per_column / (1 + norm(r * c))
"""
LONG_NAMES = """
optimizer: Reducing
summary: Reduces columns to a name so long that the statements about it take several lines.
hyperparameters:
  lr: {default: 0.1}
  flag: {default: false, doc: a flag}
  mode: {default: slow, choices: [slow, fast], doc: a choice}
require:
  rank(param) > 1: "no matrix"
complex: unsupported
state:
  average_of_columns: {init: zeros, shape: columns}
weight_decay: none
update: |
  if flag or mode == "slow":
    norms_of_all_columns_of_grad_by_its_rows = norm(grad * mean(grad, axis=-1), axis=-2)
  else:
    norms_of_all_columns_of_grad_by_its_rows = 0 * average_of_columns
  average_of_columns = lerp(average_of_columns, norms_of_all_columns_of_grad_by_its_rows, 0.5)
  param = param - lr * average_of_columns * tanh(grad)
"""


@pytest.mark.parametrize("implementation", CASES)
@pytest.mark.parametrize("text", [VECTORS_ONLY, LONG_NAMES], ids=["a sweep that moves no stream", "long names"])
def test_what_was_wrong_once_is_right(text: str, implementation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check(text, implementation, monkeypatch)


@pytest.mark.usefixtures("quick_builds")
@pytest.mark.parametrize(
    "implementation", [pytest.param(one, marks=[pytest.mark.thorough] if one in FUSED else []) for one in CASES]
)
def test_any_gentle_rule_is_computed_as_the_interpreter_says(
    implementation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @settings(
        deadline=None,
        max_examples=CASES[implementation],
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate),
        database=None,
    )
    @given(reducing_specs(gentle=True))
    def on_any(text: str) -> None:
        check(text, implementation, monkeypatch)

    on_any()
