"""Whatever a program may do to an optimizer between steps, in random order, done to two of them side by side.

A `World` is one optimizer with its parameters. An action takes a world and a number that decides its details, so that
two worlds can be told to do the same. Run as a program (`python adversary.py EXAMPLES NAMES...`), it drives fused steps
without pytest or hypothesis: for sanitizers.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import pickle
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

SHAPES = ((4, 4), (3,), (), (2, 1, 3), (0, 2), (5, 5))


@dataclass
class World:
    """An optimizer, how to make another like it, and what its user keeps alive."""

    make: Callable[[list[Tensor]], torch.optim.Optimizer]
    dtype: torch.dtype
    optimizer: torch.optim.Optimizer = field(init=False)
    kept: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.optimizer = self.make(
            [self.parameter(torch.randn(s, generator=generator, dtype=self.dtype)) for s in SHAPES]
        )

    @staticmethod
    def parameter(values: Tensor) -> Tensor:
        return torch.nn.Parameter(values)

    @property
    def params(self) -> list[Tensor]:
        return [param for group in self.optimizer.param_groups for param in group["params"]]

    def param(self, number: int) -> Tensor:
        return self.params[number % len(self.params)]

    def random(self, like: Tensor, number: int) -> Tensor:
        generator = torch.Generator().manual_seed(number)
        return torch.randn(like.shape, generator=generator, dtype=like.dtype)

    def states(self, number: int) -> dict[str, Tensor]:
        """The states of a parameter that have one number per element."""
        param = self.param(number)
        entry = self.optimizer.state.get(param, {})
        return {k: v for k, v in entry.items() if isinstance(v, Tensor) and v.shape == param.shape and k != "step"}


Action = Callable[[World, int], object]


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
    param.grad = forms[number % len(forms)]()


def zero_gradients(world: World, number: int) -> None:
    world.optimizer.zero_grad(set_to_none=bool(number & 1))


def add_group(world: World, number: int) -> None:
    if len(world.optimizer.param_groups) < 3:
        values = torch.randn((3, 2), generator=torch.Generator().manual_seed(number), dtype=world.dtype)
        group: dict[str, object] = {"params": [world.parameter(values)]}
        if number & 1:
            group["lr"] = 0.02
        world.optimizer.add_param_group(group)


def freeze(world: World, number: int) -> None:
    world.param(number).requires_grad_(not world.param(number).requires_grad)


def another_number(world: World, number: int) -> None:
    group = world.optimizer.param_groups[number % len(world.optimizer.param_groups)]
    group["lr"] = 0.001 * (1 + number % 7)
    if "weight_decay" in group and not isinstance(group["weight_decay"], Tensor):
        group["weight_decay"] = (0, 0.01, 0.1)[number % 3]


def another_flag(world: World, number: int) -> None:
    group = world.optimizer.param_groups[0]
    group["maximize"] = not group.get("maximize", False)


def assign_state(world: World, number: int) -> None:
    param = world.param(number)
    for name, value in world.states(number).items():
        world.kept.append(value)
        world.optimizer.state[param][name] = value * 0.5 if number & 1 else value.clone()


def forget_state(world: World, number: int) -> None:
    world.optimizer.state.pop(world.param(number), None)


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
    world.optimizer.load_state_dict(copy.deepcopy(world.optimizer.state_dict()))


def save_and_load_elsewhere(world: World, number: int) -> None:
    """A program that ends, and another one that goes on from its checkpoint."""
    buffer = io.BytesIO()
    torch.save(world.optimizer.state_dict(), buffer)
    buffer.seek(0)
    groups = [
        {**{key: value for key, value in group.items() if key != "params"}, "params": list(group["params"])}
        for group in world.optimizer.param_groups
    ]
    world.optimizer = world.make(groups)  # type: ignore[arg-type]
    world.optimizer.load_state_dict(torch.load(buffer, weights_only=True))


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


ACTIONS: Sequence[Action] = (
    train,
    train,
    train,
    step,
    step_with_closure,
    some_gradients,
    gradient_in_another_form,
    gradient_in_another_form,
    zero_gradients,
    add_group,
    freeze,
    another_number,
    another_flag,
    assign_state,
    forget_state,
    set_count,
    exchange_parameter,
    swap_data,
    transpose_data,
    move_state_memory,
    overlap,
    load_own,
    save_and_load_elsewhere,
    copy_deeply,
    pickle_all,
    collect_garbage,
    other_list,
)


def done_by_both(action: Action, number: int, left: World, right: World) -> None:
    """Either both do it, with equal results, or both raise the same type of error."""
    outcomes = []
    for world in (left, right):
        try:
            outcomes.append((None, action(world, number)))
        except Exception as error:
            outcomes.append((type(error), str(error)))
    (one, result), (other, expected) = outcomes
    assert one == other, f"{action.__name__}: {one} ({result}), but {other} ({expected})"


def compare(left: World, right: World, compared: Callable[[Tensor, Tensor, str], None]) -> None:
    """Parameters, states and the numbers of groups."""
    for index, (a, b) in enumerate(zip(left.params, right.params, strict=True)):
        compared(a.detach(), b.detach(), f"parameter {index}")
        one, other = (world.optimizer.state.get(p, {}) for world, p in ((left, a), (right, b)))
        assert list(one) == list(other), f"parameter {index} has {list(one)}, not {list(other)}"
        for name, value in one.items():
            if isinstance(value, Tensor):
                compared(value, other[name], f"{name} of parameter {index}")
            else:
                assert value == other[name], f"{name} of parameter {index}"


def main(examples: int, names: Sequence[str]) -> None:
    """Fused steps, with errors where there are any; gradients are new at every step, memory is given back between."""
    import thetac

    chance = random.Random(0)
    fused = 0
    for example in range(examples):
        name = names[example % len(names)]

        def make(params: list[Tensor], name: str = name) -> torch.optim.Optimizer:
            momentum = {"momentum": 0.9} if name in ("SGD", "Signum") else {}
            optimizer: torch.optim.Optimizer = getattr(thetac, name)(params, lr=0.01, fused=True, **momentum)
            return optimizer

        world = World(make, (torch.float32, torch.complex64)[example // len(names) % 2])
        for _ in range(30):
            action, number = chance.choice(ACTIONS), chance.randrange(1 << 16)
            with contextlib.suppress(RuntimeError):
                action(world, number)
            if chance.random() < 0.3:
                gc.collect()
        fused += "C++ for" in world.optimizer.explain()  # type: ignore[attr-defined]
    assert fused > examples // 2, "most worlds have to end with a fused step"


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
    print("done")
