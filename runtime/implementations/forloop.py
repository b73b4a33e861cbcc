"""Runs the generated for-loop: on host scalars, on tensors, and on the stored values of sparse gradients.

In: members of one group that were gathered and checked. Out: nothing; parameters and state are updated in place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from thetac.runtime.implementations.executor import Unfinished
from thetac.runtime.implementations.generated_modules import TakenScalars, forloop_of, keywords_of, taken
from thetac.runtime.implementations.global_tensors import on_global_tensors
from thetac.runtime.implementations.rehearsal import Rehearsal
from thetac.runtime.implementations.scalar_states import scalar_states_of
from thetac.runtime.implementations.widened import Step, one_by_one, widened, widens
from thetac.runtime.param_groups.grad_scaling import Scaling, sum_of_squares
from thetac.runtime.param_groups.groups import HostScalars, option, values_of
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.shared_numbers import numbers_of, scalars_of, tensors_of
from thetac.runtime.param_groups.step_tensors import StepTensors
from thetac.runtime.schema import Group, Schema
from thetac.runtime.tensor_facts.dtensors import is_dtensor
from thetac.runtime.tensor_facts.selection import Selection
from thetac.runtime.tensors import Scalar, where
from thetac.runtime.totals import Totals, in_context
from thetac.shape_numbers import SHAPE_NUMBERS


class ForLoopExecutor:
    """Updates one parameter of a group after the other, with host scalars."""

    def __init__(self, schema: Schema, members: Sequence[Member], selection: Selection, tensors: StepTensors) -> None:
        self._schema = schema
        step = forloop_of(schema.package).step
        self._taken = TakenScalars(keywords_of(step))
        self._step = _in_computing_dtype(schema, step, members)
        self._numbers = numbers_of_params(schema, members, keywords_of(step))
        self._rehearsal = Rehearsal(schema)
        self._group = members[0].group
        self._selection = selection
        self._scalar_states = scalar_states_of(schema, members, selection, tensors)
        self._created = [member.created for member in members]
        self._values: HostScalars = {}  # those of the group that the step takes

    def check(self, tensors: StepTensors) -> str:
        """See `Executor`."""
        for state in self._scalar_states:
            if why := state.check(tensors):
                return why
        return ""

    def refresh(self, groups: Sequence[Group], host_scalars: Mapping[int, HostScalars], tensors: StepTensors) -> None:
        """Take the host scalars of the group; raise torch's error for one that torch would refuse."""
        self._values = self._taken.pick(host_scalars[self._group])
        if self._schema.shared:
            self._values = {**self._values, **numbers_of(self._schema, groups[self._group])}
        if self._rehearsal.is_needed(self._values):
            states = _per_param(self._schema, self._selection, tensors, self._created, self._numbers)
            params, grads = self._selection.select(tensors.params), self._selection.select(tensors.grads)
            self._rehearsal.of(self._step, params, grads, states)

    def sum_of_squares(self, tensors: StepTensors) -> Tensor:
        """See `Executor`."""
        return sum_of_squares(self._selection.select(tensors.grads))

    def can_skip_on_device(self, tensors: StepTensors) -> bool:
        """Return False: the host reads counters in every step."""
        return False

    def run(self, tensors: StepTensors, scaling: Scaling) -> Unfinished | None:
        """See `Executor`."""
        params, grads = self._selection.select(tensors.params), self._selection.select(tensors.grads)
        states = _per_param(self._schema, self._selection, tensors, self._created, self._numbers)
        if self._schema.waits:
            return Unfinished(self._group, self._step(params, scaling.apply(grads), **states, **self._values))
        if _by_rows(self._schema, grads):
            _step_each(self._schema, params, grads, states, self._step, self._values, scaling)
        elif scaling:
            # One by one, so that at most one scaled copy exists at a time.
            for index, (param, grad) in enumerate(zip(params, grads, strict=True)):
                self._step([param], scaling.apply([grad]), **_at(states, index), **self._values)
        else:
            self._step(params, grads, **states, **self._values)
        return None

    def finish(self) -> None:
        """See `Executor`."""
        self._created = [False] * len(self._created)


class OnTensorsExecutor:
    """Updates one parameter after the other in tensor arithmetic: nothing is read on the host, autograd can record."""

    def __init__(self, schema: Schema, members: Sequence[Member], selection: Selection) -> None:
        self._schema = schema
        step = forloop_of(schema.package).step_on_tensors
        self._takes = keywords_of(step)
        self._step = _in_computing_dtype(schema, step, members)
        self._numbers = numbers_of_params(schema, members, self._takes)
        self._group = members[0].group
        self._device = members[0].param.device
        self._created = [member.created for member in members]
        self._selection = selection
        self._values: dict[str, object] = {}
        self._capturable = self._differentiable = False

    def check(self, tensors: StepTensors) -> str:
        """Return an empty string: the executor is used for one step only."""
        return ""

    def refresh(self, groups: Sequence[Group], host_scalars: Mapping[int, HostScalars], tensors: StepTensors) -> None:
        """Take the values of the group, tensors among them."""
        group = groups[self._group]
        self._differentiable = bool(option(group, "differentiable"))
        self._capturable = bool(option(group, "capturable")) or not self._differentiable
        options = {"capturable": self._capturable, "differentiable": self._differentiable}
        self._values = taken(self._takes, {**values_of(self._schema, group), **options})
        if self._schema.shared:
            with torch.set_grad_enabled(self._differentiable):
                shared_of = tensors_of if self._capturable else scalars_of
                self._values |= shared_of(self._schema, group, self._device)

    def sum_of_squares(self, tensors: StepTensors) -> Tensor:
        """See `Executor`."""
        with torch.set_grad_enabled(self._differentiable):
            return sum_of_squares(self._selection.select(tensors.grads))

    def can_skip_on_device(self, tensors: StepTensors) -> bool:
        """Return whether the group is capturable, not differentiable, and no gradient is sparse."""
        if any(grad.is_sparse for grad in self._selection.select(tensors.grads)):
            return False
        return self._capturable and not self._differentiable

    def run(self, tensors: StepTensors, scaling: Scaling) -> Unfinished | None:
        """See `Executor`."""
        params, grads = self._selection.select(tensors.params), self._selection.select(tensors.grads)
        states = _per_param(self._schema, self._selection, tensors, self._created, self._numbers)
        if self._schema.waits:
            with torch.set_grad_enabled(self._differentiable):
                scaled = scaling.apply(grads)
            rest: Totals[Scalar] = self._step(params, scaled, **states, **self._values)
            rest = in_context(rest, lambda: torch.set_grad_enabled(self._differentiable))
            if scaling.found_inf is not None:
                rest = self._undone(rest, params, states, scaling)
            return Unfinished(self._group, rest, self._device)
        with torch.set_grad_enabled(self._differentiable):
            if scaling.found_inf is not None:
                self._run_or_undo(params, grads, states, scaling)
            elif _by_rows(self._schema, grads):
                _step_each(self._schema, params, grads, states, self._step, self._values, scaling)
            else:
                self._step(params, scaling.apply(grads), **states, **self._values)
        return None

    def _run_or_undo(
        self, params: list[Tensor], grads: list[Tensor], states: Mapping[str, list[Any]], scaling: Scaling
    ) -> None:
        """Update parameters one by one, so that copies of at most one parameter and its state exist at a time."""
        for index, param in enumerate(params):
            mine = _at(states, index)
            before = _copied([param], mine)
            _step_each(self._schema, [param], [grads[index]], mine, self._step, self._values, scaling)
            _restore_skipped(before, scaling)

    def _undone(
        self, rest: Totals[Scalar], params: list[Tensor], states: Mapping[str, list[Any]], scaling: Scaling
    ) -> Totals[Scalar]:
        """Run a step from total to total, and restore what it has written where the step is one to skip."""
        before = _copied(params, states)
        shared = yield from rest
        _restore_skipped(before, scaling)
        skipped = scaling.is_skipped_on(self._device)
        return {name: where(skipped, cast(Tensor, self._values[name]), value) for name, value in shared.items()}

    def finish(self) -> None:
        """Do nothing: the executor is used for one step only."""


def _copied(params: Sequence[Tensor], states: Mapping[str, list[Any]]) -> list[tuple[Tensor, Tensor]]:
    """Return parameters and states, each with a copy."""
    values = [value for listed in states.values() for value in listed if isinstance(value, Tensor)]
    return [(tensor, tensor.clone()) for tensor in (*params, *values)]


def _restore_skipped(before: Sequence[tuple[Tensor, Tensor]], scaling: Scaling) -> None:
    """Copy tensors back from their copies where the step is one to skip, which only the device knows."""
    for tensor, old in before:
        tensor.copy_(torch.where(scaling.is_skipped_on(tensor.device), old, tensor))


def _in_computing_dtype(schema: Schema, step: Step, members: Sequence[Member]) -> Step:
    """Return the step for some members: widened where some member is not computed in its own dtype."""
    if schema.reduces and any(is_dtensor(member.param) for member in members):
        step = on_global_tensors(step, waits=schema.waits)
    return one_by_one(schema, widened(schema, step)) if any(widens(schema, member) for member in members) else step


def _by_rows(schema: Schema, grads: Sequence[Tensor]) -> bool:
    """Return whether some gradient is sparse and the rule runs on its stored rows."""
    return schema.sparse == "rows" and any(grad.is_sparse for grad in grads)


def _step_each(
    schema: Schema,
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    states: Mapping[str, list[Any]],
    step: Step,
    values: Mapping[str, object],
    scaling: Scaling,
) -> None:
    """Update the parameters one by one, in their order."""
    for index, (param, unscaled) in enumerate(zip(params, grads, strict=True)):
        (grad,) = scaling.apply([unscaled])
        if grad.is_sparse:
            _step_on_stored_rows(schema, param, grad, _at(states, index), step, values)
        else:
            step([param], [grad], **_at(states, index), **values)


def numbers_of_params(schema: Schema, members: Sequence[Member], takes: frozenset[str]) -> dict[str, list[float]]:
    """Return the keywords for the numbers of parameters that a function takes: lists with one item per member."""
    wanted = [SHAPE_NUMBERS[name] for name in schema.shape_numbers]
    return {one.listed: [member.shape[one.name] for member in members] for one in wanted if one.listed in takes}


def _per_param(
    schema: Schema,
    selection: Selection,
    tensors: StepTensors,
    created: list[bool],
    numbers: Mapping[str, list[float]],
) -> dict[str, list[Any]]:
    """Return all keywords that are lists with one item per parameter: states, None for a missing one, firsts, numbers.

    Args:
        schema: The schema of the optimizer.
        selection: The parameters among those of the step.
        tensors: The tensors of the step.
        created: Whether the step made the state of each parameter.
        numbers: What `numbers_of_params` has returned.
    """
    keywords: dict[str, list[Any]] = {**numbers}
    for state, listed in zip(schema.states, tensors.states, strict=True):
        keywords[state.argument] = selection.select(listed) if listed else [None] * selection.count
        if state.first:
            keywords[state.first] = created
    return keywords


def _at(keywords: Mapping[str, list[Any]], index: int) -> dict[str, list[Any]]:
    """Return the same keywords for one parameter."""
    return {name: values[index : index + 1] for name, values in keywords.items()}


def _step_on_stored_rows(
    schema: Schema,
    param: Tensor,
    grad: Tensor,
    states: Mapping[str, list[Any]],
    step: Step,
    values: Mapping[str, object],
) -> None:
    """Update only the entries that a sparse gradient stores, as if the parameter had no others.

    The rule need not be linear, so every entry must occur once: the gradient is coalesced first.
    """
    grad = grad.coalesce()
    where = tuple(grad.indices())
    of_elements = {state.argument for state in schema.states if state.like_param}
    if not where:  # all of the parameter is one row, which is stored or not
        where = (torch.zeros(grad.values().shape[:1], dtype=torch.int64, device=param.device),)
        param = param.unsqueeze(0)
        states = {
            name: [one.unsqueeze(0) if name in of_elements and one is not None else one for one in listed]
            for name, listed in states.items()
        }
    rows = {
        name: [tensor[where] if name in of_elements and tensor is not None else tensor for tensor in tensors]
        for name, tensors in states.items()
    }
    of_param = param[where]
    step([of_param], [grad.values()], **rows, **values)
    param[where] = of_param
    for name in of_elements:
        for state, new in zip(states[name], rows[name], strict=True):
            if state is not None:
                state[where] = new
