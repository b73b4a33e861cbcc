"""Rules with many conditions: what is generated grows as the rule does, and every implementation runs it."""

from __future__ import annotations

import importlib
import itertools
import resource
from collections.abc import Callable, Mapping

import pytest
import torch

import thetac
from tests.support.every_optimizer import one_in
from tests.support.generated_calls import call
from tests.support.large_specs import branches, flags, made, spec
from tests.support.runtime_helpers import run_kernels_of
from tests.support.triton_support import every_spec
from thetac.codegen.ir.interpret import FLOATS, interpret
from thetac.codegen.passes.analysis.combinations import kernels_are_few
from thetac.runtime.implementations import launch_cpp
from thetac.runtime.implementations.fused import specialisations_of
from thetac.runtime.optimizer import Optimizer
from thetac.runtime.param_groups.shape_classes import shape_of

MANY = 40
COUNTED = ["step: counter", "momentum: {init: zeros}"]


def branched(condition: str, otherwise: str = "momentum = momentum - grad") -> list[str]:
    """Both sides of one branch use a state, so that it matters when it is loaded and stored."""
    return [
        f"if {condition}:",
        "  momentum = momentum + grad",
        "else:",
        f"  {otherwise}",
        "param = param - lr * momentum",
    ]


def choices(number: int) -> str:
    return "".join(f"where(f{i}, {i} * grad, " for i in range(number)) + "grad" + ")" * number


def with_states(number: int) -> list[str]:
    lines = ["direction = grad"]
    for i in range(number):
        lines += [f"if f{i} and not f{i + 1}:", f"  s{i} = s{i} + grad", f"  direction = direction + s{i}"]
    return [*lines, "param = param - lr * direction"]


def in_fours(number: int) -> list[str]:
    """Four branches within each other, again and again."""
    lines = ["direction = grad"]
    for first in range(0, number, 4):
        for depth in range(4):
            i = first + depth
            lines += [f"{'  ' * depth}if f{i}:", f"{'  ' * depth}  direction = direction * {1 + i / 64}"]
        lines += ["  else:", "    direction = direction + 0.25 * grad"]
    return [*lines, "param = param - lr * direction"]


SHAPES: Mapping[str, Callable[[int], str]] = {
    "branches": lambda n: spec(branches([f"f{i}" for i in range(n)]), flags(n)),
    "chain": lambda n: spec(branches([f"f{i}" for i in range(n)], chained=True), flags(n)),
    "chain of numbers": lambda n: spec(branches([f"lr > {i} / 99" for i in range(n)][::-1], chained=True)),
    "steps": lambda n: spec(branches([f"step > {i}" for i in range(n)]), states=COUNTED[:1]),
    "chain of steps": lambda n: spec(
        branches([f"step > {i}" for i in range(n)][::-1], chained=True), states=COUNTED[:1]
    ),
    "steps and flags": lambda n: spec(
        branches([f"step > {i} and f{i}" for i in range(n)]), flags(n), states=COUNTED[:1]
    ),
    "within each other": lambda n: spec(in_fours(n), flags(n)),
    "product of sums": lambda n: spec(
        branched(" and ".join(f"(f{i} or f{n + i})" for i in range(n))), flags(2 * n), COUNTED
    ),
    "sum of products": lambda n: spec(
        branched(" or ".join(f"f{i} and f{n + i}" for i in range(n))), flags(2 * n), COUNTED
    ),
    "negations": lambda n: spec(
        branched("".join(f"f{i % n} and not (" for i in range(n // 2)) + "f0" + ")" * (n // 2)), flags(n // 2), COUNTED
    ),
    "choices": lambda n: spec([f"direction = {choices(n // 2)}", "param = param - lr * direction"], flags(n // 2)),
    "weight decay": lambda n: spec(
        hyperparameters=["weight_decay: {default: 0.1}", *flags(n)],
        others=[
            "weight_decay:",
            *(
                f"  f{i} and not f{(7 * i + 3) % n} or f{(11 * i + 5) % n}: {('l2', 'decoupled', 'none')[i % 3]}"
                for i in range(n)
            ),
            "  else: l2",
        ],
    ),
    "states": lambda n: spec(
        with_states(n), flags(n + 1), [f"s{i}: {{init: zeros, when: f{i} and not f{i + 1}}}" for i in range(n)]
    ),
    "starting states": lambda n: spec(
        with_states(n), flags(n + 1), [f"s{i}: {{init: grad, when: f{i} and not f{i + 1}}}" for i in range(n)]
    ),
    "locals": lambda n: spec(
        ["x0 = grad", *(f"x{i + 1} = x{i} * x{i} + x{i}" for i in range(n)), f"param = param - lr * x{n}"]
    ),
    "numbers": lambda n: spec(
        ["x0 = lr", *(f"x{i + 1} = x{i} * x{i} + x{i}" for i in range(n)), f"param = param - x{n} * grad"]
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_generated_grows_as_the_rule_does(shape: str) -> None:
    """Twice the rule is twice the text, but for longer names and numbers."""

    def sizes(number: int) -> dict[str, int]:
        return {name: len("".join(text.split())) for name, text in made(SHAPES[shape](number)).files.items()}

    small, large = sizes(MANY // 2), sizes(MANY)
    growth = {name: large[name] / small[name] for name in small}
    assert all(factor < 2.3 for factor in growth.values()), growth


def values_of(made_class: type[Optimizer]) -> dict[str, float | bool]:
    """Those of a group in which nothing was said."""
    group = made_class([torch.zeros(1)]).param_groups[0]
    schema = made_class.schema
    return {name: group[name] for name in (*schema.flags, *(h.name for h in schema.hyperparameters))}


def expected(text: str, made_class: type[Optimizer]) -> torch.Tensor:
    """What the interpreter says becomes of the parameter."""
    rule, values = made(text).rule, values_of(made_class)
    numbers = []
    for element, start in enumerate(START.tolist()):
        number: float = start
        state: dict[str, float] = {}
        for step in range(STEPS):
            done = interpret(rule, values, state, number, gradient(step)[element].item(), arithmetic=FLOATS)
            number, state = done.param, done.state
        numbers.append(number)
    return torch.tensor(numbers, dtype=torch.float64)


STEPS = 4
START = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)


def gradient(step: int) -> torch.Tensor:
    return torch.tensor([0.5, -0.25, 0.125], dtype=torch.float64) * (1 + step / 8)


IMPLEMENTATIONS = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "C++": {"fused": True},
    "Triton": {"fused": True},
}
RUN = [shape for shape in SHAPES if shape not in ("locals", "numbers")]


@pytest.mark.parametrize(("shape", "implementation"), one_in(3, itertools.product(RUN, IMPLEMENTATIONS)))
def test_every_implementation_runs_it(shape: str, implementation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_kernels_of(implementation, monkeypatch)
    text = SHAPES[shape](MANY)
    made_class = thetac.load(text)
    param = torch.nn.Parameter(START.clone())
    optimizer = made_class([param], **IMPLEMENTATIONS[implementation])
    for step in range(STEPS):
        param.grad = gradient(step)
        optimizer.step()
    torch.testing.assert_close(param.detach(), expected(text, made_class), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", RUN)
def test_it_runs_on_tensors_too(shape: str) -> None:
    """Called directly: no device here supports capturable."""
    text = SHAPES[shape](MANY)
    made_class = thetac.load(text)
    forloop = importlib.import_module(f"{made_class.schema.package}.forloop")
    param, values = START.clone(), values_of(made_class)
    states: dict[str, list[torch.Tensor | None]] = {}
    for state in made_class.schema.states:
        exists = state.when is None or state.when(values)
        zero = torch.zeros_like(param) if state.kind == "tensor" else torch.zeros(())
        states[state.argument] = [zero if exists else None]
    for step in range(STEPS):
        firsts = {state.first: [torch.tensor(step == 0)] for state in made_class.schema.states if state.first}
        call(
            forloop.step_on_tensors,
            [param],
            [gradient(step)],
            **states,
            **firsts,
            **values,
            maximize=False,
            capturable=True,
            differentiable=False,
        )
    torch.testing.assert_close(param, expected(text, made_class), rtol=1e-12, atol=1e-12)


def test_a_compiler_is_given_the_kernel_that_a_group_asks_for() -> None:
    """Two groups, two kernels; every other combination of 40 flags is compiled by nobody."""
    made_class = thetac.load(SHAPES["branches"](MANY))
    assert made_class.schema.separate_kernels
    params = [torch.nn.Parameter(torch.ones(3)) for _ in range(2)]
    optimizer = made_class([{"params": params[:1]}, {"params": params[1:], "f0": True, "f1": False}], fused=True)
    for param in params:
        param.grad = torch.ones(3)
    optimizer.step()
    assert not torch.equal(*params)
    shape = shape_of(made_class.schema, params[0])
    held = [tuple(specialisations_of(made_class.schema, group, shape).values()) for group in optimizer.param_groups]
    recipes = [launch_cpp.recipe_of(made_class.schema, [torch.float32] * 2, holds) for holds in held]
    assert [defines["THETAC_HOLDS"][:7] for _, defines, _ in recipes] == ["0,0,1,0", "0,1,0,0"]
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert children.ru_maxrss < 2_000_000, "kilobytes, of the largest compiler so far"


def test_specialisations_beyond_64_bits_are_told_apart() -> None:
    """A mask of them would not hold the last ones."""
    number = 70
    made_class = thetac.load(
        spec(
            branches([f"f{i}" for i in range(number)]),
            [f"f{i}: {{default: false, doc: a flag}}" for i in range(number)],
        )
    )
    params = [torch.nn.Parameter(torch.zeros(3)) for _ in range(number)]
    optimizer = made_class([{"params": [params[i]], f"f{i}": True} for i in (0, 5, 69)], fused=True, lr=1.0)
    for param in params:
        param.grad = torch.ones(3)
    optimizer.step()
    assert [-params[i][0].item() for i in (0, 5, 69)] == [1, 1 + 5 / 64, 1 + 69 / 64]


def test_few_rules_of_ours_need_an_object_for_each_kernel() -> None:
    apart = {name for name, compiled in every_spec().items() if not kernels_are_few(compiled.fused)}
    assert apart == {"AdamMini", "ApolloMa", "LAMB"}
    assert apart == {name for name in every_spec() if getattr(thetac, name).schema.separate_kernels}
