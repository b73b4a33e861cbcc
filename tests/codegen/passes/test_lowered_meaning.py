"""Lowering changes no result: what hoist and select make of a rule is executed beside the rule itself.

In float64, with the order of evaluation kept, both are equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.references.elements import ELEMENTS
from tests.references.rules import SPECS
from tests.references.settings import settings_of, values_of
from tests.support.bodies import body_of, rule
from tests.support.every_optimizer import examples
from tests.support.kernel_rule import as_rule
from tests.support.reducing_specs import reducing_specs
from tests.support.strategies import legal_specs
from thetac.codegen.ir.interpret import FLOATS, Step, exact, interpret, to_float32
from thetac.codegen.ir.nodes import Assign, Call, Const, If, Ref, Rule, Stmt, walk_statements
from thetac.codegen.passes.analysis.kinds import infer, is_static
from thetac.codegen.passes.select import SELECTION, select
from thetac.codegen.pipeline import Source, front_end, lower

GRADS = (0.5, -1.25, 3.0, 0.0, -0.75, 2.0, 1e-3, -40.0)  # long enough for the branches that wait some steps


def expect_same(
    rule: Rule, other: Rule, values: dict[str, float | bool], store: Callable[[float], float] = to_float32
) -> None:
    """Run both for some steps; fail if parameter or state differ."""
    steps = [Step(0.75, {}), Step(0.75, {})]
    for number, grad in enumerate(GRADS, 1):
        steps = [
            interpret(one, values, step.state, step.param, grad, arithmetic=FLOATS, store=store)
            for one, step in zip((rule, other), steps, strict=True)
        ]
        expected, got = ({"param": step.param, **step.state} for step in steps)
        assert repr(got) == repr(expected), f"{rule.name}, {values}, step {number}"


def selected(rule: Rule) -> Rule:
    """Return the rule with selections in place of branches that no group decides."""
    chosen = select(
        rule.body,
        kinds=infer(rule),
        is_taken=lambda condition: is_static(condition, rule),
        defined=infer(replace(rule, body=())),
        taken=infer(rule),
        exists={state.name: state.when for state in rule.states if state.when is not None},
    )
    return replace(rule, body=chosen.body)


SOURCES = [Source(path.name, path.read_text(encoding="utf-8")) for path in sorted(SPECS.glob("*.yaml"))]
RULES = {rule.name: lower(rule) for rule in front_end(SOURCES)}


@pytest.mark.parametrize("name", RULES)
def test_kernels_do_what_the_rule_says(name: str) -> None:
    rule, fused = RULES[name]
    for setting in settings_of(name):
        expect_same(rule, as_rule(rule, fused), values_of(name, setting))


@pytest.mark.parametrize("name", RULES)
def test_selections_do_what_the_rule_says(name: str) -> None:
    rule, _ = RULES[name]
    for setting in settings_of(name):
        expect_same(rule, selected(rule), values_of(name, setting), exact)


@settings(deadline=None)
@given(legal_specs(), st.booleans())
def test_any_rule_means_the_same_when_it_is_lowered(text: str, flag: bool) -> None:
    (written,) = front_end([Source("arbitrary.yaml", text)])
    rule, fused = lower(written)
    expect_same(rule, as_rule(rule, fused), {"flag": flag})
    expect_same(rule, selected(rule), {"flag": flag}, exact)


def expect_same_arrays(rule: Rule, other: Rule, values: dict[str, float | bool | str], shape: tuple[int, ...]) -> None:
    """Run both for some steps on a parameter of a shape; fail if parameter or state differ."""
    random = np.random.default_rng(1)
    param = random.normal(size=shape)
    steps = [Step(param, {}), Step(param, {})]
    for number in range(4):
        grad = random.normal(size=shape)
        with np.errstate(all="ignore"):
            steps = [
                interpret(one, values, step.state, step.param, grad, arithmetic=ELEMENTS, store=exact, shape=shape)
                for one, step in zip((rule, other), steps, strict=True)
            ]
        expected, got = ({"param": step.param, **step.state} for step in steps)
        assert got.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(got[name], value, err_msg=f"{name} of {shape}, step {number}, {values}")


REDUCED = """\
optimizer: Reduced
summary: A state of rows that a sum replaces.
hyperparameters:
  lr: {default: 0.1}
  weight_decay: {default: 0.1}
  flag: {default: false, doc: a flag}
require:
  rank(param) > 1: "no matrix"
complex: unsupported
state:
  per_row: {init: zeros, shape: rows}
weight_decay: {flag: cautious, else: none}
update: |
  param = param
  e = weight_decay * grad
  e = grad
  per_row = per_row + lr * sum(e, axis=-1)
  per_row = sum(param, axis=-1)
  param = param - lr * per_row * e
"""

SQUARES = """\
optimizer: Squares
summary: The squares of the gradient are added up twice, once only for matrices.
hyperparameters:
  lr: {default: 0.1}
complex: unsupported
state:
  per_column: {init: zeros, shape: columns, when: rank(param) > 1}
update: |
  size = norm(grad)
  if rank(param) > 1:
    per_column = per_column + rms(grad, axis=-2)
  param = param - lr * size
"""


@settings(deadline=None, max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow])
@given(reducing_specs(), st.booleans(), st.sampled_from(["slow", "fast"]))
@example(SQUARES, True, "slow")  # a sum in a branch, of what is computed outside of it
@example(REDUCED, True, "slow")  # the decay of an update that first is nothing
@example(REDUCED, False, "slow")  # a number that only what is replaced would read; a sum that is a state
def test_any_rule_that_reduces_means_the_same_when_it_is_lowered(text: str, flag: bool, mode: str) -> None:
    (written,) = front_end([Source("reducing.yaml", text)])
    rule, fused = lower(written)
    for shape in [(3, 4), (2, 3, 2)] + ([] if rule.requirements else [(5,), ()]):
        expect_same_arrays(rule, as_rule(rule, fused), {"flag": flag, "mode": mode}, shape)


@settings(deadline=None)
@given(st.randoms(use_true_random=False), st.integers(2, 5), st.booleans())
def test_selections_within_each_other_mean_the_same(random: Random, depth: int, flag: bool) -> None:
    start = rule()
    made = replace(start, body=(*body_of(random, depth), *start.body))
    expect_same(made, selected(made), {"lr": 0.1, "flag": flag}, exact)


def test_a_name_is_chosen_as_often_as_it_is_assigned() -> None:
    """Each of the branches within each other assigns a name of its own, as chains do that the host decides."""
    depth = 20
    branch: tuple[Stmt, ...] = ()
    for i in reversed(range(depth)):
        branch = (
            Assign(f"x{i}", Const(1)),
            If(Call("gt", (Ref("step"), Const(i))), (Assign(f"y{i}", Const(2)), *branch)),
        )
    before = tuple(Assign(f"{name}{i}", Const(0)) for i in range(depth) for name in "xy")
    made = replace(rule(), body=(*before, *branch))
    chosen = [s for s in walk_statements(selected(made).body) if isinstance(s, Assign) and s.origin == SELECTION]
    choices = [s.target for s in chosen if isinstance(s.value, Call) and s.value.op == "where"]
    assert len(choices) == len(set(choices)) == 2 * depth - 1, "x0 is assigned in no branch"
    assert len(chosen) - len(choices) <= 2 * depth, "each branch has a condition, and one for being reached"


def test_a_condition_is_what_it_was_before_a_selection_within_changed_what_it_reads() -> None:
    start = rule()
    late = If(Call("gt", (Ref("step"), Const(1))), (Assign("weight", Const(-1)),))
    branch = If(Call("gt", (Ref("weight"), Const(0))), (Assign("buffer", Const(2)), late))
    made = replace(start, body=(*start.body, branch))
    expect_same(made, selected(made), {"lr": 0.1, "flag": False}, exact)


def test_what_is_chosen_deep_within_a_side_stays_within_it() -> None:
    start = rule()
    deep = If(
        Call("gt", (Ref("step"), Const(0))), (If(Call("gt", (Ref("step"), Const(1))), (Assign("buffer", Const(7)),)),)
    )
    after = Assign("buffer", Call("add", (Ref("buffer"), Const(1))))
    made = replace(start, body=(*start.body, If(Call("gt", (Ref("step"), Const(4))), (deep, after))))
    expect_same(made, selected(made), {"lr": 0.1, "flag": False}, exact)
