"""Optimizers that minimize with many evaluations per step: along a direction, and then along another one.

In: a closure, and a generated function that returns directions. Out: parameters at a point with a smaller loss, as
torch's minimizer finds it: the same evaluations, tests for the end and keys in checkpoints, in the same order. All
parameters together are one flat vector. Must not know how directions are computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch._compile import _disable_dynamo
from torch.optim.optimizer import ParamsT, StateDict

from thetac.runtime.drivers.directions import Directions, describe
from thetac.runtime.drivers.flat_entry import check_entry
from thetac.runtime.drivers.flat_view import FlatView
from thetac.runtime.drivers.line_search import REMEMBERED, Line, nonmonotone, strong_wolfe
from thetac.runtime.drivers.minimize_settings import (
    NONMONOTONE,
    Settings,
    check_supported,
    default_evaluations,
    settings_of,
)
from thetac.runtime.drivers.pieces import missing_closure
from thetac.runtime.drivers.sums import sums_of
from thetac.runtime.drivers.walk import Closure, Walk
from thetac.runtime.optimizer import Optimizer

LOSSES = "recent_losses"  # the key of the losses that a non-monotone search compares with


class Minimize(Optimizer):
    """An optimizer whose step is a whole minimization, of at most `max_iter` directions."""

    _why_not_traced = "a step that evaluates its closure along lines"
    _state_is_declared = False
    _directions: Directions | None = None  # made at the first step, and never pickled

    def __init__(self, params: ParamsT, defaults: Mapping[str, Any]) -> None:
        super().__init__(params, {**defaults, "max_eval": default_evaluations(defaults)})
        self._step_supports_amp_scaling = False
        if len(self.param_groups) != 1:
            raise self._has_groups()
        check_supported(self.schema.name, self.param_groups[0])

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over pickled or loaded attributes; raise before anything is changed if a checkpoint does not fit."""
        params = state["param_groups"][0]["params"]
        check_entry(state["state"].get(params[0], {}), params)
        super().__setstate__(state)
        self._directions = None

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Take over a checkpoint, ours or torch's, in the middle of a run too.

        Args:
            state_dict: What `state_dict()` returned, of this class or of torch's.

        Raises:
            KeyError: It is no state dict of an optimizer.
            ValueError: It does not fit the groups and parameters.
            TypeError: A value has the wrong type.
        """
        super().load_state_dict(state_dict)
        first = self.param_groups[0]["params"][0]
        length = self.state[first].get("t") if first in self.state else None
        if isinstance(length, Tensor) and first.is_floating_point():
            self.state[first]["t"] = length.to(first.dtype)  # as torch does with all tensors of a checkpoint

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add the one group that there may be; raise ValueError for another one."""
        if self._is_made:
            raise self._has_groups()
        super().add_param_group(param_group)

    @_disable_dynamo
    def step(self, closure: Closure | None = None) -> float:  # type: ignore[override]
        """Minimize, from where the parameters are, along at most `max_iter` directions.

        After an error or an interrupt, in the closure or elsewhere, parameters, state and counters are as they were.

        Args:
            closure: Clears the gradients, evaluates the model, calls `backward` and returns the loss. It runs often.

        Returns:
            The loss of the first evaluation.

        Raises:
            TypeError: There is no closure.
            RuntimeError: The search is unknown, or an option is not supported.
        """
        if closure is None:
            raise missing_closure(self)
        if len(self.param_groups) != 1:
            raise AssertionError(f"Expected exactly one param_group, but got {len(self.param_groups)}")
        with torch.no_grad():
            return self._minimize(closure)

    def explain(self) -> str:
        """Return a text: what computes directions, and why."""
        return describe(self.schema, self.param_groups[0])

    def _minimize(self, closure: Closure) -> float:
        """Do a step, outside of autograd."""
        group = self.param_groups[0]
        settings = settings_of(self.schema.name, group)
        params = group["params"]
        view = FlatView(params)
        walk = Walk(closure, view, sums_of(params, view.sizes), negated=settings.maximize)
        original = walk.evaluate()
        entry: dict[str, Any] = self.state.get(params[0], {})
        new = {**entry, "func_evals": entry.get("func_evals", 0), "n_iter": entry.get("n_iter", 0)}
        if not walk.sums.largest_abs(walk.grad) <= settings.tolerance_grad:
            if self._directions is None:
                self._directions = Directions(self.schema)
            begin = view.copy()
            try:
                self._directions.begin(group, entry, walk.grad, walk.sums)
                _iterate(settings, walk, self._directions, new)
            except BaseException:
                view.restore(begin)
                self._directions = None
                raise
        new["func_evals"] += walk.evaluations
        self.state[params[0]] = new
        return original

    def _has_groups(self) -> ValueError:
        return ValueError(f"{type(self).__name__} doesn't support per-parameter options (parameter groups)")


def _iterate(settings: Settings, walk: Walk, directions: Directions, entry: dict[str, Any]) -> None:
    """Follow directions until a test ends the step.

    Args:
        settings: Of the group.
        walk: Where the parameters are; it has been evaluated there.
        directions: What finds directions.
        entry: Gets the number of directions and everything that the next step begins with.
    """
    sums, before = walk.sums, entry.get("prev_loss")
    losses = list(entry.get(LOSSES) or ())
    for iteration in range(1, settings.max_iter + 1):
        entry["n_iter"] += 1
        d = directions.next(walk.grad, entry["n_iter"])
        t: Any = settings.lr
        if entry["n_iter"] == 1:
            t = min(1.0, 1.0 / sums.sum(walk.grad.abs())) * t
        grad, before = walk.grad, walk.loss
        slope = sums.dot(grad, d)
        directions.follow(d, grad, t)
        if slope > -settings.tolerance_change:
            break
        largest = sums.largest_abs(d)
        if settings.search is None:
            walk.move(d, t)
            if iteration == settings.max_iter:
                break  # nothing would read the loss
            walk.evaluate()
        else:
            line = Line(walk.along(d), sums.dot, d, largest, before, grad, slope)
            left = settings.max_eval - walk.evaluations
            if settings.search == NONMONOTONE:
                losses = [*losses, before][-REMEMBERED:]
                point = nonmonotone(line, t, left, losses)
            else:
                point = strong_wolfe(line, t, left)
            walk.arrive(point)
            t = point.t
            directions.follow(d, grad, t)
        if iteration == settings.max_iter or walk.evaluations >= settings.max_eval:
            break
        if sums.largest_abs(walk.grad) <= settings.tolerance_grad:
            break
        # Rounding keeps order, so this is the largest of `d * t`; without an axis it would be promoted otherwise.
        if largest.view(1).mul(t).abs() <= settings.tolerance_change:
            break
        if abs(walk.loss - before) < settings.tolerance_change:
            break
    directions.save(entry)
    entry["prev_loss"] = before
    if losses:
        entry[LOSSES] = losses
