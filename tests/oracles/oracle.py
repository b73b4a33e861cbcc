"""What an oracle is: an implementation of an optimizer that owes nothing to its spec.

It comes from the authors' package, or is written from their source by hand (`tests/references/algorithms/`).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from tests.oracles.rate import Rate
from tests.references.algorithms.forms import Array, Memory, Reference, Result
from tests.references.torch_inputs import Settings
from tests.support.training_mode import call_train


class Steps(Protocol):
    """What an oracle does with parameters: like a torch.optim.Optimizer, a step changes them in place."""

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Return groups whose "lr" is that of the next step, and may be written."""
        ...

    def step(self) -> object:
        """Read the gradients of the parameters and update them."""
        ...


class Oracle(Protocol):
    """An independent implementation of one optimizer."""

    @property
    def label(self) -> str:
        """Return what the documentation calls it."""
        ...

    @property
    def late(self) -> str:
        """Return why a parameter whose first gradient comes late differs; empty if it must not."""
        ...

    @property
    def undefined(self) -> Callable[[Settings], bool]:
        """Return what says whether it gives NaN, or rounds, under settings, where ours is to give numbers."""
        ...

    def start(self, parameters: Sequence[Tensor], settings: Settings) -> Steps:
        """Return the optimizer of these parameters with settings under the spec's names."""
        ...

    def reference(self, x: Array, gradients: Sequence[Array], **settings: object) -> Result:
        """Return the last point and the states, under the spec's names, after steps with these gradients."""
        ...


@dataclass(frozen=True, slots=True)
class Package:
    """An optimizer that a package ships."""

    distribution: str  # as pip knows it
    path: str  # "module:Class"
    arguments: Callable[[Settings], dict[str, object]] = lambda settings: dict(settings)  # theirs, from the spec's
    states: Mapping[str, str] = field(default_factory=dict)  # their name of each state, by the spec's
    values: Mapping[str, str] = field(default_factory=dict)  # key of their group, by the spec's state that it starts as
    late: str = ""
    undefined: Callable[[Settings], bool] = lambda settings: False

    @property
    def label(self) -> str:
        """Return the distribution with its version."""
        return f"{self.distribution} {importlib.metadata.version(self.distribution).partition('+')[0]}"

    def start(self, parameters: Sequence[Tensor], settings: Settings) -> torch.optim.Optimizer:
        """Return their optimizer; raise ImportError with the remedy if the package is missing."""
        module, _, name = self.path.partition(":")
        try:
            cls = getattr(importlib.import_module(module), name)
        except ImportError as error:
            error.add_note(f'`make test` installs {self.distribution}: it belongs to the extra "oracles"')
            raise
        made = cls(parameters, **self.arguments(settings))
        assert isinstance(made, torch.optim.Optimizer)
        return made

    def reference(self, x: Array, gradients: Sequence[Array], **settings: object) -> Result:
        """Return the last point and the states that both have, of a single parameter."""
        parameter = torch.tensor(x)
        optimizer = self.start([parameter], dict(settings))
        call_train(optimizer)
        for gradient in gradients:
            parameter.grad = torch.tensor(gradient)
            optimizer.step()
        theirs = optimizer.state[parameter]
        memory: Memory = {ours: _number(theirs[name]) for ours, name in self.states.items() if name in theirs}
        (group,) = optimizer.param_groups
        return parameter.numpy(), memory | {ours: _number(group[key]) for ours, key in self.values.items()}


def _number(value: object) -> Array | float:
    """Return a state of theirs as a float64 array, a single number as a float; of a list the only item."""
    if isinstance(value, list):
        (value,) = value
    array = value.numpy() if isinstance(value, Tensor) else np.asarray(value)
    return array.astype(np.float64) if array.ndim else float(array)


@dataclass(frozen=True, slots=True)
class Transcription:
    """A reference in NumPy: it takes the gradients of all steps and knows one parameter."""

    function: Reference
    late: str = ""
    undefined: Callable[[Settings], bool] = lambda settings: False

    @property
    def label(self) -> str:
        """Return that it is one."""
        return "NumPy transcription"

    def start(self, parameters: Sequence[Tensor], settings: Settings) -> Steps:
        """Return an optimizer that runs the reference on the parameters one by one."""
        return _Rerun(self.function, parameters, settings)

    def reference(self, x: Array, gradients: Sequence[Array], **settings: object) -> Result:
        """Return what the reference gives."""
        return self.function(x, gradients, **settings)


class _Rerun:
    """Steps with a reference: each computes all steps so far once more, from the starting point.

    What another one has just computed, from the same gradients, is not computed again: with a late gradient, only one
    parameter of a run differs.
    """

    _known: ClassVar[tuple[object, dict[bytes, Array]]] = (None, {})  # of one function under the latest settings

    def __init__(self, function: Reference, parameters: Sequence[Tensor], settings: Settings) -> None:
        self._function = function
        self._settings = settings
        self._first = float(settings.get("lr", inspect.signature(function).parameters["lr"].default))  # type: ignore[arg-type]
        self.param_groups: list[dict[str, Any]] = [{"lr": self._first}]
        self._parameters = [(one, one.numpy().copy(), list[Array](), list[float]()) for one in parameters]
        of = (function, dict(settings))
        if _Rerun._known[0] != of:
            _Rerun._known = (of, {})
        self._points = _Rerun._known[1]

    def step(self) -> None:
        for parameter, start, gradients, rates in self._parameters:
            if parameter.grad is not None:
                gradients.append(parameter.grad.numpy().copy())
                rates.append(float(self.param_groups[0]["lr"]))
                key = b"".join(array.tobytes() for array in (np.array(start.shape), np.array(rates), start, *gradients))
                if key not in self._points:
                    lr = Rate(self._first)
                    given = lr.of_steps([gradient.copy() for gradient in gradients], rates)
                    self._points[key] = self._function(start.copy(), given, **{**self._settings, "lr": lr})[0]
                parameter.copy_(torch.as_tensor(self._points[key]))
