"""Every optimizer that torch does not have means, and computes, what its paper and its authors' code say.

The interpreter and each implementation run beside the hand-written references of tests/references/algorithms.py.
Gradients are fixed beforehand: a reference in another order of operations then stays close for any number of steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from references.algorithms import REFERENCES, Memory
from references.elements import ELEMENTS
from references.rules import rules

import thetac
from thetac.codegen.ir.interpret import exact, interpret

Array = NDArray[np.float64]
Settings = dict[str, float | bool | tuple[float, ...]]

# What to try beside the defaults: every flag, numbers that change the path taken, several at once.
GRID: Mapping[str, Mapping[str, Sequence[float | bool | tuple[float, ...]]]] = {
    "Lion": {"betas": [(0.9, 0.99), (0.5, 0.0)]},
    "Signum": {"momentum": [0.9, 0.0], "decoupled_weight_decay": [False, True]},
    "Adan": {"no_prox": [False, True], "betas": [(0.98, 0.92, 0.99), (0.0, 0.0, 0.0)]},
    "AdaBelief": {
        "amsgrad": [False, True],
        "weight_decouple": [False, True],
        "fixed_decay": [False, True],
        "rectify": [False, True],
        "degenerated_to_sgd": [False, True],
        "eps": [1e-16, 1e-3],
    },
    "Yogi": {"initial_accumulator_value": [1e-6, 1.0], "eps": [1e-3, 0.1]},
    "AdEMAMix": {
        "betas": [(0.9, 0.999, 0.9999), (0.0, 0.99, 0.999)],
        "alpha_warmup": [0.0, 10.0],
        "beta3_warmup": [0.0, 20.0],
        "alpha": [2.0, 8.0],
    },
    "ADOPT": {"decouple": [False, True], "clip": [False, True], "clip_exponent": [0.25, 0.0], "eps": [1e-6, 0.5]},
    "QHAdam": {"decouple_weight_decay": [False, True], "nus": [(1.0, 1.0), (0.7, 1.0), (0.8, 0.6)]},
    "GradientDescent": {},
    "MomentumSGD": {"mu": [0.9, 0.0]},
    "NesterovSGD": {"mu": [0.9, 0.0]},
    "TextbookAdagrad": {"eps": [1e-8, 0.1]},
    "TextbookRMSprop": {"decay_rate": [0.99, 0.0]},
    "AdamNoBiasCorrection": {"beta1": [0.9, 0.0], "beta2": [0.999, 0.5]},
}
STEPS = 40


def settings_of(name: str) -> Iterator[Settings]:
    """The defaults, then every combination of the grid, with and without weight decay and with another lr."""
    yield {}
    grid = dict(GRID[name]) | {"lr": [0.03]}
    if "weight_decay" in {h.name for h in rules()[name].hyperparameters}:
        grid["weight_decay"] = [0.0, 0.1]
    for combination in itertools.product(*grid.values()):
        yield dict(zip(grid, combination, strict=True))


def problem(steps: int = STEPS, size: int = 17) -> tuple[Array, list[Array]]:
    """A point and gradients of many sizes, some elements zero at first, some always."""
    generator = np.random.default_rng(20)
    scale = 10.0 ** generator.uniform(-4, 2, size)
    gradients = [scale * generator.standard_normal(size) for _ in range(steps)]
    for gradient in gradients:
        gradient[0] = 0.0
    gradients[0][1] = gradients[1][1] = gradients[0][2] = 0.0
    return generator.standard_normal(size), gradients


def expected(name: str, settings: Settings) -> tuple[Array, Memory]:
    x, gradients = problem()
    with np.errstate(all="ignore"):
        return REFERENCES[name](x.copy(), [gradient.copy() for gradient in gradients], **settings)


def values_of(name: str, settings: Settings) -> dict[str, float | bool]:
    """The settings under the names that the update text uses."""
    values: dict[str, float | bool] = {}
    elements = {h.name: h.value_names for h in rules()[name].hyperparameters}
    for key, value in settings.items():
        values |= zip(elements[key], value, strict=True) if isinstance(value, tuple) else {key: value}.items()
    return values


def assert_close(actual: Mapping[str, Array | float], wanted: Mapping[str, Array | float], message: str) -> None:
    for name, value in wanted.items():
        np.testing.assert_allclose(actual[name], value, rtol=1e-9, atol=1e-13, err_msg=f"{message}: {name}")


def test_every_optimizer_is_checked_against_torch_or_a_reference() -> None:
    without = {name for name in rules() if name not in REFERENCES and not hasattr(torch.optim, name)}
    assert not without, f"write a reference in tests/references/algorithms.py for {sorted(without)}"
    assert REFERENCES.keys() == GRID.keys()


@pytest.mark.parametrize("name", REFERENCES)
def test_the_interpreter_agrees_with_the_reference(name: str) -> None:
    for settings in settings_of(name):
        x, gradients = problem()
        state: Mapping[str, Array | float] = {}
        for gradient in gradients:
            with np.errstate(all="ignore"):
                step = interpret(
                    rules()[name], values_of(name, settings), state, x, gradient, arithmetic=ELEMENTS, store=exact
                )
            x, state = step.param, step.state
        point, memory = expected(name, settings)
        assert_close({"param": x, **state}, {"param": point, **memory}, f"{name} with {settings}")
        assert state.keys() - {"step"} == memory.keys(), f"{name} with {settings} keeps other states"


@pytest.fixture
def double_precision_scalars() -> Iterator[None]:
    """Scalar states have torch's default dtype: in float64 they round as the references do."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.usefixtures("double_precision_scalars")
@pytest.mark.parametrize("foreach", [False, True], ids=["for-loop", "foreach"])
@pytest.mark.parametrize("name", REFERENCES)
def test_the_implementation_agrees_with_the_reference(name: str, foreach: bool) -> None:
    for settings in settings_of(name):
        x, gradients = problem()
        parameters = [torch.from_numpy(x.copy()), torch.from_numpy(x[3:5].copy())]
        optimizer = getattr(thetac, name)(parameters, foreach=foreach, **settings)
        for gradient in gradients:
            parameters[0].grad, parameters[1].grad = torch.from_numpy(gradient), torch.from_numpy(gradient[3:5])
            optimizer.step()
        point, memory = expected(name, settings)
        for parameter, part in zip(parameters, (slice(None), slice(3, 5)), strict=True):
            wanted = {"param": point, **memory}
            wanted = {key: value[part] if isinstance(value, np.ndarray) else value for key, value in wanted.items()}
            actual = {"param": parameter.numpy()}
            actual |= {key: value.numpy() for key, value in optimizer.state[parameter].items()}
            assert_close(actual, wanted, f"{name} with {settings}")
