"""The directions of one optimizer: its generated function, and the states that the function keeps.

In: the gradient as a flat vector, and what was done before. Out: the next direction, a new vector. A step works on
copies of the states, so that what was kept before it stays as it was. Must not know how far a direction is followed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

import torch
from torch import Tensor

from thetac.runtime.building.compiled_objects import BuildError, warn_once
from thetac.runtime.drivers.flat_entry import fitted
from thetac.runtime.drivers.flat_view import as_reals
from thetac.runtime.drivers.history import KEYS, SCRATCH, History
from thetac.runtime.drivers.history_cpp import DTYPES, CompiledHistory, load_products
from thetac.runtime.drivers.sums import Sums
from thetac.runtime.param_groups.groups import option, values_of
from thetac.runtime.schema import Group, Schema, State
from thetac.runtime.tensor_facts.dtensors import get_local

PIECE = "direction"
Kept = dict[str, Any]


class Directions:
    """Finds directions; keeps what they need within a step, and between steps what is in no checkpoint."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._function: Callable[..., Tensor] = import_module(f"{schema.package}.{PIECE}.forloop").direction
        self._takes = frozenset(inspect.signature(self._function).parameters)
        self._states: dict[str, Any] = {}
        self._arguments: dict[str, Any] = {}
        self._last: tuple[Tensor | None, Tensor | None, Any] = (None, None, None)
        self._has_moved = False
        self._kept_as: Kept | None = None  # the entry of `optimizer.state` that has the pairs which are kept here

    def begin(self, group: Group, entry: Kept, grad: Tensor, sums: Sums) -> None:
        """Take over the states as the last step has left them.

        Args:
            group: The parameter group.
            entry: The state of the first parameter.
            grad: The gradient, flat; states have its dtype and device.
            sums: What adds up vectors.

        Raises:
            RuntimeError: `fused=True` asks for what there is not here.
            BuildError: `fused=True` needs compiled functions that cannot be built.
        """
        found, before = fitted(entry, grad), self._states if self._kept_as is entry else {}
        self._kept_as, self._has_moved = None, False
        self._states = {
            state.name: _begin_history(self._schema, state, group, found, grad, sums, before.get(state.name))
            if state.kind == "history"
            else _begin_state(state, group, found.get(state.name), grad)
            for state in self._schema.states
        }
        self._last = (found.get("d"), found.get("prev_flat_grad"), found.get("t"))
        # The gradient is that of what is minimized already.
        known = {**values_of(self._schema, group), "maximize": False, "whole": sums}
        self._arguments = {name: value for name, value in known.items() if name in self._takes}

    def next(self, grad: Tensor, n_iter: int) -> Tensor:
        """Return the next direction.

        Args:
            grad: The gradient where the parameters are, flat.
            n_iter: The number of this direction; what was before the first one is zero.
        """
        d, prev_flat_grad, t = self._last
        if d is None or prev_flat_grad is None:
            d, prev_flat_grad, t = torch.zeros_like(grad), torch.zeros_like(grad), 0
        known = {"d": d, "prev_flat_grad": prev_flat_grad, "t": t, "n_iter": n_iter}
        named = {name: value for name, value in known.items() if name in self._takes}
        states = {state.argument: self._states[state.name] for state in self._schema.states}
        return self._function(grad, **named, **states, **self._arguments)

    def follow(self, d: Tensor, prev_flat_grad: Tensor, t: float | Tensor) -> None:
        """Note how far a direction is followed, and what the gradient was where it was found."""
        self._last, self._has_moved = (d, prev_flat_grad, t), True

    def save(self, entry: Kept) -> None:
        """Write direction, length and states into an entry of `optimizer.state`, which this object then goes on from.

        Where no direction was asked for, what the entry lacks is None, as torch has it.
        """
        histories = [state for state in self._states.values() if isinstance(state, History)]
        if not self._has_moved:
            keys = ("d", "t", *(key for _ in histories for key in KEYS), "prev_flat_grad")
            entry.update({key: entry.get(key) for key in keys})
            return
        for history in histories:
            if history.scratch is not None:
                entry[SCRATCH] = list(history.scratch)
        entry["d"], entry["t"] = self._last[0], self._last[2]
        for name, state in self._states.items():
            entry.update(state.save() if isinstance(state, History) else {name: state})
        entry["prev_flat_grad"] = self._last[1]
        self._kept_as = entry


def uses_compiled(schema: Schema, group: Group, param: Tensor) -> tuple[bool, str]:
    """Return whether pairs are multiplied by compiled functions, and why.

    Args:
        schema: The optimizer's.
        group: Its group.
        param: A tensor with the dtype and device of the flat vector.

    Raises:
        RuntimeError: `fused=True` asks for what there is not here.
        BuildError: `fused=True` needs compiled functions that cannot be built.
    """
    fused, foreach = option(group, "fused"), option(group, "foreach")
    if not any(state.kind == "history" for state in schema.states):
        if fused:
            raise RuntimeError(f"{schema.name} has no fused implementation: its directions are torch operations")
        return False, "its directions are torch operations"
    if fused is False or (foreach is not None and not fused):
        return False, "fused=False" if fused is False else f"foreach={foreach}"
    if param.device.type != "cpu" or param.dtype not in DTYPES:
        where = f"{str(param.dtype).removeprefix('torch.')} on {param.device.type}"
        if fused:
            raise RuntimeError(f"`fused=True` of {schema.name} takes float32 and float64 on the CPU, not {where}")
        return False, f"compiled products take float32 and float64 on the CPU, not {where}"
    try:
        load_products(param.dtype)
    except BuildError as error:
        if fused:
            raise
        warn_once(error)
        return False, "the compiled products cannot be built"
    return True, "fused=True" if fused else "the fastest that fits"


def describe(schema: Schema, group: Group) -> str:
    """Return what `explain()` says: what computes directions, and why."""
    params = [as_reals(get_local(param)) for param in group["params"]]
    dtype = params[0].dtype
    for param in params:
        dtype = torch.promote_types(dtype, param.dtype)
    like = params[0].new_empty(0, dtype=dtype)
    compiled, reason = uses_compiled(schema, group, like)
    numel = sum(param.numel() for param in params)
    what = "C++ for the history, torch operations for the rest" if compiled else "torch operations"
    kind = str(dtype).removeprefix("torch.")
    return f"{schema.name}: {what} ({reason}), on one vector of {numel:,} {kind} numbers"


def _begin_history(
    schema: Schema, state: State, group: Group, entry: Kept, grad: Tensor, sums: Sums, before: object
) -> History:
    """Return the pairs of an entry; those that are kept already if they are the same."""
    assert state.init is not None, "a history has a size"
    size = int(cast(float, state.init(group)))
    compiled, _ = uses_compiled(schema, group, grad)
    if compiled and isinstance(before, CompiledHistory) and before.fits(size, grad.dtype):
        before.sums = sums
        return before
    history = CompiledHistory(size, sums, grad.dtype) if compiled else History(size, sums)
    if entry.get("old_dirs") is not None:
        history.load(entry)
    return history


def _begin_state(state: State, group: Group, found: object, grad: Tensor) -> Tensor:
    """Return a copy of a state, or its first value: a number, or a vector like the gradient."""
    init = 0.0 if state.init is None else state.init(group)
    if state.kind == "tensor":
        return found.clone() if isinstance(found, Tensor) else torch.full_like(grad, float(init))
    dtype = torch.float64 if state.float64 else torch.get_default_dtype()
    device = grad.device if state.kind == "number" else torch.device("cpu")
    return torch.as_tensor(init if found is None else found, dtype=dtype, device=device).clone()
