"""What a program may do to an optimizer between steps, and steps; a number decides the details of each."""

from __future__ import annotations

import copy
import gc
import io
import pickle
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tests.support.adversary_world import World


def step(world: World, number: int) -> None:
    world.optimizer.step()


def train(world: World, number: int) -> None:
    """New gradients for all, then a step: what happens most of the time."""
    for index, param in enumerate(world.params):
        param.grad = world.random(param, number + index)
    world.optimizer.step()


def step_with_closure(world: World, number: int) -> float:
    def closure() -> Tensor:
        assert torch.is_grad_enabled()
        world.optimizer.zero_grad()
        loss = sum(((param - 0.5).abs() ** 2).sum() for param in world.params if param.requires_grad)
        if isinstance(loss, Tensor):
            loss.backward()
        return torch.as_tensor(loss)

    return float(world.optimizer.step(closure).detach())  # type: ignore[arg-type]


def some_gradients(world: World, number: int) -> None:
    for index, param in enumerate(world.params):
        param.grad = world.random(param, number) if (number >> index) & 1 else None


def gradient_in_another_form(world: World, number: int) -> None:
    """At the same address as before, where there is one and the form allows it."""
    param = world.param(number)
    memory = param.grad if param.grad is not None else world.random(param, number)
    memory = memory.detach().contiguous()
    forms: list[Callable[[], Tensor]] = [
        lambda: memory,
        lambda: memory.transpose(0, -1) if param.dim() > 1 and param.shape[0] == param.shape[-1] else memory,
        lambda: memory[:1].expand(param.shape) if param.dim() and param.shape[0] else memory,
        lambda: torch._neg_view(memory),
        lambda: memory.conj() if memory.is_complex() else torch.stack((memory, memory), -1)[..., 0],
        lambda: torch.cat((memory.reshape(-1)[:0], memory.reshape(-1))).reshape(param.shape),
    ]
    grad = forms[number % len(forms)]()
    param.grad = grad.resolve_conj() if world.of_torch else grad


def gradients_in_one_buffer(world: World, number: int) -> None:
    """As communication leaves them."""
    buffer = torch.cat([world.random(param, number).reshape(-1) for param in world.params])
    start = number % 2  # where they are not aligned
    buffer = torch.cat((buffer[:start], buffer))
    for param in world.params:
        param.grad = buffer[start : start + param.numel()].reshape(param.shape)
        start += param.numel()


def gradient_in_written_memory(world: World, number: int) -> None:
    """Of the parameter itself, of its state, or of another parameter."""
    first, last = world.params[0], world.params[5 % len(world.params)]
    memories = [first.detach(), *world.states(0).values()]
    if last.dim() == 2 and first.dim() == 2 and last.shape[0] >= first.shape[0] and last.shape[1] >= first.shape[1]:
        memories.append(last.detach()[: first.shape[0], : first.shape[1]])
    first.grad = memories[number % len(memories)]


def zero_gradients(world: World, number: int) -> None:
    for param in world.params:
        if param.grad is not None:
            param.grad = param.grad.resolve_neg()  # torch's functions on lists write to no other
    world.optimizer.zero_grad(set_to_none=bool(number & 1))


def add_group(world: World, number: int) -> None:
    if len(world.optimizer.param_groups) < 3:
        values = torch.randn((3, 2), generator=torch.Generator().manual_seed(number), dtype=world.dtype)
        group: dict[str, object] = {"params": [world.parameter(values)]}
        if number & 1:
            group["lr"] = 0.02
        world.optimizer.add_param_group(group)


def remove_group(world: World, number: int) -> None:
    if len(world.optimizer.param_groups) > 1:
        for param in world.optimizer.param_groups.pop()["params"]:
            world.optimizer.state.pop(param, None)


def move_parameter(world: World, number: int) -> None:
    """To another group; its state stays."""
    first, *_, last = (world.optimizer.param_groups * 2)[: max(2, len(world.optimizer.param_groups))]
    if len(first["params"]) > 2:
        last["params"].append(first["params"].pop(number % len(first["params"])))


def freeze(world: World, number: int) -> None:
    world.param(number).requires_grad_(not world.param(number).requires_grad)


def another_number(world: World, number: int) -> None:
    group = world.optimizer.param_groups[number % len(world.optimizer.param_groups)]
    group["lr"] = torch.tensor(0.003) if world.tensor_rates and number % 5 == 0 else 0.001 * (1 + number % 7)
    if "weight_decay" in group and not isinstance(group["weight_decay"], Tensor):
        group["weight_decay"] = (0, 0.01, 0.1)[number % 3]


def another_flag(world: World, number: int) -> None:
    group = world.optimizer.param_groups[0]
    group["maximize"] = not group.get("maximize", False)


def switch_implementation(world: World, number: int) -> None:
    for group in world.optimizer.param_groups:
        group.update(world.switches[number % len(world.switches)])


def assign_state(world: World, number: int) -> None:
    param = world.param(number)
    for name, value in world.states(number).items():
        world.kept.append(value)
        world.optimizer.state[param][name] = value * 0.5 if number & 1 else value.clone()


def forget_state(world: World, number: int) -> None:
    world.optimizer.state.pop(world.param(number), None)


def other_entries(world: World, number: int) -> None:
    """Equal ones, in other dictionaries."""
    state = world.optimizer.state
    if number & 1:
        world.optimizer.state = defaultdict(dict, {param: dict(entry) for param, entry in state.items()})
    else:
        for param in list(state):
            state[param] = dict(state[param])


def forget_all(world: World, number: int) -> None:
    world.optimizer.state.clear()


def set_count(world: World, number: int) -> None:
    count = world.optimizer.state.get(world.param(number), {}).get("step")
    if isinstance(count, Tensor):
        count.fill_(2 + number % 5)


def exchange_parameter(world: World, number: int) -> None:
    """Another parameter in the same place takes over the state."""
    for group in world.optimizer.param_groups:
        old = group["params"][0]
        new = world.parameter(old.detach().clone() * 0.5)
        new.grad = old.grad
        group["params"][0] = new
        if old in world.optimizer.state:
            world.optimizer.state[new] = world.optimizer.state.pop(old)


def swap_data(world: World, number: int) -> None:
    param = world.param(number)
    world.kept = world.kept[-4:]
    if number % 3 == 0:
        world.kept.append(param.data)
    param.data = param.data.clone() if number & 1 else torch.cat((param.data.reshape(-1),)).reshape(param.shape)


def other_storage(world: World, number: int) -> None:
    """The same tensor objects, in other memory."""
    param = world.param(number)
    new = param.detach().clone()
    if number & 1:
        with torch.no_grad():
            param.set_(new)
    else:
        torch.utils.swap_tensors(param, torch.nn.Parameter(new, requires_grad=param.requires_grad))


def transpose_data(world: World, number: int) -> None:
    param = world.param(number)
    if param.dim() == 2 and param.shape[0] == param.shape[1]:
        param.data = param.data.t()


def move_state_memory(world: World, number: int) -> None:
    for value in world.states(number).values():
        value.data = value.data.clone()


def overlap(world: World, number: int) -> None:
    """Two parameters in one memory, or no longer."""
    first, last = world.params[0], world.params[5 % len(world.params)]
    if first.dim() == 2 and last.dim() == 2 and first.numel() and last.numel() >= first.numel() and first is not last:
        memory = last.data.reshape(-1)
        last.data = memory.reshape(last.shape)
        first.data = memory[: first.numel()].reshape(first.shape) if number & 1 else first.data.clone()


def load_own(world: World, number: int) -> None:
    _load(world, copy.deepcopy(world.optimizer.state_dict()))


def save_and_load_elsewhere(world: World, number: int) -> None:
    """A program that ends, and another one that goes on from its checkpoint."""
    buffer = io.BytesIO()
    torch.save(world.optimizer.state_dict(), buffer)
    buffer.seek(0)
    world.optimizer = world.make([{"params": group["params"]} for group in world.optimizer.param_groups])
    _load(world, torch.load(buffer, weights_only=True))


def _load(world: World, saved: dict[str, Any]) -> None:
    world.optimizer.load_state_dict(saved)
    if world.of_torch:
        for index, entry in saved["state"].items():
            loaded = world.optimizer.state[world.params[index]]
            loaded.update({name: value for name, value in entry.items() if value.dtype != loaded[name].dtype})


def copy_deeply(world: World, number: int) -> None:
    grads = [param.grad for param in world.params]
    world.optimizer = copy.deepcopy(world.optimizer)
    for param, grad in zip(world.params, grads, strict=True):
        param.grad = grad


def pickle_all(world: World, number: int) -> None:
    grads = [None if param.grad is None else param.grad.resolve_neg().resolve_conj() for param in world.params]
    for param in world.params:
        param.grad = None
    world.optimizer = pickle.loads(pickle.dumps(world.optimizer))
    for param, grad in zip(world.params, grads, strict=True):
        param.grad = grad


def collect_garbage(world: World, number: int) -> None:
    world.kept.clear()
    gc.collect()


def other_list(world: World, number: int) -> None:
    for group in world.optimizer.param_groups:
        group["params"] = list(group["params"]) if number & 1 else list(reversed(group["params"]))
