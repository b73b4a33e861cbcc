"""Steps computed in a wider dtype than parameters have, for implementations made of torch's operations.

In: a generated step. Out: the same step for tensors of other dtypes. It works on copies in a dtype that holds all of
them, and rounds results once, when they are copied back to parameters and state. Fused kernels compute the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from thetac.runtime.param_groups.members import Member
from thetac.runtime.schema import Schema
from thetac.runtime.totals import Totals, together
from thetac.shape_numbers import SHAPE_NUMBERS

States = Mapping[str, Sequence[Tensor | None]]  # by keyword

HALF = (torch.float16, torch.bfloat16)

Step = Callable[..., Any]  # that of a rule which waits for totals is a generator


def dtype_holding(schema: Schema, tensors: Sequence[Tensor]) -> torch.dtype:
    """Return a dtype that holds all of them, and at least float32 where the rule asks for it."""
    dtype = reduce(torch.promote_types, (tensor.dtype for tensor in tensors))
    return torch.float32 if dtype in HALF and schema.half_precision == "float32" else dtype


def computing_dtype(schema: Schema, member: Member) -> torch.dtype:
    """Return the dtype that for-loop and foreach compute a parameter in."""
    return dtype_holding(schema, _computed_with(schema, member))


def widens(schema: Schema, member: Member) -> bool:
    """Return whether `computing_dtype` differs from the dtype of the parameter, the gradient or some state."""
    dtype = computing_dtype(schema, member)
    return any(tensor.dtype is not dtype for tensor in _computed_with(schema, member))


def mixes_dtypes(schema: Schema, member: Member) -> bool:
    """Return whether some state has another dtype than its parameter."""
    return any(state.dtype is not member.param.dtype for state in _states(schema, member))


def _computed_with(schema: Schema, member: Member) -> tuple[Tensor, ...]:
    """Return parameter, gradient and states with a number per element, row or column."""
    return (member.param, member.grad, *_states(schema, member))


def _states(schema: Schema, member: Member) -> list[Tensor]:
    """Return the existing states that are computed in the parameter's dtype."""
    return [
        state
        for declared, state in zip(schema.states, member.states, strict=True)
        if state is not None and declared.follows_dtype
    ]


def widened(schema: Schema, step: Step) -> Step:
    """Return the same step for lists of tensors of any dtypes, where each list has one dtype."""
    of_elements = [state.argument for state in schema.states if state.follows_dtype]

    def on_copies(params: Sequence[Tensor], grads: Sequence[Tensor], **keywords: Any) -> None:
        """Run the step on widened copies, and copy the results back."""
        narrow = {name: keywords[name] for name in of_elements}
        wide_params, wide_grads, wide = _widened(schema, params, grads, narrow)
        step(wide_params, wide_grads, **{**keywords, **wide})
        _store_all(params, narrow, wide_params, wide)

    def waiting_on_copies(params: Sequence[Tensor], grads: Sequence[Tensor], **keywords: Any) -> Totals[Any]:
        """Run the step from total to total on widened copies, and copy the results back."""
        narrow = {name: keywords[name] for name in of_elements}
        wide_params, wide_grads, wide = _widened(schema, params, grads, narrow)
        shared: Mapping[str, Any] = yield from step(wide_params, wide_grads, **{**keywords, **wide})
        _store_all(params, narrow, wide_params, wide)
        return shared

    return waiting_on_copies if schema.waits else on_copies


def _widened(
    schema: Schema, params: Sequence[Tensor], grads: Sequence[Tensor], states: States
) -> tuple[list[Tensor], list[Tensor], dict[str, list[Tensor | None]]]:
    """Return parameters, gradients and states in a dtype that holds all of them."""
    firsts = (tensors[0] for tensors in (params, grads, *states.values()) if tensors)
    dtype = dtype_holding(schema, [tensor for tensor in firsts if tensor is not None])
    wide = {name: [_to(tensor, dtype) for tensor in tensors] for name, tensors in states.items()}
    return [param.to(dtype) for param in params], [grad.to(dtype) for grad in grads], wide


def _store_all(params: Sequence[Tensor], states: States, wide_params: Sequence[Tensor], wide: States) -> None:
    """Copy results back to parameters and states."""
    for param, result in zip(params, wide_params, strict=True):
        _store(param, result)
    for name, narrow in states.items():
        for state, computed in zip(narrow, wide[name], strict=True):
            if state is not None and computed is not None:
                _store(state, computed)


def one_by_one(schema: Schema, step: Step) -> Step:
    """Return the same step of a for-loop, called for one parameter at a time, so that only its copies exist."""
    per_param = [*(state.argument for state in schema.states), *(state.first for state in schema.states if state.first)]
    numbers = [SHAPE_NUMBERS[name].listed for name in schema.shape_numbers]

    def each(params: Sequence[Tensor], grads: Sequence[Tensor], **keywords: Any) -> None:
        """Run the step for one parameter after the other."""
        listed = [*per_param, *(name for name in numbers if name in keywords)]
        for index in range(len(params)):
            own = {name: keywords[name][index : index + 1] for name in listed}
            step(params[index : index + 1], grads[index : index + 1], **{**keywords, **own})

    def each_waiting(params: Sequence[Tensor], grads: Sequence[Tensor], **keywords: Any) -> Totals[Any]:
        """Run the steps of the parameters together, from total to total."""
        listed = [*per_param, *(name for name in numbers if name in keywords)]
        return together(
            [
                step([param], [grad], **{**keywords, **{name: keywords[name][index : index + 1] for name in listed}})
                for index, (param, grad) in enumerate(zip(params, grads, strict=True))
            ]
        )

    return each_waiting if schema.waits else each


def _store(tensor: Tensor, result: Tensor) -> None:
    if result is not tensor:
        tensor.copy_(result)


def _to(tensor: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if tensor is None else tensor.to(dtype)
