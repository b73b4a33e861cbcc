"""Whatever a program may do to an optimizer between steps, in random order, done to two of them side by side.

A `World` is one optimizer with its parameters. An action takes a world and a number that decides its details, so that
two worlds can be told to do the same. Run as a program (`python adversary.py EXAMPLES NAMES...`), it drives fused steps
alone, for sanitizers.
"""

from __future__ import annotations

import gc
import importlib
import random
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tests.support import adversary_actions as actions
from tests.support.adversary_mistakes import mistake
from tests.support.adversary_world import Action, Switch, World

TRAINING: Sequence[Action] = (actions.train, actions.train, actions.train, actions.step, actions.step_with_closure)
ACTIONS: Sequence[Action] = (
    *TRAINING,
    actions.some_gradients,
    actions.gradient_in_another_form,
    actions.gradient_in_another_form,
    actions.gradients_in_one_buffer,
    actions.gradient_in_written_memory,
    actions.zero_gradients,
    actions.add_group,
    actions.remove_group,
    actions.move_parameter,
    actions.freeze,
    actions.another_number,
    actions.another_flag,
    actions.switch_implementation,
    actions.assign_state,
    actions.forget_state,
    actions.forget_all,
    actions.other_entries,
    actions.set_count,
    actions.exchange_parameter,
    actions.swap_data,
    actions.other_storage,
    actions.transpose_data,
    actions.move_state_memory,
    actions.overlap,
    actions.load_own,
    actions.save_and_load_elsewhere,
    actions.copy_deeply,
    actions.pickle_all,
    actions.collect_garbage,
    actions.other_list,
    mistake,
)


Outcome = tuple[type[Exception] | None, object]  # the type of an error and its message, or None and what came back


def done(action: Action, number: int, world: World) -> Outcome:
    """What comes of an action; an assertion of these tests is none."""
    try:
        return None, action(world, number)
    except Exception as error:
        if isinstance(error, AssertionError) and "If capturable=True" not in str(error):
            raise
        return type(error), str(error)


def done_by_both(action: Action, number: int, left: World, right: World) -> None:
    """Either both do it and return the same, or both raise the same type of error."""
    (one, result), (other, expected) = (done(action, number, world) for world in (left, right))
    assert one == other, f"{one} ({result}), but {other} ({expected})"
    if one is None and isinstance(result, float):
        torch.testing.assert_close(result, expected, equal_nan=True, msg="another loss")


Compared = Callable[[int, str, Tensor, Tensor], None]  # the number of a parameter, what of it, and its two values


def compare(left: World, right: World, compared: Compared, shared_rtol: float = 0.0) -> None:
    """Parameters, gradients, states, and what is in groups; numbers that parameters share up to `shared_rtol`."""
    for index, (a, b) in enumerate(zip(left.params, right.params, strict=True)):
        compared(index, "value", a.detach(), b.detach())
        assert (a.grad is None) == (b.grad is None)
        if a.grad is not None and b.grad is not None:
            compared(index, "gradient", a.grad, b.grad)
        one, other = (world.optimizer.state.get(p, {}) for world, p in ((left, a), (right, b)))
        assert list(one) == list(other), f"parameter {index} has {list(one)}, not {list(other)}"
        for name, value in one.items():
            if isinstance(value, Tensor):
                compared(index, name, value, other[name])
            else:
                assert value == other[name], f"{name} of parameter {index}"
    for ours, theirs in zip(left.optimizer.param_groups, right.optimizer.param_groups, strict=True):
        for key in ours.keys() & theirs.keys() - {"params", "foreach", "fused"}:
            if key in shared_names(left) and shared_rtol:
                torch.testing.assert_close(float(ours[key]), float(theirs[key]), rtol=shared_rtol, atol=1e-6, msg=key)
            else:
                assert ours[key] == theirs[key], key


def shared_names(world: World) -> set[str]:
    """Keys of groups that are numbers which parameters share."""
    return {shared.name for shared in world.optimizer.schema.shared}  # type: ignore[attr-defined]


# Most steps are to be fused.
SWITCHES: Sequence[Switch] = (
    {"fused": True, "foreach": None},
    {"fused": None, "foreach": None},
    {"fused": True, "foreach": None},
    {"fused": None, "foreach": True},
)


def pass_over_what_is_imported() -> None:
    """Let later collections of garbage look at new objects only; else nearly all of the time goes into them."""
    importlib.import_module("torch._dynamo")  # which the first load of a checkpoint imports
    gc.collect()
    gc.freeze()


def main(examples: int, names: Sequence[str]) -> None:
    """After each action a step on new gradients, with errors where there are any; memory is given back between."""
    import thetac
    from thetac.runtime.implementations.launch_cpp import CppLauncher

    launch, launches = CppLauncher.launch, 0

    def counted(launcher: CppLauncher, *arguments: Any) -> None:
        nonlocal launches
        launches += 1
        launch(launcher, *arguments)

    CppLauncher.launch = counted  # type: ignore[method-assign]
    pass_over_what_is_imported()
    chance = random.Random(0)
    for example in range(examples):
        name = names[example % len(names)]

        def make(params: Sequence[Tensor] | Sequence[dict[str, object]], name: str = name) -> torch.optim.Optimizer:
            momentum = {"momentum": 0.9} if name in ("SGD", "Signum") else {}
            optimizer: torch.optim.Optimizer = getattr(thetac, name)(params, lr=0.01, fused=True, **momentum)
            return optimizer

        world = World(make, (torch.float32, torch.complex64)[example // len(names) % 2], SWITCHES)
        for number in range(25):
            done(chance.choice(ACTIONS), chance.randrange(1 << 16), world)
            done(actions.train, number, world)
            if chance.random() < 0.3:
                gc.collect()
    assert launches > 20 * examples, "most steps have to be fused"


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
    print("done")
