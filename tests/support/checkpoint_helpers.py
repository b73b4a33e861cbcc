"""What the tests of checkpoints share: optimizers that keep all they can keep, trained on made-up gradients."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

from tests.support.every_optimizer import ours
from tests.support.runtime_helpers import give_gradients

FLOAT32, BFLOAT16 = (torch.float32,) * 4, (torch.bfloat16,) * 4
MIXED = (torch.float32, torch.bfloat16, torch.float32, torch.bfloat16)
DTYPES = {"float32": FLOAT32, "bfloat16": BFLOAT16, "both": MIXED}

# Under these every optimizer keeps every state that it has, and takes the paths that differ between steps.
_RICH = {
    "momentum": 0.9,
    "amsgrad": True,
    "centered": True,
    "nesterov": True,
    "weight_decay": 0.1,
    "t0": 2,
    "initial_accumulator_value": 0.1,
}

Make = Callable[[Iterable[Tensor]], Optimizer]


def rich(name: str) -> dict[str, float]:
    schema = ours(name).schema
    known = {hyperparameter.name for hyperparameter in schema.hyperparameters} | {*schema.flags}
    return {key: value for key, value in _RICH.items() if key in known}


def parameters_of(dtypes: Iterable[torch.dtype], seed: int = 0) -> list[torch.nn.Parameter]:
    """Four parameters, one of them transposed."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((5, 3), (7,), (), (4, 6))
    values = [torch.randn(shape, generator=generator) for shape in shapes]
    values[3] = values[3].t()
    return [torch.nn.Parameter(value.to(dtype)) for value, dtype in zip(values, dtypes, strict=True)]


def in_groups(params: list[torch.nn.Parameter]) -> list[dict[str, object]]:
    return [{"params": params[:2]}, {"params": params[2:], "lr": 0.03}]


def train(optimizer: Optimizer, steps: Iterable[int]) -> None:
    """The same gradients in a step of the same number; the last parameter has none in the first two."""
    for number in steps:
        params = [param for group in optimizer.param_groups for param in group["params"]]
        give_gradients(params, number)
        if number < 2:
            params[-1].grad = None
        optimizer.step()


def trained(name: str, steps: int = 3, **options: object) -> Optimizer:
    """One of ours, after some steps, on two groups of float32 parameters."""
    cls = ours(name)
    optimizer = cls(in_groups(parameters_of(FLOAT32)), **rich(name), **options)
    train(optimizer, range(steps))
    return optimizer


def continued(optimizer: Optimizer, make: Make, carry: Callable[[object], object] = copy.deepcopy) -> Optimizer:
    """Another optimizer on equal parameters, which takes over where the first one is."""
    copies = [
        [torch.nn.Parameter(param.detach().clone()) for param in group["params"]] for group in optimizer.param_groups
    ]
    other = make([{"params": params} for params in copies])  # type: ignore[list-item]
    other.load_state_dict(carry(optimizer.state_dict()))  # type: ignore[arg-type]
    return other


def through_a_file(value: object) -> object:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def shape_of(value: object) -> object:
    """Types, keys in order, lengths, dtypes, shapes: everything of a state dict but the numbers."""
    if isinstance(value, Tensor):
        return type(value), value.dtype, value.shape, value.device, value.requires_grad
    if isinstance(value, dict):
        return type(value), [(key, shape_of(inner)) for key, inner in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [shape_of(inner) for inner in value]
    return type(value)
