"""Make the state of one parameter as the schema declares it, or check the state that was found.

In: a schema, a group, a parameter, its gradient and what `optimizer.state` holds of it. Out: a complete entry, or an
error that names what is wrong. Nothing is written here: the caller decides when a new entry becomes visible.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from thetac.runtime.param_groups.groups import option
from thetac.runtime.schema import Group, Schema, Shape, State
from thetac.runtime.tensor_facts import dtensors
from thetac.runtime.tensors import fitting

Entry = dict[str, object]  # `optimizer.state[param]`: ours under the schema's names, and whatever a user adds


def scalar_dtype() -> torch.dtype:
    """Return the dtype of new counters and scalar states, as in torch."""
    return torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32


def states_of(schema: Schema, group: Group, shape: Shape) -> tuple[bool, ...]:
    """Return for each state of the schema, in its order, whether it exists for a parameter of a group and shape."""
    return tuple(state.exists(group, shape) for state in schema.states)


class NewState:
    """Makes the state of parameters of one group before their first step."""

    def __init__(self, schema: Schema, group: Group, exists: tuple[bool, ...]) -> None:
        self._schema = schema
        self._differentiable = bool(option(group, "differentiable"))
        self._states = [state for state, existing in zip(schema.states, exists, strict=True) if existing]
        self._initial: list[float] | None = None  # read when state is made: the host may have to wait for a tensor
        self._capturable = bool(option(group, "capturable"))
        self._numbers: dict[tuple[str, torch.device | None], Tensor] = {}  # those made so far, to be copied
        self._group = group

    def of(self, param: Tensor, grad: Tensor | None) -> Entry:
        """Make the state of one parameter, by name in the schema's order.

        Args:
            param: The parameter.
            grad: Its gradient, whose layout some states follow; None where state is made at construction.
        """
        if self._initial is None:
            self._initial = [_initial_value(state, self._group) for state in self._states]
        pairs = zip(self._states, self._initial, strict=True)
        return {state.name: self._of(state, value, param, grad) for state, value in pairs}

    def _of(self, state: State, value: float, param: Tensor, grad: Tensor | None) -> Tensor:
        if state.like_param:
            return self._like_param(state, value, param, grad)
        if state.is_number:
            return self._number(state, value, param)
        return _vector(state, value, param) if state.follows_dtype else _number_beside(state, param, value)

    def _number(self, state: State, value: float, param: Tensor) -> Tensor:
        """Return a new counter or scalar state, a copy of the first of its kind."""
        key = (state.name, param.device if state.on_param_device or self._capturable else None)
        if key not in self._numbers:
            self._numbers[key] = _scalar(state, self._group, param, value)
        return self._numbers[key].clone()

    def _like_param(self, state: State, value: float, param: Tensor, grad: Tensor | None) -> Tensor:
        """Return a new state of the parameter's shape, in the layout that torch would give it."""
        if state.copies_param:
            # What a differentiable step starts from is part of its graph.
            with torch.set_grad_enabled(self._differentiable):
                return param.clone(memory_format=torch.preserve_format)
        if grad is not None and grad.is_sparse and self._schema.sparse == "native":
            return torch.zeros_like(grad, dtype=param.dtype)  # no stored values yet
        if state.first and grad is not None and not grad.is_sparse and value == 0:
            # The rule may start it as a copy of the gradient; torch clones the gradient then, layout included.
            return torch.zeros_like(grad, dtype=param.dtype, memory_format=torch.preserve_format)
        if value == 0:
            return torch.zeros_like(param, memory_format=torch.preserve_format)
        # The imaginary part is a number of its own to every rule that treats complex tensors as pairs.
        fill = complex(value, value) if param.is_complex() else value
        return torch.full_like(param, fill, memory_format=torch.preserve_format)


def _initial_value(state: State, group: Group) -> float:
    """Return the number that a state starts from in a group; wait for a tensor on an accelerator."""
    initial = 0.0 if state.init is None else state.init(group)
    return initial.item() if isinstance(initial, Tensor) else initial


def _vector(state: State, value: float, param: Tensor) -> Tensor:
    """Return a new state with one number per row or column: contiguous, sharded as these are."""
    local = dtensors.get_local(param)
    return dtensors.place_beside(param, state, local.new_full(state.shape_of(local.shape), value))


def _number_beside(state: State, param: Tensor, value: float) -> Tensor:
    """Return a new 0-d state on the parameter's device."""
    dtype = number_dtype(state, param.dtype)
    return torch.tensor(fitting(value, dtype), dtype=dtype, device=param.device)


def number_dtype(state: State, dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of a new number that is kept beside a parameter of a dtype: at least as wide, and real."""
    is_wide = state.float64 or dtype in (torch.float64, torch.complex128)
    return torch.float64 if is_wide else scalar_dtype()


def check_found(state: State, value: object, param: Tensor, grad: Tensor, where: str) -> None:
    """Check a state that was found in `optimizer.state`.

    Args:
        state: Its declaration.
        value: What was found.
        param: Its parameter.
        grad: The gradient of the parameter.
        where: How messages call the parameter.

    Raises:
        TypeError: The value is no tensor.
        RuntimeError: Its shape, device, dtype or layout does not fit the parameter, or it cannot be written in place.
    """
    if not isinstance(value, Tensor):
        expected = "an int" if state.integer else "a tensor"
        raise TypeError(f"`{state.name}` of {where} must be {expected}, not {type(value).__name__}")
    if state.is_number:
        _check_one_number(state, value, where)
        if state.float64 and value.dtype != torch.float64:
            raise RuntimeError(f"`{state.name}` of {where} is {value.dtype}, not torch.float64")
        return
    if state.follows_dtype and value.shape != (needed := state.shape_of(param.shape)):
        instead = "" if state.like_param else f", and so it should have {tuple(needed)}"
        raise RuntimeError(
            f"`{state.name}` of {where} has the shape {tuple(value.shape)}, its parameter {tuple(param.shape)}{instead}"
        )
    if value.device != param.device:
        raise RuntimeError(f"`{state.name}` of {where} is on {value.device}, its parameter on {param.device}")
    if not state.follows_dtype:
        _check_one_number(state, value, where)
        return
    if value.is_complex() != param.is_complex() or not (value.is_floating_point() or value.is_complex()):
        raise RuntimeError(f"`{state.name}` of {where} is {value.dtype}, its parameter {param.dtype}")
    if value.layout != param.layout and value.layout != grad.layout:
        raise RuntimeError(f"`{state.name}` of {where} is {value.layout}, its parameter {param.layout}")
    check_writable(value, f"`{state.name}` of {where}")


def _check_one_number(state: State, value: Tensor, where: str) -> None:
    if value.numel() != 1 or value.is_complex():
        raise RuntimeError(f"`{state.name}` of {where} must be one real number, not {describe(value)}")


def check_writable(tensor: Tensor, where: str) -> None:
    """Raise torch's RuntimeError for a tensor whose elements share memory, as those of an expanded tensor do."""
    if tensor.layout != torch.strided or tensor.is_contiguous():
        return
    if torch._debug_has_internal_overlap(tensor) == 1:
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            f"Please clone() the tensor before performing the operation. ({where})"
        )


def restored_entry(schema: Schema, group: Group, param: Tensor, entry: Mapping[str, object]) -> Entry:
    """Return single numbers as this runtime makes them, where a pickle or checkpoint has them otherwise.

    Old ones hold plain numbers, and torch loads the counters of a fused optimizer to the parameter's device, where
    reading them would wait for the device at every step. The entry is left as it is.
    """
    restored: Entry = {}
    for state in schema.states:
        value = entry.get(state.name)
        if state.follows_dtype:
            continue
        if not state.is_number:
            if isinstance(value, int | float):
                restored[state.name] = _number_beside(state, param, float(value))
            elif isinstance(value, Tensor):
                dtype = torch.promote_types(value.dtype, number_dtype(state, param.dtype))
                restored[state.name] = value.to(param.device, dtype)
        elif state.integer and not option(group, "capturable") and isinstance(value, int | float | Tensor):
            restored[state.name] = int(value.item() if isinstance(value, Tensor) else value)
        elif isinstance(value, int | float):
            restored[state.name] = _scalar(state, group, param, float(value))
        elif isinstance(value, Tensor):
            # torch's loader rounds scalar states to the parameter's dtype; what is lost is lost, but no more will be.
            dtype = scalar_dtype() if value.dtype in (torch.bfloat16, torch.float16) else value.dtype
            dtype = torch.float64 if state.float64 else dtype
            restored[state.name] = value.to(_device_of_scalar(state, group, param), dtype)
    return restored


def _scalar(state: State, group: Group, param: Tensor, value: float) -> Tensor:
    """Return a new 0-d tensor for a counter or scalar state."""
    # Not `torch.full`, whose value fake tensors forget.
    dtype = torch.float64 if state.float64 or state.integer else scalar_dtype()
    return torch.tensor(fitting(value, dtype), dtype=dtype, device=_device_of_scalar(state, group, param))


def _device_of_scalar(state: State, group: Group, param: Tensor) -> torch.device:
    """Return the device on which a counter or scalar state of a parameter is kept."""
    beside_param = state.on_param_device or bool(option(group, "capturable"))
    return param.device if beside_param else torch.device("cpu")


def describe(tensor: Tensor) -> str:
    """Return dtype and shape of a tensor in words, for messages."""
    return f"a {tensor.dtype} tensor of shape {tuple(tensor.shape)}"


def listed(names: Iterable[object]) -> str:
    """Return names in backquotes with commas between them, for messages."""
    return ", ".join(f"`{name}`" for name in names)
