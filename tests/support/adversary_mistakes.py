"""Mistakes of a program, after each of which an optimizer is as it was before."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from tests.support.adversary_world import World
from tests.support.every_optimizer import ours
from tests.support.runtime_helpers import assert_unchanged, picture

# Each says what raises, and puts right what it has spoilt.


@contextmanager
def _sparse_gradient(world: World, number: int) -> Iterator[Callable[[], object]]:
    param = world.params[0]
    # torch finds out about the first after it has written; the second is no mistake, and equal to rounding only.
    in_rows = ours(type(world.optimizer).__name__).schema.sparse == "rows"
    if world.optimizer.param_groups[0].get("nesterov") or in_rows:
        yield lambda: None
    else:
        grad, param.grad = param.grad, world.random(param, number).to_sparse()
        yield world.optimizer.step
        param.grad = grad


@contextmanager
def _elements_in_one_place(world: World, number: int) -> Iterator[Callable[[], object]]:
    param = world.params[0]
    data = param.data
    param.data = data.reshape(-1)[:1].expand(data.numel()).reshape(-1).as_strided(data.shape, [0] * data.dim())
    yield world.optimizer.step
    param.data = data


@contextmanager
def _state_of_another_shape(world: World, number: int) -> Iterator[Callable[[], object]]:
    param, states = world.params[0], world.states(0)
    if param.dim() == 2 and states:
        name = sorted(states)[number % len(states)]
        world.optimizer.state[param][name] = states[name].new_ones((7, 11))
        yield world.optimizer.step
        world.optimizer.state[param][name] = states[name]
    else:
        yield lambda: None


@contextmanager
def _an_option_for_other_devices(world: World, number: int) -> Iterator[Callable[[], object]]:
    group = world.optimizer.param_groups[0]
    if "capturable" in group:
        group["capturable"] = True
        yield world.optimizer.step
        group["capturable"] = False
    else:
        yield lambda: None


@contextmanager
def _closure_that_raises(world: World, number: int) -> Iterator[Callable[[], object]]:
    def closure() -> float:
        raise ArithmeticError

    yield lambda: world.optimizer.step(closure)


@contextmanager
def _parameter_of_two_groups(world: World, number: int) -> Iterator[Callable[[], object]]:
    yield lambda: world.optimizer.add_param_group({"params": [world.param(number)]})


@contextmanager
def _checkpoint_of_another_size(world: World, number: int) -> Iterator[Callable[[], object]]:
    checkpoint = copy.deepcopy(world.optimizer.state_dict())
    if number // 16 % 2:
        checkpoint["param_groups"].append(checkpoint["param_groups"][0])
    else:
        checkpoint["param_groups"][0]["params"].append(len(world.params))
    yield lambda: world.optimizer.load_state_dict(checkpoint)


MISTAKES = (
    _sparse_gradient,
    _elements_in_one_place,
    _state_of_another_shape,
    _an_option_for_other_devices,
    _closure_that_raises,
    _parameter_of_two_groups,
    _checkpoint_of_another_size,
)


def mistake(world: World, number: int) -> None:
    """What raises has changed nothing."""
    with MISTAKES[number % len(MISTAKES)](world, number) as attempt:
        before = picture(world.optimizer)
        values = [(tensor, tensor.detach().clone()) for tensor in _all_tensors(world.optimizer)]
        entries = {param: dict(entry) for param, entry in world.optimizer.state.items()}
        error: Exception | None = None
        try:
            attempt()
        except Exception as raised:
            error = raised
            if world.of_torch:
                _restore(world.optimizer, values, entries)
            else:
                assert_unchanged(before, world.optimizer)
    if error is not None:
        raise error


def _all_tensors(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    states = [value for entry in optimizer.state.values() for value in entry.values()]
    params = [param for group in optimizer.param_groups for param in group["params"]]
    return [tensor for tensor in (*params, *states) if isinstance(tensor, Tensor)]


def _restore(
    optimizer: torch.optim.Optimizer, values: list[tuple[Tensor, Tensor]], entries: Mapping[Tensor, dict[str, object]]
) -> None:
    optimizer.state.clear()
    optimizer.state.update(entries)
    with torch.no_grad():
        for tensor, value in values:
            if torch._debug_has_internal_overlap(tensor) != 1:
                tensor.copy_(value)
