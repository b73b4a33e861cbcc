"""Passes compute what the rule says, move as few streams as they can, and are as few as its chain of sums is long."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.references.elements import ELEMENTS, Array
from tests.support.kernel_rule import as_rule
from tests.support.shaped_bodies import shaped_body, shaped_rule
from thetac.codegen.ir.fused import Fused
from thetac.codegen.ir.interpret import exact, interpret
from thetac.codegen.ir.nodes import Const, Rule
from thetac.codegen.ir.verify import verify_fused
from thetac.codegen.passes.analysis.kinds import infer
from thetac.codegen.passes.hoist import hoist
from thetac.codegen.passes.kernel_form import kernel_form
from thetac.codegen.passes.lift import lift
from thetac.codegen.passes.phases import phases
from thetac.codegen.passes.reachable import reachable
from thetac.codegen.pipeline import Source, front_end, lower

START: Mapping[str, Array | float] = {
    "step": 0.0,
    "slow": np.linspace(-1, 1, 12).reshape(3, 4),
    "fast": np.linspace(2, -3, 12).reshape(3, 4),
    "per_row": np.array([[0.5], [-1.0], [2.0]]),
    "per_column": np.array([[0.25, -0.5, 1.0, 1.5]]),
    "whole": 0.75,
}


def gradients(steps: int) -> Iterator[Array]:
    random = np.random.default_rng(1)
    return (random.normal(size=(3, 4)) for _ in range(steps))


def run(rule: Rule, values: Mapping[str, float | bool], steps: int = 4) -> list[dict[str, object]]:
    state, param, seen = dict(START), np.linspace(1, -1, 12).reshape(3, 4), []
    for grad in gradients(steps):
        done = interpret(rule, values, state, param, grad, arithmetic=ELEMENTS, store=exact)
        state, param = dict(done.state), np.asarray(done.param)
        seen.append({"param": param, **{name: np.asarray(value) for name, value in state.items()}})
    return seen


def lowered(rule: Rule) -> Fused:
    kernels = kernel_form(reachable(rule))
    return phases(hoist(kernels), infer(kernels), {one.name: one.value_kind.dims for one in rule.small_states})


def expect_same(rule: Rule, other: Rule, values: Mapping[str, float | bool]) -> None:
    for step, (expected, got) in enumerate(zip(run(rule, values), run(other, values), strict=True), 1):
        for name, value in expected.items():
            np.testing.assert_array_equal(got[name], value, err_msg=f"{name}, step {step}, {values}")


@settings(deadline=None, max_examples=150)
@given(st.randoms(use_true_random=False), st.integers(0, 3), st.booleans())
def test_passes_do_what_any_rule_says(random: Random, depth: int, flag: bool) -> None:
    made = lift(replace(shaped_rule(), body=shaped_body(random, depth)))
    fused = lowered(made)
    if "param" in {one.target for one in fused.passes[-1].body if hasattr(one, "target")}:
        verify_fused(fused, made)
    expect_same(made, as_rule(made, fused), {"flag": flag})


SPEC = """\
optimizer: Any
summary: Any rule.
complex: unsupported
hyperparameters: {{{hyperparameters}}}
state: {{{states}}}
update: |
{update}
"""
HYPERPARAMETERS = {"lr": "{default: 0.1, doc: the rate}", "beta": "{default: 0.9, doc: a weight}"}
STATES = {"m": "{init: zeros}", "v": "{init: zeros}", "n": "{init: zeros, shape: number}"}


def fused_of(*lines: str) -> Fused:
    """Return the kernels of an update; declared is what it uses."""
    update = "\n".join(f"  {line}" for line in lines)
    used = [
        ", ".join(f"{name}: {entry}" for name, entry in entries.items() if re.search(rf"\b{name}\b", update))
        for entries in (HYPERPARAMETERS, STATES)
    ]
    text = SPEC.format(hyperparameters=used[0], states=used[1], update=update)
    (written,) = front_end([Source("any.yaml", text)])
    return lower(written)[1]


def moved(fused: Fused) -> list[tuple[str, str]]:
    """Return for each pass the initials of the streams that it loads and that it stores."""
    return [
        (
            "".join(use.name[0] for use in one.streams if use.loaded != Const(False)),
            "".join(use.name[0] for use in one.streams if use.stored != Const(False)),
        )
        for one in fused.passes
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # States are stored in the pass whose sums need them, and read back.
        (
            [
                "m = beta * m + grad",
                "v = beta * v + grad * grad",
                "n = norm(m) + n",
                "param = param - lr * m / (sqrt(v) + n) * norm(m / (sqrt(v) + 1))",
            ],
            [("gmv", "mv"), ("pmv", "p")],
        ),
        # A norm of the gradient alone: nothing else is read for it.
        (
            ["m = beta * m + grad / norm(grad)", "v = v + m", "param = param - v"],
            [("g", ""), ("pgmv", "pmv")],
        ),
        # A state that no sum needs is left for the pass that computes the parameter.
        (
            ["m = beta * m + grad", "v = v + n * m", "n = dot(m, grad) + n", "param = param - n * m - v"],
            [("gm", "m"), ("pmv", "pv")],
        ),
        # A number that only its state needs is computed after the last sweep.
        (
            ["m = beta * m + grad", "v = v + m", "param = param - lr * v", "n = n + norm(param)"],
            [("pgmv", "pmv"), ("", "")],
        ),
        # Sums of sums: three passes. The old value of the first state is gone when it is stored.
        (
            [
                "m = m + grad / norm(grad)",
                "v = v + grad / norm(m)",
                "param = param - lr * v / max(abs(v))",
            ],
            [("g", ""), ("gm", "m"), ("gv", "v"), ("pv", "p")],
        ),
    ],
)
def test_the_fewest_streams_move(lines: list[str], expected: list[tuple[str, str]]) -> None:
    assert moved(fused_of(*lines)) == expected


def test_elements_read_what_is_computed_once_per_parameter() -> None:
    fused = fused_of("m = beta * m + grad", "v = v + grad", "param = param - lr * m / sqrt(norm(v) / (norm(m) + beta))")
    (target,) = fused.passes[-1].reads
    assert target == "sqrt_norm_v_over_norm_m_plus_beta"
    assert [fold.op for fold in fused.passes[0].folds] == ["sum", "sum"]


def test_equal_reductions_are_one() -> None:
    fused = fused_of(
        "m = m + grad / norm(grad)", "v = v + norm(grad) * grad", "n = n + norm(grad)", "param = param - lr * m"
    )
    assert len([fold for one in fused.passes for fold in one.folds]) == 1


def test_a_sum_that_a_flag_turns_off_is_not_computed() -> None:
    fused = fused_of("m = m + grad", "v = v + grad", "if beta > 0.5:", "  m = m / norm(m)", "param = param - lr * m")
    (fold,) = fused.passes[0].folds
    (specialisation,) = (one for one in fused.specialisations if "beta" in one.name)
    assert fold.needed != Const(True)
    assert specialisation.name in repr(fold.needed)
