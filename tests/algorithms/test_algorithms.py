"""Every optimizer that torch does not have means, and computes, what its paper and its authors' code say.

The interpreter and each implementation run beside references: those written by hand in tests/references/algorithms/,
or the authors' own packages. States are compared too.
Gradients are fixed beforehand: a reference in another order of operations then stays close for any number of steps.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import thetac
from tests.oracles.compare import double_precision
from tests.oracles.oracles import ORACLES
from tests.references.algorithms.forms import Memory
from tests.references.elements import ELEMENTS
from tests.references.rules import rules
from tests.references.settings import GRID, settings_of, values_of
from tests.references.torch_inputs import IN_TORCH, Settings, Value
from tests.support.every_optimizer import everything
from tests.support.runtime_helpers import run_kernels_of
from thetac.codegen.ir.interpret import exact, interpret
from thetac.codegen.passes.pieces import rule_of
from thetac.runtime.stepping.requirements import triton_interprets

Array = NDArray[np.float64]

STEPS = 40
OTHERS = tuple(name for name in ORACLES if name not in IN_TORCH)  # that torch does not have
# References know one parameter. Those whose parameters share numbers are compared as a whole in tests/oracles/.
ALONE = tuple(name for name in OTHERS if not getattr(thetac, name).schema.waits)


def problem(steps: int = STEPS, size: int = 17) -> tuple[Array, list[Array]]:
    """A point and gradients of many sizes, some elements zero at first, some always."""
    generator = np.random.default_rng(20)
    scale = 10.0 ** generator.uniform(-4, 2, size)
    gradients = [scale * generator.standard_normal(size) for _ in range(steps)]
    for gradient in gradients:
        gradient[0] = 0.0
    gradients[0][1] = gradients[1][1] = gradients[0][2] = 0.0
    return generator.standard_normal(size), gradients


def expected(name: str, settings: Settings, part: slice = slice(None)) -> tuple[Array, Memory]:
    """What an oracle makes of a part of the problem: one by hand if there is one, since it has all states."""
    return _expected(name, tuple(settings.items()), part.start, part.stop)


@cache
def _expected(
    name: str, settings: tuple[tuple[str, Value], ...], start: int | None, stop: int | None
) -> tuple[Array, Memory]:
    x, gradients = problem()
    part = slice(start, stop)
    with np.errstate(all="ignore"):
        return ORACLES[name][-1].reference(
            x[part].copy(), [gradient[part].copy() for gradient in gradients], **dict(settings)
        )


def assert_close(actual: Mapping[str, Array | float], wanted: Mapping[str, Array | float], message: str) -> None:
    for name, value in wanted.items():
        np.testing.assert_allclose(actual[name], value, rtol=1e-9, atol=1e-13, err_msg=f"{message}: {name}")


def test_the_grid_names_optimizers_that_there_are() -> None:
    assert GRID.keys() == set(OTHERS), "give every optimizer that torch does not have a row in GRID, if an empty one"


@pytest.mark.parametrize("name", ALONE)
def test_the_interpreter_agrees_with_the_reference(name: str) -> None:
    rule = rules()[name]
    estimates = [rule_of(rule, piece) for piece in rule.pieces if piece.name == "estimate" and rule.driver]
    for settings in settings_of(name):
        x, gradients = problem()
        state: Mapping[str, Array | float] = {}
        every = settings.get("update_each", getattr(thetac, name)([torch.ones(1)]).defaults.get("update_each"))
        for number, gradient in enumerate(gradients):
            for estimate in (one for one in estimates if number % int(every) == 0):  # type: ignore[call-overload]
                done = interpret(
                    estimate, values_of(name, settings), state, x, gradient, arithmetic=ELEMENTS, store=exact
                )
                state = {**state, **done.state}
            with np.errstate(all="ignore"):
                step = interpret(rule, values_of(name, settings), state, x, gradient, arithmetic=ELEMENTS, store=exact)
            x, state = step.param, step.state
        point, memory = expected(name, settings)
        assert_close({"param": x, **state}, {"param": point, **memory}, f"{name} with {settings}")
        assert state.keys() - {"step"} == memory.keys(), f"{name} with {settings} keeps other states"


@pytest.fixture
def double_precision_scalars() -> Iterator[None]:
    with double_precision():
        yield


IMPLEMENTATIONS: dict[str, Settings] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "C++": {"fused": True},
    "Triton": {"fused": True},
}


@pytest.mark.usefixtures("double_precision_scalars")
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("name", ALONE)
def test_the_implementation_agrees_with_the_reference(
    name: str, implementation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = list(settings_of(name))
    if implementation == "Triton" and triton_interprets():
        run_kernels_of(implementation, monkeypatch)
    # foreach has the bits of the for-loop (test_foreach_parity.py); kernels are held to the definition in every
    # combination of flags (test_cpp_numerics.py, test_triton_numerics.py), and Triton's interpreter takes its time.
    tried = {"for-loop": len(cases), "Triton": 2 if everything() else 1}.get(implementation, 8 if everything() else 4)
    cases = cases[:1] + random.Random(name).sample(cases[1:], min(tried, len(cases) - 1))
    device = "cuda" if implementation == "Triton" and not triton_interprets() else "cpu"
    for settings in cases:
        x, gradients = problem()
        parameters = [torch.tensor(part, device=device) for part in (x, x[3:5])]
        optimizer = getattr(thetac, name)(parameters, **IMPLEMENTATIONS[implementation], **settings)
        for gradient in gradients:
            parameters[0].grad = torch.tensor(gradient, device=device)
            parameters[1].grad = torch.tensor(gradient[3:5], device=device)
            optimizer.step()
        for parameter, part in zip(parameters, (slice(None), slice(3, 5)), strict=True):
            point, memory = expected(name, settings, part)
            wanted = {"param": point, **memory}
            actual = {"param": parameter.cpu().numpy()}
            actual |= {key: value.cpu().numpy() for key, value in optimizer.state[parameter].items()}
            assert_close(actual, wanted, f"{name} with {settings}")


@pytest.mark.parametrize("init_lr", [None, 2e-3])
def test_no_schedule_of_lr_changes_the_warmup_of_apollo(init_lr: float | None) -> None:
    """The authors' rates there lie between init_lr and base_lr, which are set once."""
    settings: Settings = {"warmup": float(STEPS), "init_lr": init_lr}
    x, gradients = problem()
    parameter = torch.tensor(x)
    optimizer = thetac.ApolloMa([parameter], **settings)
    for step, gradient in enumerate(gradients, 1):
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        optimizer.param_groups[0]["lr"] = 0.1 / step
    assert_close({"x": parameter.numpy()}, {"x": expected("ApolloMa", settings)[0]}, "after the warmup")
