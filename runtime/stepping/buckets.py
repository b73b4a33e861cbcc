"""Sorts the members of a step into executors: which of them are updated together.

In: assignments. Out: executors, and the parts of the members that guards look at together. Must not know when an
executor runs, nor for how many steps.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import assert_never

from thetac.runtime.implementations.executor import Executor
from thetac.runtime.implementations.foreach import ForeachExecutor
from thetac.runtime.implementations.forloop import ForLoopExecutor, OnTensorsExecutor
from thetac.runtime.implementations.fused import FusedExecutor
from thetac.runtime.implementations.fused_on_device import FusedOnDeviceExecutor
from thetac.runtime.implementations.operator_call import KeptPlans, ObservedFusedExecutor, OperatorExecutor
from thetac.runtime.implementations.sparse_rows import SparseRowsExecutor
from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.step_tensors import StepTensors
from thetac.runtime.schema import Group, Schema
from thetac.runtime.stepping.assignments import Assignment
from thetac.runtime.stepping.guards import GroupReading, Part
from thetac.runtime.stepping.implementation import FUSED, Implementation, launcher_of
from thetac.runtime.tensor_facts.selection import Selection


@dataclass(frozen=True, slots=True)
class Executors:
    """All executors of a step, in the order in which they run."""

    executors: tuple[Executor, ...]
    parts: tuple[Part, ...]  # all members whose tensors can be watched
    launches: int  # of kernels, per step


def form_executors(
    schema: Schema, readings: Sequence[GroupReading], assignments: Sequence[Assignment], tensors: StepTensors
) -> Executors:
    """Return an executor for each group and eager implementation, and one for each bucket of kernels."""
    executors, parts = _form_eager(schema, assignments, tensors)
    launches = 0
    for positions in _buckets(schema, readings, assignments):
        first, inside, selection = _members_at(assignments, positions)
        specialisations = readings[first.member.group].specialisations_of(first.member)
        if first.member.grad.is_sparse:
            by_rows = SparseRowsExecutor(schema, inside, selection, specialisations, tensors)
            executors.append(by_rows)
            launches += by_rows.launches
            continue
        bucket: FusedExecutor | FusedOnDeviceExecutor
        if first.on_device:
            bucket = FusedOnDeviceExecutor(schema, inside, selection, specialisations, tensors)
        else:
            make = launcher_of(first.implementation)
            bucket = FusedExecutor(schema, inside, selection, specialisations, make, tensors)
        executors.append(bucket)
        parts.append(Part(selection, bucket, any_strides=False))
        launches += bucket.launches
    return Executors(tuple(executors), tuple(parts), launches)


def form_observed_executors(
    schema: Schema,
    groups: Sequence[Group],
    readings: Sequence[GroupReading],
    assignments: Sequence[Assignment],
    tensors: StepTensors,
    kept: KeptPlans,
) -> Executors:
    """Return executors for a step that modes observe.

    Where kernels would run there is a call of the operator for the parameters of each group that agree in which states
    they have, or one for each launch where kernels wait for totals.
    """
    executors, _ = _form_eager(schema, assignments, tensors)
    if schema.waits:
        for positions in _buckets(schema, readings, assignments):
            first, inside, selection = _members_at(assignments, positions)
            specialisations = readings[first.member.group].specialisations_of(first.member)
            make = launcher_of(first.implementation)
            executors.append(ObservedFusedExecutor(schema, inside, selection, specialisations, make, tensors))
        return Executors(tuple(executors), (), 0)
    for positions in _sort(
        assignments,
        lambda one: (one.member.group, *(state is not None for state in one.member.states)),
        fused=True,
    ):
        first, inside, selection = _members_at(assignments, positions)
        executors.append(OperatorExecutor(schema, inside, selection, groups[first.member.group], kept))
    return Executors(tuple(executors), (), 0)


def _buckets(schema: Schema, readings: Sequence[GroupReading], assignments: Sequence[Assignment]) -> list[list[int]]:
    """Return positions of those assigned to kernels that can be launched together."""
    return _sort(
        assignments,
        lambda one: (
            one.on_device,
            one.implementation,
            one.member.grad.is_sparse,
            one.member.group if schema.waits else None,
            *_kind_of(schema, one.member),
            *readings[one.member.group].specialisations_of(one.member).values(),
        ),
        fused=True,
    )


def _form_eager(
    schema: Schema, assignments: Sequence[Assignment], tensors: StepTensors
) -> tuple[list[Executor], list[Part]]:
    """Return an executor for each group and implementation that is no kernel, in the order of the groups.

    Where parameters share numbers there is one for each device, as tensors of the numbers are on one.
    """
    executors: list[Executor] = []
    for positions in _sort(
        assignments,
        lambda one: (one.member.group, one.implementation, one.member.param.device if schema.shared else None),
        fused=False,
    ):
        first, inside, selection = _members_at(assignments, positions)
        executors.append(_eager_executor(first.implementation, schema, inside, selection, tensors))
    parts = [
        # What made a parameter fall back may go away again; the for-loop, where asked for, takes any strides.
        Part(Selection(positions, len(assignments)), None, any_strides=not assignments[positions[0]].choice.is_fallback)
        for positions in _sort(
            assignments, lambda one: (one.choice.is_fallback, *_kind_of(schema, one.member)), fused=False
        )
    ]
    return executors, parts


def _eager_executor(
    implementation: Implementation,
    schema: Schema,
    members: Sequence[Member],
    selection: Selection,
    tensors: StepTensors,
) -> Executor:
    """Return the executor of an implementation that calls torch's operations."""
    match implementation:
        case Implementation.FOR_LOOP:
            return ForLoopExecutor(schema, members, selection, tensors)
        case Implementation.FOREACH:
            return ForeachExecutor(schema, members, selection, tensors)
        case Implementation.ON_TENSORS:
            return OnTensorsExecutor(schema, members, selection)
        case Implementation.TRITON | Implementation.CPP:
            raise AssertionError(f"{implementation.value} is no eager implementation")
        case _:
            assert_never(implementation)


def _sort(assignments: Sequence[Assignment], key: Callable[[Assignment], Hashable], *, fused: bool) -> list[list[int]]:
    """Return positions of those assigned to kernels, or of the others, by equal keys in the order of the first ones."""
    found: dict[Hashable, list[int]] = {}
    for position, assignment in enumerate(assignments):
        if (assignment.choice.implementation in FUSED) is fused:
            found.setdefault(key(assignment), []).append(position)
    return list(found.values())


def _members_at(
    assignments: Sequence[Assignment], positions: Sequence[int]
) -> tuple[Assignment, list[Member], Selection]:
    """Return the first assignment, all members, and the positions as executors take them."""
    members = [assignments[position].member for position in positions]
    return assignments[positions[0]], members, Selection(positions, len(assignments))


def _kind_of(schema: Schema, member: Member) -> Iterable[object]:
    """Return what the members that are watched, or launched, together have in common."""
    dtypes = [
        (state is not None, None if state is None or declared.is_number else state.dtype)
        for declared, state in zip(schema.states, member.states, strict=True)
    ]
    return (member.param.device, member.param.dtype, member.grad.dtype, *dtypes)
