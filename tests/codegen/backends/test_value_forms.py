"""Integers, texts, None and infinity in groups; scalars in float64, constants and counters that are ints.

Every implementation computes what the interpreter says of the same values, group by group, before and after a group is
changed and a checkpoint is loaded.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import math
import pickle
from pathlib import Path

import pytest
import torch
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.fx.experimental.proxy_tensor import make_fx

import thetac
from tests.support.comparing import assert_same_bits
from tests.support.runtime_helpers import Watching, run_kernels_of, train
from thetac.codegen.backends.documentation.algorithm_box import algorithm
from thetac.codegen.ir.interpret import FLOATS, interpret
from thetac.codegen.pipeline import Compiled, Source, compile_specs
from thetac.runtime.optimizer import Optimizer

TEXT = """
optimizer: Forms
summary: Every form that a value can have.
hyperparameters:
  lr: {default: 0.1, range: "[0, inf)"}
  betas: {default: [0.9, none], names: [beta1, beta2], range: "[0, 1]", none: ["", sqrt(beta1)], doc: decays}
  gain: {default: none, range: "(0, inf)", none: lr * 2, error: "bad gain {0}", doc: gain}
  mode: {default: plain, choices: [none, plain, scaled, other], error: "mode is {0}", doc: which}
  power: {default: 3, integer: true, range: "[1, 100)", doc: how often}
  limit: {default: inf, doc: the largest step}
  bounds: {default: [-1, 1], names: [low, high], range: ["(-inf, 0]", "[0, inf)"], error: ["low {0}", "high {1}"],
           doc: where it is cut off}
  weight_decay: {default: none, none: lr / 10}
weight_decay: {mode == "scaled": decoupled, else: l2}
require:
  mode != "other" or gain > 0.01: other needs a gain
state:
  step: {counter: true, integer: true}
  start: {scalar: true, init: lr, dtype: float64}
  scale: {scalar: true, init: 1, dtype: float64}
  rough: {scalar: true, init: gain}
  buffer: {init: zeros}
  other: {init: zeros, when: mode == "scaled"}
symbols: {direction: d}
update: |
  buffer = beta1 * buffer + beta2 * grad
  scale = scale * (1 - beta2 / 3)
  rough = rough * 0.9 + start
  direction = buffer
  if mode == "scaled":
    other = other + grad * rough
    direction = direction * gain + other
  elif mode != "other":
    direction = direction / power
  if gain > 0.5:
    direction = direction + 1
  param = param - lr * clamp(direction, low, high) * minimum(limit, scale * step) * (1 + start)
"""

IMPLEMENTATIONS = {
    "for-loop": {"foreach": False, "fused": False},
    "foreach": {"foreach": True},
    "C++": {"fused": True},
    "Triton": {"fused": True},
    "differentiable": {"differentiable": True},
}
GROUPS: tuple[dict[str, object], ...] = (
    {},
    {"mode": "scaled", "gain": 0.3, "betas": (0.8, 0.5), "power": 7},
    {"mode": None, "limit": 0.3, "bounds": (-0.2, 0.4), "weight_decay": 0.2},
    {"mode": "other", "gain": 0.7, "weight_decay": 0.0},
)
LATER: tuple[dict[str, object], ...] = (
    {"betas": (0.9, 0.2), "gain": 0.9},
    {"gain": None, "betas": (0.8, None), "weight_decay": 0.1},
    {"mode": "plain", "weight_decay": None},
    {"power": 2, "mode": None, "limit": 1.5},
)


def compiled() -> Compiled:
    (one,) = compile_specs([Source("forms.yaml", TEXT)])
    return one


def values_of(group: dict[str, object]) -> dict[str, object]:
    """The values of a group under the names that an update has for them."""
    keys = ("lr", "gain", "mode", "power", "limit", "weight_decay")
    betas, bounds = group["betas"], group["bounds"]
    assert isinstance(betas, tuple)
    assert isinstance(bounds, tuple)
    pairs = dict(zip(("beta1", "beta2", "low", "high"), (*betas, *bounds), strict=True))
    return {**{key: group[key] for key in keys}, **pairs}


def new(params: list[torch.nn.Parameter], options: dict[str, bool]) -> Optimizer:
    groups = [{"params": [param], **values} for param, values in zip(params, GROUPS, strict=True)]
    made: Optimizer = thetac.load(TEXT)(groups, **options)  # type: ignore[call-arg,arg-type]
    return made


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_every_implementation_agrees_with_the_interpreter(
    implementation: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run_kernels_of(implementation, monkeypatch)
    options, rule = IMPLEMENTATIONS[implementation], compiled().rule
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(5, 3, generator=generator, dtype=torch.float64) for _ in GROUPS]
    leaves = [torch.nn.Parameter(one.clone()) for one in drawn]
    params = [leaf.clone() if implementation == "differentiable" else leaf for leaf in leaves]
    optimizer = new(params, options)  # type: ignore[arg-type]
    numbers = [one.flatten().tolist() for one in drawn]
    states: list[list[dict[str, float]]] = [[{} for _ in column] for column in numbers]
    for count in range(6):
        for index, param in enumerate(params):
            param.grad = torch.randn(5, 3, generator=generator, dtype=torch.float64)
            values = values_of(optimizer.param_groups[index])
            for element, grad in enumerate(param.grad.flatten().tolist()):
                done = interpret(
                    rule,
                    values,  # type: ignore[arg-type]
                    states[index][element],
                    numbers[index][element],
                    grad,
                    arithmetic=FLOATS,
                )
                numbers[index][element], states[index][element] = done.param, done.state
        optimizer.step()
        if count == 2 and implementation != "differentiable":  # half way, into a new optimizer, through a file
            path = tmp_path / "optimizer.safetensors"
            thetac.save_optimizer(optimizer, path)
            optimizer = new(params, options)
            thetac.load_optimizer(optimizer, path)
        if count == 3:
            for group, later in zip(optimizer.param_groups, LATER, strict=True):
                group.update({key: value for key, value in later.items() if group["mode"] != "scaled" or key != "mode"})
    for param, expected in zip(params, numbers, strict=True):
        # `rough` is a float32 tensor: its own arithmetic rounds a little differently from one rounding.
        torch.testing.assert_close(
            param.detach().flatten(), torch.tensor(expected, dtype=torch.float64), rtol=1e-6, atol=1e-7
        )
    for param, of_elements in zip(params, states, strict=True):
        entry = optimizer.state[param]
        assert type(entry["step"]) is int
        assert entry["step"] == 6
        assert entry["scale"].dtype == torch.float64
        assert entry["scale"].item() == pytest.approx(of_elements[0]["scale"], rel=1e-14)
        assert entry["start"].item() == 0.1, "exactly, and never written"
        assert entry["rough"].dtype == torch.float32


def test_the_operator_that_modes_see_gets_the_same_values() -> None:
    """Its arguments are numbers and tensors: texts, None and ints come with the kernel."""
    results = []
    for mode in (contextlib.nullcontext(), Watching()):
        generator = torch.Generator().manual_seed(0)
        params = [torch.nn.Parameter(torch.randn(5, generator=generator)) for _ in GROUPS]
        optimizer = new(params, {"fused": True})
        for _ in range(3):
            for param in params:
                param.grad = torch.randn(5, generator=generator)
            with mode:
                optimizer.step()
            optimizer.param_groups[0]["gain"] = 0.4
        if isinstance(mode, Watching):
            assert "thetac.fused_step.default" in mode.operations
        results.append(optimizer)
    assert_same_bits(results[0], results[1], "observed")


def test_a_compiled_step_is_the_same() -> None:
    text = TEXT.replace("integer: true}\n  start", "device: parameter}\n  start").replace("Forms", "FormsInGraphs")
    results = []
    for compiles in (False, True):
        generator = torch.Generator().manual_seed(0)
        params = [torch.nn.Parameter(torch.randn(5, generator=generator)) for _ in GROUPS]
        groups = [{"params": [param], **values} for param, values in zip(params, GROUPS, strict=True)]
        optimizer = thetac.load(text)(groups, fused=True)  # type: ignore[arg-type,call-arg]
        step = torch.compile(optimizer.step, backend="eager") if compiles else optimizer.step
        for _ in range(3):
            for param in params:
                param.grad = torch.randn(5, generator=generator)
            step()
        results.append(optimizer)
    assert_same_bits(results[0], results[1], "compiled")


@pytest.mark.parametrize("options", [{"fused": True}, {"foreach": False}], ids=str)
def test_a_graph_counts_in_tensors(options: dict[str, bool]) -> None:
    """An int would be a constant of the graph. Ordinary steps go on with the tensors, checkpoints make ints of them."""
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(5, generator=generator) for _ in GROUPS]
    graphed, ordinary = (new([torch.nn.Parameter(one.clone()) for one in drawn], options) for _ in range(2))
    step = type(graphed).step.__wrapped__.__wrapped__  # type: ignore[attr-defined]
    compiled_step = torch.compile(lambda: step(graphed), backend="eager", fullgraph=True)
    for count in range(7):
        for one in (graphed, ordinary):
            for group, numbers in zip(one.param_groups, drawn, strict=True):
                group["params"][0].grad = (numbers * (count + 1)).cos()
        (compiled_step if count in (2, 3, 5) else graphed.step)()
        ordinary.step()
    for mine, theirs in zip(graphed.param_groups, ordinary.param_groups, strict=True):
        (param,), (other,) = mine["params"], theirs["params"]
        torch.testing.assert_close(param, other, rtol=1e-5, atol=1e-6)
        assert isinstance(graphed.state[param]["step"], torch.Tensor)
        assert graphed.state[param]["step"] == ordinary.state[other]["step"] == 7
    graphed.load_state_dict(graphed.state_dict())
    assert all(type(entry["step"]) is int for entry in graphed.state.values())


def test_a_traced_graph_counts_in_tensors() -> None:
    drawn = [torch.arange(5.0) + index for index in range(len(GROUPS))]
    graphed, ordinary = (new([torch.nn.Parameter(one.clone()) for one in drawn], {"foreach": False}) for _ in range(2))

    def step(optimizer: Optimizer, *grads: torch.Tensor) -> None:
        for group, grad in zip(optimizer.param_groups, grads, strict=True):
            group["params"][0].grad = grad
        optimizer.step()

    def grads(count: int) -> list[torch.Tensor]:
        return [(one * (count + 1)).cos() for one in drawn]

    step(graphed, *grads(0))
    graph = make_fx(lambda *given: step(graphed, *given))(*grads(1))
    with torch.no_grad():
        graph(*grads(2))
    for count in range(3):
        step(ordinary, *grads(count))
    for mine, theirs in zip(graphed.param_groups, ordinary.param_groups, strict=True):
        torch.testing.assert_close(mine["params"][0], theirs["params"][0], rtol=1e-5, atol=1e-6)
        assert graphed.state[mine["params"][0]]["step"] == 3


@pytest.mark.parametrize("sides", [1, 2])
def test_distributed_checkpoints_hold_ints_and_exact_scalars(sides: int) -> None:
    """torch.distributed.checkpoint's functions of one process, flattened and not."""
    options = StateDictOptions(flatten_optimizer_state_dict=sides == 2)
    model = torch.nn.Linear(3, 2)
    optimizer = thetac.load(TEXT)(model.parameters(), mode="scaled")
    train(optimizer, 2)
    saved = copy.deepcopy(get_optimizer_state_dict(model, optimizer, options=options))
    other_model = torch.nn.Linear(3, 2)
    other_model.load_state_dict(model.state_dict())
    other = thetac.load(TEXT)(other_model.parameters(), mode="scaled")
    set_optimizer_state_dict(other_model, other, saved, options=options)
    for one in (optimizer, other):
        train(one, 1)
    assert_same_bits(optimizer, other, "loaded")
    assert all(type(entry["step"]) is int for entry in other.state.values())


@pytest.mark.parametrize("capturable", [False, True])
def test_on_tensors_too(capturable: bool) -> None:
    """Called directly: no device here supports capturable."""
    made = thetac.load(TEXT)
    forloop = __import__(f"{made.schema.package}.forloop", fromlist=["step"])
    results = []
    for function in (forloop.step, forloop.step_on_tensors):
        generator = torch.Generator().manual_seed(0)
        params = [torch.randn(5, generator=generator, dtype=torch.float64) for _ in range(2)]
        group = made([torch.nn.Parameter(torch.ones(1))], mode="scaled").param_groups[0]  # type: ignore[call-arg]
        keywords: dict[str, object] = {key: value for key, value in values_of(group).items() if value is not None}
        keywords |= {"beta2": 0.0, "gain": 1.0, "weight_decay": 0.0, "maximize": False}
        keywords |= {derived.name: derived.holds(group) for derived in made.schema.derived}
        firsts = {"start": 0.1, "scale": 1.0, "rough": 0.2}
        for state in made.schema.states:
            keywords[state.argument] = [
                torch.zeros_like(p) if state.like_param else torch.tensor(firsts.get(state.name, 0.0)).double()
                for p in params
            ]
        if function is forloop.step_on_tensors:
            keywords |= {"capturable": capturable, "differentiable": not capturable}
        taken = inspect.signature(function).parameters
        for _ in range(4):
            grads = [torch.randn(5, generator=generator, dtype=torch.float64) for _ in params]
            function(params, grads, **{name: value for name, value in keywords.items() if name in taken})
        results.append(params)
    for plain, on_tensors in zip(*results, strict=True):
        torch.testing.assert_close(on_tensors, plain, rtol=1e-12, atol=0)


def test_the_constructor_says_which_values_there_are() -> None:
    made = thetac.load(TEXT)
    signature = inspect.signature(made)
    shown = {name: (str(one.annotation), one.default) for name, one in signature.parameters.items()}
    assert shown["mode"] == ("Literal['plain', 'scaled', 'other'] | None", "plain")
    assert shown["power"] == ("int", 3)
    assert shown["gain"] == ("float | None", None)
    assert shown["betas"] == ("tuple[float, float | None]", (0.9, None))
    assert shown["limit"] == ("float", math.inf)
    text = " ".join((made.__doc__ or "").split())
    assert "gain (float or None, default: None, gain > 0 and finite): gain; None stands for lr * 2" in text
    assert 'mode (None or "plain" or "scaled" or "other", default: "plain"): which' in text
    assert "power (int, default: 3, power in [1, 100)): how often" in text
    assert "beta2 None stands for sqrt(beta1)" in text


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"mode": "fast"}, ValueError, "mode is fast"),
        ({"mode": 3}, ValueError, "mode is 3"),
        ({"power": 2.5}, TypeError, "power must be an int, not float"),
        ({"power": True}, TypeError, "power must be an int, not bool"),
        ({"power": torch.tensor(2)}, TypeError, "power must be an int, not Tensor"),
        ({"power": 100}, ValueError, "Invalid power value: 100"),
        ({"gain": -1.0}, ValueError, "bad gain -1.0"),
        ({"bounds": (1, 1)}, ValueError, "low 1"),
        ({"bounds": (-1, -2)}, ValueError, "high -2"),
        ({"betas": (None, None)}, TypeError, "betas must be a number, not None"),
        ({"lr": None}, TypeError, "lr must be a number, not None"),
        ({"mode": "other", "gain": 0.001}, ValueError, "other needs a gain"),
        ({"mode": "other", "lr": 0.001}, ValueError, "other needs a gain"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, object], error: type[Exception], message: str) -> None:
    made = thetac.load(TEXT)
    param, other = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    with pytest.raises(error) as raised:
        made([param], **values)  # type: ignore[arg-type]
    assert str(raised.value) == message
    optimizer = made([param])
    with pytest.raises(error) as raised:
        optimizer.add_param_group({"params": [other], **values})
    assert str(raised.value) == message
    assert len(optimizer.param_groups) == 1


def test_a_group_keeps_what_it_was_given() -> None:
    param = torch.nn.Parameter(torch.ones(2))
    optimizer = thetac.load(TEXT)([param])
    param.grad = torch.ones(2)
    optimizer.step()
    for one in (optimizer, copy.deepcopy(optimizer)):
        group = one.state_dict()["param_groups"][0]
        assert (group["gain"], group["betas"], group["mode"], group["limit"]) == (None, (0.9, None), "plain", math.inf)
        assert (type(group["power"]), group["power"]) == (int, 3)
        assert one.state_dict()["state"][0]["step"] == 1
    loaded = thetac.load(TEXT)([param])
    loaded.load_state_dict(pickle.loads(pickle.dumps(optimizer.state_dict())))
    assert type(loaded.state[param]["step"]) is int
    assert loaded.param_groups[0]["gain"] is None


@pytest.mark.parametrize("step", [2, 2.0, torch.tensor(2.0), torch.tensor(2)])
def test_an_integer_counter_is_loaded_from_numbers_and_tensors(step: object) -> None:
    param = torch.nn.Parameter(torch.ones(2))
    optimizer = thetac.load(TEXT)([param])
    param.grad = torch.ones(2)
    optimizer.step()
    saved = optimizer.state_dict()
    saved["state"][0]["step"] = step
    saved["state"][0]["scale"] = saved["state"][0]["scale"].float()
    optimizer.load_state_dict(saved)
    assert type(optimizer.state[param]["step"]) is int
    optimizer.step()
    assert optimizer.state[param]["step"] == 3
    assert optimizer.state[param]["scale"].dtype == torch.float64
    saved["state"][0]["step"] = 2.5
    with pytest.raises(ValueError, match=r"^loaded `step` of parameter 0 of group 0 must be an integer, not 2\.5$"):
        optimizer.load_state_dict(saved)
    assert optimizer.state[param]["step"] == 3


def test_values_that_change_to_what_no_step_takes_are_refused_before_anything_is_written() -> None:
    param = torch.nn.Parameter(torch.ones(2))
    optimizer = thetac.load(TEXT)([param], foreach=False)
    param.grad = torch.ones(2)
    optimizer.step()
    before = param.detach().clone()
    for key, value, message in (
        ("power", 2.5, "power must be an int, not float"),
        ("limit", None, "limit must be a number, not NoneType"),
    ):
        old = optimizer.param_groups[0][key]
        optimizer.param_groups[0][key] = value
        with pytest.raises(TypeError, match=f"^{message}$"):
            optimizer.step()
        optimizer.param_groups[0][key] = old
    optimizer.state[param]["scale"] = optimizer.state[param]["scale"].float()
    with pytest.raises(RuntimeError, match=r"`scale` of parameter 0 of group 0 is torch.float32, not torch.float64"):
        optimizer.step()
    optimizer.state[param]["scale"] = optimizer.state[param]["scale"].double()
    optimizer.state[param]["step"] = "one"
    with pytest.raises(TypeError, match="`step` of parameter 0 of group 0 must be an int, not str"):
        optimizer.step()
    assert torch.equal(param.detach(), before)
    optimizer.state[param]["step"] = 1
    optimizer.step()
    assert optimizer.state[param]["step"] == 2


def test_the_algorithm_box_has_the_symbols_of_locals_and_the_texts_of_choices() -> None:
    box = algorithm(compiled().written)
    assert r"d_t \leftarrow b_t" in box or "d_t" in box
    assert r"\textit{mode} = \text{scaled}" in box
