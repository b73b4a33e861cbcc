"""Run a piece of a rule, a further body beside its update, over the groups and the state of its optimizer.

In: an optimizer and the name of a piece, whose generated package describes itself by a `Schema` as a rule does. Out:
parameters and states that the piece has changed, or an error before anything was written. A piece is a step of its own
plan, so it has the implementations that a rule has. Must not know when a piece runs: drivers decide it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from thetac.drivers import PIECES
from thetac.runtime.param_groups.integer_counters import to_integers
from thetac.runtime.param_groups.shape_classes import ShapeClasses
from thetac.runtime.param_groups.state import Entry
from thetac.runtime.schema import Schema
from thetac.runtime.stepping.explain import explanation
from thetac.runtime.stepping.stepper import Stepper

Groups = list[dict[str, Any]]


def schemas_of(schema: Schema) -> dict[str, Schema]:
    """Return the schemas of the pieces of a rule, by name; one that sees all parameters as one vector has none."""
    names = (name for name in schema.pieces if not PIECES[name].is_flat)
    return {name: import_module(f"{schema.package}.{name}.schema").SCHEMA for name in names}


class Pieces:
    """The pieces of one optimizer's rule; keeps their plans, and no tensor of the user's."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._steppers = {name: Stepper(one, clips=False) for name, one in schemas_of(schema).items()}

    def run(self, name: str, groups: Groups, state: dict[Tensor, Entry]) -> None:
        """Run a piece for every parameter that has a gradient, outside of autograd.

        A piece that keeps states has all states of these parameters made, as the first step would.

        Args:
            name: The piece's.
            groups: The parameter groups.
            state: `optimizer.state`.

        Raises:
            What a step raises for the same parameters, gradients and states, before anything is written.
        """
        stepper = self._steppers[name]
        with torch.no_grad():
            if stepper.schema.states:
                with _made_state(self._schema, groups, state):
                    stepper.step(groups, state)
            else:
                stepper.step(groups, state)

    def move(self, name: str, groups: Groups, moved: Groups, state: dict[Tensor, Entry]) -> None:
        """Run a piece without gradients, outside of autograd, for every parameter that has state.

        It is rare, so it keeps no plan, and the for-loop does it.

        Args:
            name: The piece's.
            groups: The parameter groups, which messages number.
            moved: Those of them whose parameters it runs for.
            state: `optimizer.state`.

        Raises:
            What a step raises for the same parameters and states, before anything is written.
        """
        schema = self._steppers[name].schema
        read = [one.name for one in schema.states or self._schema.states]
        plain = {"foreach": False, "fused": False, "capturable": False, "differentiable": False}
        chosen = [
            {
                **group,
                **plain,
                "params": [
                    param
                    for param in (group["params"] if any(group is one for one in moved) else ())
                    if any(state.get(param, {}).get(one) is not None for one in read)
                ],
            }
            for group in groups
        ]
        with torch.no_grad():
            Stepper(schema, clips=False, takes_grads=False).step(chosen, state)

    def explain(self, groups: Groups, state: dict[Tensor, Entry]) -> list[str]:
        """Return lines on each piece that has run by a plan: its name, then what `explain` says of it, indented."""
        lines: list[str] = []
        for name, stepper in self._steppers.items():
            if stepper.served:
                _, *about = explanation(stepper.schema, groups, state, stepper).splitlines()
                lines += [f"{name}:", *(f"  {line}" for line in about)]
        return lines


def missing_closure(optimizer: object) -> TypeError:
    """Return the error for a step without the closure that it needs, in Python's words."""
    return TypeError(f"{type(optimizer).__name__}.step() missing 1 required positional argument: 'closure'")


@contextmanager
def _made_state(schema: Schema, groups: Groups, state: dict[Tensor, Entry]) -> Iterator[None]:
    """Make the state of parameters with a gradient that have none; take it away again after an error."""
    made: dict[Tensor, Entry] = {}  # with what was there: a checkpoint may have None for everything
    try:
        for group in groups:
            classes = ShapeClasses(schema, group)
            for param in group["params"]:
                entry = state.get(param, {})
                if param.grad is not None and all(value is None for value in entry.values()):
                    made[param] = dict(entry)
                    state[param].update(classes.of(param).new_state.of(param, param.grad))
        to_integers(schema, groups, state)
        yield
    except BaseException:
        for param, before in made.items():
            state[param].clear()
            state[param].update(before)
            if not before:
                del state[param]
        raise
