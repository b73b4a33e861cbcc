"""Replace DTensors by their local tensors, at every step of a plan.

In: the tensors of a step, as groups and `optimizer.state` have them. Out: the same with the shards of this process, or
what has changed. Must not know what is expected of the shards, which guards check as they check any tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.step_tensors import FIRST_STATE, GRAD, PARAM, StepTensors
from thetac.runtime.tensor_facts.dtensors import (
    RedistributedGradients,
    are_dtensors,
    can_be_redistributed,
    get_local,
    is_dtensor,
)

_shard_of, _spec_of = attrgetter("_local_tensor"), attrgetter("_spec")


class Shards:
    """Where there are DTensors among the tensors of a step, and how they are placed; holds specs, no tensor."""

    def __init__(self, members: Sequence[Member], states: int) -> None:
        known = [member.global_tensors for member in members]
        self._params = [position for position, one in enumerate(known) if one is not None]
        lists: list[tuple[int, list[object]]] = [(PARAM, [None if one is None else one.param for one in known])]
        for index in range(states):
            of_state: list[object] = [None if one is None else one.states[index] for one in known]
            lists.append((FIRST_STATE + index, of_state))
        self._written: list[tuple[int, list[int], list[object]]] = []
        for number, tensors in lists:
            found = [(position, tensor) for position, tensor in enumerate(tensors) if is_dtensor(tensor)]
            if found:
                specs: list[object] = [tensor._spec for _, tensor in found]
                self._written.append((number, [position for position, _ in found], specs))

    def local_tensors(self, tensors: StepTensors, placed: RedistributedGradients) -> StepTensors | str:
        """Replace the DTensors of a step by their local tensors.

        Args:
            tensors: The tensors of the step, as groups and `optimizer.state` have them.
            placed: The gradients of the step that have been redistributed so far; more are added as needed.

        Returns:
            The local tensors, or in words what has changed of the DTensors.

        Raises:
            RuntimeError: A gradient cannot be redistributed.
        """
        lists, written = list(tensors.lists), list(tensors.written_dtensors)
        params: list[Any] = tensors.params
        local_grads = list(tensors.grads)
        for position in self._params:
            param, grad = params[position], tensors.grads[position]
            if not is_dtensor(param) or not is_dtensor(grad) or not can_be_redistributed(param, grad):
                return "a gradient is no DTensor like its parameter"
            local_grads[position] = get_local(placed.redistribute(param, grad, "a parameter"))
        for number, positions, specs in self._written:
            found = tensors.lists[number]
            mine = [found[position] for position in positions]
            if not are_dtensors(mine) or list(map(_spec_of, mine)) != specs:
                return "a DTensor is placed otherwise"
            local = list(found)
            for position, shard in zip(positions, map(_shard_of, mine), strict=True):
                local[position] = shard
            lists[number] = local
            written += mine
        lists[GRAD] = local_grads
        return StepTensors(lists, written)
