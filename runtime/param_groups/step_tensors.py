"""The tensors of a step, listed again at every step: between steps nothing here keeps a user's tensor alive.

In: parameter groups and `optimizer.state`, as users have left them. Out: lists of parameters, gradients and states, one
item per member, or what has changed so that a plan cannot find them any more. The lists live as long as the step: what
a user drops or replaces meanwhile, in another thread or a hook, stays until the step is over. Must not know what is
expected of the tensors: `stepping/guards.py` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress, repeat
from operator import is_not

from torch import Tensor

from thetac.runtime.param_groups.members import Member
from thetac.runtime.param_groups.state import Entry
from thetac.runtime.schema import Schema
from thetac.runtime.tensor_facts.memory import pack_integers
from thetac.runtime.tensor_facts.reader_choice import load_reader
from thetac.runtime.tensor_facts.selection import Selection

OTHER_PARAMETERS = "there are other parameters"
OTHER_GRADIENTS = "other parameters have gradients"
OTHER_STATE = "the state of a parameter lies elsewhere in `optimizer.state`"

PARAM, GRAD, FIRST_STATE = 0, 1, 2  # indices into `StepTensors.lists`


@dataclass(slots=True)
class StepTensors:
    """The local tensors of all members, in one order."""

    lists: list[list[Tensor]]  # parameters, gradients, then one per state; empty for a state that no member has
    written_dtensors: list[Tensor] = field(default_factory=list)  # parameters and states with local shards in the lists

    @property
    def params(self) -> list[Tensor]:
        return self.lists[PARAM]

    @property
    def grads(self) -> list[Tensor]:
        return self.lists[GRAD]

    @property
    def states(self) -> list[list[Tensor]]:
        return self.lists[FIRST_STATE:]


def tensors_of(members: Sequence[Member], states: int) -> StepTensors:
    """Return the tensors of members that were gathered for this step.

    Args:
        members: The members.
        states: The number of states of the schema.

    Returns:
        Their lists; the list of a state has None for members without it, and is empty if no member has it.
    """
    of_states = [[member.states[index] for member in members] for index in range(states)]
    of_states = [tensors if any(tensor is not None for tensor in tensors) else [] for tensors in of_states]
    return StepTensors(
        [[member.param for member in members], [member.grad for member in members], *of_states]  # type: ignore[list-item]
    )


class Listing:
    """How the tensors of a plan's members are found in groups and state; holds names and positions, no tensor."""

    def __init__(
        self, schema: Schema, lists: Sequence[list[Tensor]], members: Sequence[Member], state: Mapping[Tensor, Entry]
    ) -> None:
        self._reader = load_reader()
        self._counts = list(map(len, lists))
        present = [[False] * count for count in self._counts]
        for member in members:
            present[member.group][member.position] = True
        has_gradient = list(chain.from_iterable(present))
        self._has_gradient = None if all(has_gradient) else has_gradient
        having = [
            [position for position, member in enumerate(members) if member.states[index] is not None]
            for index in range(len(schema.states))
        ]
        self._existing = [index for index, found in enumerate(having) if found]
        self._names = [schema.states[index].name for index in self._existing]
        self._nothing: list[list[Tensor]] = [[] for _ in schema.states]
        self._with_entries = Selection(sorted({position for found in having for position in found}), len(members))
        position_of = {param: position for position, param in enumerate(state)} if self._with_entries.count else {}
        self._positions_in_state = pack_integers(
            [position_of[members[position].known_param] for position in self._with_entries.positions]
        )

    def tensors(self, lists: Sequence[list[Tensor]], state: Mapping[Tensor, Entry]) -> StepTensors | str:
        """List the tensors of the members as they are now.

        Args:
            lists: The parameters of each group.
            state: `optimizer.state`.

        Returns:
            The tensors, with None for a state that is missing; or in words what has changed of parameters, gradients
            or `optimizer.state`.
        """
        if list(map(len, lists)) != self._counts:
            return OTHER_PARAMETERS
        params = list(lists[0]) if len(lists) == 1 else list(chain.from_iterable(lists))
        grads = self._reader.read_gradients(params)
        if self._has_gradient is not None:
            if list(map(is_not, grads, repeat(None))) != self._has_gradient:
                return OTHER_GRADIENTS
            params = list(compress(params, self._has_gradient))
            grads = list(compress(grads, self._has_gradient))
        states = list(self._nothing)
        if self._names:
            having = self._with_entries.select(params)
            entries = self._reader.read_entries(list(state), list(state.values()), having, self._positions_in_state)
            if entries is None:
                return OTHER_STATE
            found = self._reader.read_items(entries, self._names)
            for index, tensors in zip(self._existing, found, strict=True):
                states[index] = self._with_entries.scatter(tensors)
        return StepTensors([params, grads, *states])
