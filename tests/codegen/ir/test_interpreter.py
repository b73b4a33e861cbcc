"""The interpreter is IEEE arithmetic, does what docs/language.md says of states and branches, and agrees with torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch

from tests.references.elements import ELEMENTS, Array
from tests.references.rules import rules
from tests.references.settings import settings_of, values_of
from tests.references.torch_inputs import IN_TORCH
from tests.support.every_optimizer import torchs
from thetac.codegen.ir.interpret import FLOATS, Step, defaults, exact, interpret, to_float32
from thetac.codegen.ir.nodes import Rule
from thetac.codegen.ir.ops import NUMBER_BY_NUMBER, OPS, REDUCTIONS, Shape
from thetac.codegen.passes import features
from thetac.codegen.pipeline import Source, front_end

NUMBERS = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    2.0,
    -3.0,
    2.5,
    math.inf,
    -math.inf,
    math.nan,
    5e-324,
    1.7e308,
    -1e-310,
    1e5,
)


def rule(text: str) -> Rule:
    """A rule from the part of a spec that matters to a test."""
    hyperparameters = "" if "hyperparameters" in text else "hyperparameters: {scale: {default: 1, doc: factor}}\n"
    use = "" if "hyperparameters" in text else "\n  param = scale * param"
    (written,) = front_end([Source("test.yaml", f"optimizer: Test\nsummary: A test.\n{hyperparameters}{text}{use}")])
    return features.apply(written)


def run(
    spec: Rule, param: float, grads: list[float], state: Mapping[str, float] | None = None, **values: float | bool
) -> Step[float]:
    step = Step(param, dict(state or {}))
    for grad in grads:
        step = interpret(spec, values, step.state, step.param, grad, arithmetic=FLOATS)
    return step


def test_every_op_has_a_meaning() -> None:
    expected = {name for name, op in OPS.items() if op.shape in NUMBER_BY_NUMBER}
    assert FLOATS.operations.keys() == expected
    assert ELEMENTS.operations.keys() == {name for name in expected if not OPS[name].host_only}


@pytest.mark.parametrize("name", [op.name for op in REDUCTIONS])
@pytest.mark.parametrize("axis", [None, -1, -2])
def test_reductions_are_those_of_numpy(name: str, axis: int | None) -> None:
    of_numpy = np.linalg.norm if name == "norm" else getattr(np, name)
    values = np.random.default_rng(0).normal(size=(3, 4, 5))
    keeps = {} if axis is None else {"keepdims": True}
    expected = of_numpy(values.ravel() if axis is None else values, axis=axis, **keeps)
    np.testing.assert_allclose(ELEMENTS.reduce(name, values, axis), expected, rtol=1e-15)
    with_nan = values.copy()
    with_nan[1, 2, 3] = np.nan
    assert np.isnan(ELEMENTS.reduce(name, with_nan, None))


def test_reductions_of_nothing_and_of_infinities() -> None:
    nothing: dict[str, float] = {"sum": 0.0, "norm": 0.0, "mean": math.nan, "max": -math.inf, "min": math.inf}
    assert {op.name for op in REDUCTIONS} == nothing.keys()
    for name, expected in nothing.items():
        np.testing.assert_equal(ELEMENTS.reduce(name, np.zeros((0, 3)), None), expected)
    assert ELEMENTS.reduce("sum", np.array([1e308, 1e308, -1e308]), None) == 1e308
    assert ELEMENTS.reduce("sum", np.array([1e308, 1e308]), None) == math.inf
    assert ELEMENTS.reduce("sum", np.array([-math.inf, 1.0]), None) == -math.inf
    assert math.isnan(ELEMENTS.reduce("sum", np.array([-math.inf, math.inf]), None))
    assert ELEMENTS.reduce("sum", np.array([1e16, 1.0, -1e16]), None) == 1.0  # rounded once


TRANSCENDENTAL = {"pow", "exp", "log", "tanh", "cbrt", "atan2", "cos"}  # whose last bit libraries disagree on


@pytest.mark.parametrize("op", sorted(FLOATS.operations.keys() - {"where"}))
def test_numbers_of_the_host_are_ieee(op: str) -> None:
    """Against numpy's float64, for every combination of special values; NaNs equal, zeros told apart by their sign."""
    arity = OPS[op].arity
    if OPS[op].shape is Shape.LOGIC:
        candidates: tuple[float, ...] = (True, False)
    else:
        candidates = NUMBERS
    of_elements = {**ELEMENTS.operations, "pow": np.float_power}  # `**` takes a root for 0.5
    numpy_operation = of_elements[op] if op in of_elements else getattr(np, OPS[op].sample or op)
    for arguments in itertools.product(candidates, repeat=arity):
        with np.errstate(all="ignore"):
            wanted = float(numpy_operation(*map(np.asarray, arguments)))
        got = float(FLOATS.operations[op](*arguments))
        if op in ("maximum", "minimum", "clamp"):  # which of two zeros is larger is not defined
            wanted, got = wanted + 0.0, got + 0.0
        same_sign = math.isnan(wanted) or math.copysign(1, wanted) == math.copysign(1, got)
        same_value = got == pytest.approx(wanted, rel=1e-15 if op in TRANSCENDENTAL else 0, abs=0, nan_ok=True)
        message = f"{op}{arguments} is {got}, IEEE says {wanted}"
        assert same_value, message
        assert same_sign, message


def test_exponential_and_logarithm_do_not_raise() -> None:
    with np.errstate(all="ignore"):
        for number in NUMBERS:
            np.testing.assert_allclose(FLOATS.operations["exp"](number), np.exp(number), rtol=1e-15)
            np.testing.assert_allclose(FLOATS.operations["log"](number), np.log(number), rtol=1e-15)


def test_where_takes_one_of_two_numbers() -> None:
    assert FLOATS.operations["where"](True, 1.0, math.nan) == 1.0
    assert FLOATS.operations["where"](False, math.inf, 2.0) == 2.0


def test_a_stored_scalar_is_rounded_to_float32() -> None:
    for number in (0.1, -1e-40, 1e300, -1e300, 3.4028236e38, math.inf, math.nan, -0.0):
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(to_float32(number), float(np.float32(number)))
    assert math.copysign(1.0, to_float32(-0.0)) == -1.0


def test_a_counter_is_one_in_the_first_update() -> None:
    spec = rule(
        "hyperparameters: {lr: {default: 1.0}}\nstate: {step: counter}\nupdate: param = param - lr * step * grad"
    )
    assert run(spec, 0.0, [1.0, 1.0, 1.0]) == Step(-6.0, {"step": 3.0})


def test_a_scalar_state_reads_as_it_was_stored() -> None:
    spec = rule("state: {s: {scalar: true, init: 0.1}}\nupdate: |\n  s = s * 1.1\n  param = s * grad")
    stored = to_float32(to_float32(0.1) * 1.1)
    assert run(spec, 0.0, [1.0]) == Step(stored, {"s": stored})
    assert interpret(spec, {}, {}, 0.0, 1.0, arithmetic=FLOATS, store=exact).param == 0.1 * 1.1


def test_first_holds_in_the_step_that_creates_the_state() -> None:
    spec = rule(
        "state: {b: {init: zeros}}\n"
        "update: |\n  if first(b):\n    b = grad\n  else:\n    b = b + 10 * grad\n  param = b"
    )
    assert run(spec, 0.0, [1.0]).param == 1.0
    assert run(spec, 0.0, [1.0, 2.0]).param == 21.0
    assert run(spec, 0.0, [1.0], {"b": 0.0}).param == 10.0


def test_a_state_starts_from_the_decayed_and_negated_gradient() -> None:
    spec = rule(
        "hyperparameters: {weight_decay: {default: 0.5}}\nweight_decay: l2\nstate: {b: {init: grad}}\n"
        "update: |\n  param = param - b\n  b = 7 * grad"
    )
    assert run(spec, 4.0, [1.0], maximize=True) == Step(3.0, {"b": 7.0})


def test_a_conditional_state_exists_only_under_its_condition() -> None:
    spec = rule(
        "hyperparameters: {mu: {default: 0, doc: momentum factor}}\nstate: {b: {init: zeros, when: mu != 0}}\n"
        "update: |\n  d = grad\n  if mu != 0:\n    b = mu * b + grad\n    d = b\n  param = param - d"
    )
    assert run(spec, 0.0, [1.0, 1.0]) == Step(-2.0, {})
    assert run(spec, 0.0, [1.0, 1.0], mu=0.5) == Step(-2.5, {"b": 1.5})


def test_a_name_means_its_latest_value_and_nothing_changes_in_place() -> None:
    spec = rule("state: {v: {init: zeros}}\nupdate: |\n  before = v\n  v = v + grad\n  param = param + (v - before)")
    state = {"v": np.array([1.0, 2.0])}
    param, grad = np.zeros(2), np.array([3.0, 4.0])
    step = interpret(spec, {}, state, param, grad, arithmetic=ELEMENTS)
    np.testing.assert_array_equal(step.param, [3.0, 4.0])
    np.testing.assert_array_equal(state["v"], [1.0, 2.0])
    np.testing.assert_array_equal(param, [0.0, 0.0])


@pytest.mark.parametrize(
    ("style", "settings", "expected"),
    [
        ("none", {"weight_decay": 0.5}, 4.0 - 0.1 * 1.0),
        ("l2", {"weight_decay": 0.5}, 4.0 - 0.1 * 3.0),
        ("decoupled", {"weight_decay": 0.5}, 4.0 * 0.95 - 0.1),
        ("absolute", {"weight_decay": 0.5}, 4.0 * 0.5 - 0.1),
        ("absolute", {"weight_decay": 0.5, "lr": 0.0}, 4.0),
        ("l2", {"weight_decay": 0.0}, 4.0 - 0.1),
    ],
)
def test_weight_decay_styles(style: str, settings: dict[str, float], expected: float) -> None:
    use = "" if style != "none" else " - 0 * weight_decay"
    spec = rule(
        f"hyperparameters: {{lr: {{default: 0.1}}, weight_decay: {{default: 0}}}}\nweight_decay: {style}\n"
        f"update: param = param - lr * grad{use}"
    )
    assert run(spec, 4.0, [1.0], **settings).param == pytest.approx(expected, rel=1e-15)


def test_more_digits_than_float64_are_kept() -> None:
    spec = rules()["AdamW"]
    generator = np.random.default_rng(1)
    param, grad = (generator.standard_normal(100).astype(np.longdouble) for _ in range(2))
    step = interpret(spec, {}, {}, param, grad, arithmetic=ELEMENTS)
    assert step.param.dtype == np.longdouble
    assert all(value.dtype == np.longdouble for name, value in step.state.items() if name != "step")
    as_double = interpret(spec, {}, {}, param.astype(float), grad.astype(float), arithmetic=ELEMENTS)
    assert np.abs(step.param - as_double.param).max() < 1e-14
    assert (step.param != as_double.param).any()


@pytest.mark.parametrize("name", IN_TORCH)
def test_agrees_with_torch_in_float64(name: str) -> None:
    """400 steps, then step counts 69 and 345 put in by hand, with every flag; scalar states in float64 too.

    Of gradients that are only negated, 40 steps.
    """
    default_dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        for settings in settings_of(name):
            steps = 40 if settings.get("maximize") else 400
            preload = {steps - 2: 68.0, steps - 1: 344.0}
            generator = np.random.default_rng(5)
            start = generator.standard_normal(50)
            parameter = torch.from_numpy(start.copy())
            optimizer = torchs(name)([parameter], foreach=False, **settings)
            x, state = start, dict[str, Array | float]()
            for index in range(steps):
                grad = generator.standard_normal(50)
                if index in preload and "step" in state:
                    entry = optimizer.state[parameter]
                    if isinstance(entry["step"], int):
                        entry["step"] = int(preload[index])
                    else:
                        entry["step"].fill_(preload[index])
                    state = {**state, "step": preload[index]}
                parameter.grad = torch.from_numpy(grad)
                optimizer.step()
                with np.errstate(all="ignore"):
                    step = interpret(
                        rules()[name],
                        values_of(name, settings),
                        state,
                        x,
                        grad,
                        arithmetic=ELEMENTS,
                        store=exact,
                        shape=x.shape,
                        epsilon=2.0**-52,
                    )
                x, state = step.param, step.state
            assert state.keys() == optimizer.state[parameter].keys(), f"{name} with {settings}"
            pairs = {"param": (x, parameter)} | {key: (state[key], optimizer.state[parameter][key]) for key in state}
            for key, (got, wanted) in pairs.items():
                message = f"{key} of {name} with {settings}"
                np.testing.assert_allclose(got, np.asarray(wanted), rtol=1e-9, atol=1e-12, err_msg=message)
    finally:
        torch.set_default_dtype(default_dtype)


@pytest.mark.parametrize("name", ["NAdam", "ASGD"])
def test_scalar_states_round_as_torch_rounds_them(name: str) -> None:
    """NAdam's mu_product and ASGD's eta are float32 tensors: without the store the last digits of the state differ."""
    parameter = torch.ones(3, dtype=torch.float64)
    optimizer = torchs(name)([parameter], foreach=False)
    state: dict[str, Array | float] = {}
    x, grad = np.ones(3), np.array([1.0, -2.0, 0.5])
    for _ in range(30):
        parameter.grad = torch.from_numpy(grad)
        optimizer.step()
        step = interpret(rules()[name], {}, state, x, grad, arithmetic=ELEMENTS)
        x, state = step.param, step.state
    key = {"NAdam": "mu_product", "ASGD": "eta"}[name]
    assert np.float32(state[key]) == state[key]
    assert float(state[key]) == pytest.approx(
        optimizer.state[parameter][key].item(), rel=1e-6 if name == "NAdam" else 0
    )


def test_defaults_leave_out_what_has_none() -> None:
    spec = rule(
        "hyperparameters:\n  lr: {default: 0.1}\n  flag: {default: true, doc: a flag}\n"
        "  betas: {default: [1, 2], names: [b1, b2]}\nupdate: |\n  if flag:\n    param = param - lr * b1 * b2 * grad"
    )
    assert defaults(spec) == {"maximize": False, "lr": 0.1, "b1": 1.0, "b2": 2.0, "flag": True}
