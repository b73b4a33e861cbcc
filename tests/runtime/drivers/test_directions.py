"""Directions: what generated functions return, and the states that they keep, are what specs mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import Parameter

import thetac
from tests.references.elements import ELEMENTS
from tests.references.rules import rules
from tests.support.every_optimizer import MINIMIZERS, ours
from thetac.codegen.ir.interpret import exact, interpret
from thetac.codegen.passes.pieces import rule_of
from thetac.codegen.pipeline import with_features
from thetac.runtime.drivers.directions import Directions
from thetac.runtime.drivers.history import History
from thetac.runtime.drivers.sums import Sums

NUMEL, STEPS = 23, 12


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("options", [{}, {"foreach": False}], ids=["default", "for-loop"])
@pytest.mark.parametrize("arguments", [{}, {"history_size": 3}, {"long": False}], ids=str)
@pytest.mark.parametrize("name", MINIMIZERS)
def test_directions_are_those_of_the_interpreter(
    name: str, arguments: dict[str, Any], options: dict[str, Any], dtype: torch.dtype
) -> None:
    """Which computes in float64; along one step the curvature is negative, and its pair is not kept."""
    optimizer = ours(name)([Parameter(torch.ones(NUMEL, dtype=dtype))], **_taken(name, arguments), **options)
    (group,) = optimizer.param_groups
    written = rules()[name]
    (piece,) = written.pieces
    rule = with_features(rule_of(written, piece))
    generator = torch.Generator().manual_seed(3)
    curvature = torch.linspace(0.2, 3, NUMEL, dtype=torch.float64)
    x = torch.randn(NUMEL, generator=generator, dtype=torch.float64)
    directions, entry = Directions(optimizer.schema), dict[str, Any]()
    meant: dict[str, Any] = {}
    previous, t = np.zeros(NUMEL), 0.0
    for step in range(1, STEPS + 1):
        grad = (curvature * x + 0.1 * x**3).to(dtype)
        if step == 7:  # negative curvature along the last step
            grad = (torch.from_numpy(previous) - t * torch.from_numpy(meant["d"])).to(dtype)
        if step % 4 == 1:  # as a new step of the optimizer does
            directions.begin(group, entry, grad, Sums(NUMEL))
        d = directions.next(grad, step)
        values = {key: value for key, value in group.items() if key != "params"} | {"t": t, "n_iter": float(step)}
        state = meant | {"prev_flat_grad": previous}
        meant = interpret(
            rule, values, state, np.zeros(NUMEL), grad.double().numpy(), arithmetic=ELEMENTS, store=exact
        ).state
        wanted = torch.from_numpy(np.asarray(meant["d"]))
        bound = 1e-10 if dtype is torch.float64 else 2e-3
        assert (d.double() - wanted).norm() <= bound * wanted.norm()
        meant["d"] = d.double().numpy()  # rounding does not add up
        t = 0.3 + 0.1 * (step % 3)
        directions.follow(d, grad, t)
        previous = grad.double().numpy()
        x = x + t * d.double()
        if step % 4 == 0:
            entry = dict(entry)
            directions.save(entry)
    for state_of in optimizer.schema.states:
        if state_of.kind == "history":
            assert len(entry["old_dirs"]) == len(meant[state_of.name])
            assert len(entry["old_dirs"]) == arguments.get("history_size", STEPS - 2)
        else:
            torch.testing.assert_close(float(entry[state_of.name]), float(meant[state_of.name]), rtol=1e-2, atol=0)


def _taken(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    schema = ours(name).schema
    known = {*(one.name for one in schema.hyperparameters), *schema.flags}
    return {key: value for key, value in arguments.items() if key in known}


def test_what_is_given_stays_as_it_is() -> None:
    """A step that fails leaves states, gradient and last direction as they were."""
    for name in MINIMIZERS:
        optimizer = ours(name)([Parameter(torch.ones(4, dtype=torch.float64))])
        directions = Directions(optimizer.schema)
        grad = torch.arange(1.0, 5, dtype=torch.float64)
        directions.begin(optimizer.param_groups[0], {}, grad, Sums(4))
        first = directions.next(grad, 1)
        directions.follow(first, grad, 0.5)
        entry: dict[str, Any] = {}
        directions.save(entry)
        before = {key: value.clone() for key, value in entry.items() if isinstance(value, torch.Tensor)}
        directions.begin(optimizer.param_groups[0], entry, grad, Sums(4))
        directions.next(grad / 2, 2)
        assert torch.equal(grad, torch.arange(1.0, 5, dtype=torch.float64))
        assert all(torch.equal(entry[key], value) for key, value in before.items())


def test_histories_keep_the_size_that_a_group_asks_for() -> None:
    optimizer = ours("LBFGS")([Parameter(torch.ones(4, dtype=torch.float64))], history_size=7)
    directions = Directions(optimizer.schema)
    directions.begin(optimizer.param_groups[0], {}, torch.ones(4, dtype=torch.float64), Sums(4))
    (history,) = directions._states.values()
    assert isinstance(history, History)
    assert history._size == 7


def test_a_direction_that_reads_the_gradient_alone() -> None:
    """Its function has no further arguments."""
    steepest = thetac.load("""\
optimizer: Steepest
summary: The direction in which the loss falls most.
driver: minimize
hyperparameters:
  lr:               {default: 0.25}
  max_iter:         {default: 20, integer: true, doc: "most directions of a step"}
  max_eval:         {default: none, none: max_iter * 5 / 4, integer: true, doc: "most evaluations"}
  tolerance_grad:   {default: 1e-7, doc: "of the gradient"}
  tolerance_change: {default: 1e-9, doc: "of the parameters"}
  line_search_fn:   {default: none, choices: [none, strong_wolfe], checked: step, doc: "the search"}
direction: |
  d = -grad
""")
    param = Parameter(torch.ones(3, dtype=torch.float64))
    optimizer = steepest([param])  # type: ignore[call-arg]

    def closure() -> float:
        optimizer.zero_grad()
        loss = param.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    assert optimizer.step(closure) == 3.0
    assert param.abs().max() < 1e-3
